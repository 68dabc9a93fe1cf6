//! Calls on the cluster and the server itself.
#![allow(dead_code, reason = "descriptions: the macro reads them, nobody calls them")]

use crate::{Cluster, Engine, Event, EventQuery, Page, Volume};

/// Events, oldest first: a page, or a stream of server-sent events that goes on.
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Begin after this event; a stream taken up again sends it")),
    responses((status = 200, description = "A page of events, or a stream whose data is an `Event`",
        content((Page<Event> = "application/json"), (String = "text/event-stream")))))]
pub(super) fn list_events() {}

/// All volumes, kept ones included.
#[utoipa::path(get, path = "/v1/volumes", tag = "volumes",
    responses((status = 200, description = "All volumes", body = Page<Volume>)))]
pub(super) fn list_volumes() {}

/// Deletes a kept volume with everything on it.
#[utoipa::path(delete, path = "/v1/volumes/{volume}", tag = "volumes", params(("volume" = String, Path, description = "Its name")),
    responses((status = 204, description = "Deleted")))]
pub(super) fn delete_volume() {}

/// The engines of this release.
#[utoipa::path(get, path = "/v1/engines", tag = "cluster",
    responses((status = 200, description = "All engines", body = Page<Engine>)))]
pub(super) fn list_engines() {}

/// The cluster.
#[utoipa::path(get, path = "/v1/cluster", tag = "cluster", responses((status = 200, description = "The cluster", body = Cluster)))]
pub(super) fn get_cluster() {}

/// This document.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "server",
    responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) fn get_openapi() {}

/// Alive: answers `ok`.
#[utoipa::path(get, path = "/healthz", tag = "server",
    responses((status = 200, description = "Alive", body = String, content_type = "text/plain")))]
pub(super) fn get_health() {}

/// Figures in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "server",
    responses((status = 200, description = "Figures", body = String, content_type = "application/openmetrics-text")))]
pub(super) fn get_metrics() {}
