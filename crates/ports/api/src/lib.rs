//! The HTTP API as a contract: wire types, paths, error codes and the OpenAPI document. No server, no client.
//!
//! Main pieces: [`service`], [`operation`], [`node`] and [`cluster`] (what crosses the wire), [`page`] (listings and query
//! parameters), [`problem`] (errors, RFC 9457), [`path`](mod@path) (where things are), [`convert`] (from the model's records to the wire),
//! [`openapi`] (the document, committed as `docs/openapi.json`).
//!
//! **Architecture invariant:** what is public here is what clients of any age rely on. Fields are added, never renamed or
//! removed, under one version; requests refuse fields they do not know, answers may gain fields.

#![forbid(unsafe_code)]

pub mod cluster;
pub mod convert;
pub mod node;
pub mod openapi;
pub mod operation;
pub mod page;
pub mod path;
pub mod problem;
pub mod service;
pub mod size;

pub use cluster::{Cluster, Engine, EngineOption, Event, Volume};
pub use node::{Drain, FenceNode, JoinToken, NewJoinToken, Node, RefusedMove};
pub use operation::{Operation, OperationStep, Plan, PlanStep, Progress};
pub use page::{ChangeQuery, DeleteQuery, EventQuery, LogQuery, OperationQuery, Page, PageQuery};
pub use problem::{Code, FieldProblem, Problem};
pub use service::{
    ConfigureService, Connection, CreateService, GrowService, LogRecord, Member, Password, Place, Resources,
    RestartService, Service, VolumeSizes,
};
pub use size::Size;

/// The port the server listens on unless told otherwise: the original's.
pub const PORT: u16 = 27040;
/// Largest request body, in bytes.
pub const BODY_MAX: usize = 1024 * 1024;
/// The header with the client's own key for a write: the same key again is the same request.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that says `true` when the answer is that of an earlier request with the same key.
pub const REPLAYED: &str = "idempotency-replayed";
/// The media type of errors.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The media type of one JSON value per line.
pub const NDJSON: &str = "application/x-ndjson";
/// The media type of server-sent events.
pub const EVENT_STREAM: &str = "text/event-stream";
