//! The HTTP server: the control code's calls as the API of `om_api`.
//!
//! Main pieces, in the order a request meets them: `guard` (size, time, panics, figures), `tokens` (who may), `input`
//! (path, query and body, with errors that name the field), `changes`, `nodes` and `reads` (the handlers), `streams`
//! (server-sent events and logs), `answer` (errors as problems), `figures` (what Prometheus reads).
//!
//! **Architecture invariants:** nothing is decided here: handlers translate and hand over to the control code. Every
//! answer that is not a success is a problem document, whatever went wrong.

#![forbid(unsafe_code)]

mod answer;
mod changes;
mod figures;
mod guard;
mod input;
mod nodes;
mod reads;
mod routes;
mod spec;
mod streams;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use om_backend::Runtime;
use om_control::Control;

pub use tokens::Tokens;

/// What the operator and the wiring decide.
pub struct ServerSettings {
    /// Who may call.
    pub tokens: Tokens,
    /// Time, for limits and figures.
    pub runtime: Runtime,
    /// The version to tell.
    pub version: String,
}

/// What every handler has.
pub(crate) struct Shared {
    pub(crate) control: Arc<Control>,
    pub(crate) settings: ServerSettings,
    pub(crate) figures: figures::Figures,
}

pub(crate) type App = Arc<Shared>;

/// The whole API as a service for any HTTP listener.
pub fn router(control: Arc<Control>, settings: ServerSettings) -> Router {
    let figures = figures::Figures::new(&settings.version);
    let app = Arc::new(Shared { control, settings, figures });
    let guarded = routes::guarded().router.layer(from_fn_with_state(Arc::clone(&app), tokens::require));
    routes::open()
        .router
        .merge(guarded)
        .fallback(guard::no_such_path)
        .method_not_allowed_fallback(guard::wrong_method)
        .layer(from_fn(guard::catch_panics))
        .layer(from_fn_with_state(Arc::clone(&app), guard::limit_and_measure))
        .with_state(app)
}

#[cfg(test)]
mod tests;
