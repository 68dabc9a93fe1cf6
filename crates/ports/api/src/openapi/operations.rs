//! Calls on operations.
#![allow(dead_code, reason = "descriptions: the macro reads them, nobody calls them")]

use crate::{Operation, OperationQuery, Page};

/// Operations, in the order in which they were accepted.
#[utoipa::path(get, path = "/v1/operations", tag = "operations", params(OperationQuery),
    responses((status = 200, description = "A page of operations", body = Page<Operation>)))]
pub(super) fn list_operations() {}

/// One operation.
#[utoipa::path(get, path = "/v1/operations/{operation}", tag = "operations",
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 200, description = "The operation", body = Operation)))]
pub(super) fn get_operation() {}

/// The operation now and after each change, as server-sent events; ends after the operation has ended.
#[utoipa::path(get, path = "/v1/operations/{operation}/events", tag = "operations",
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 200, description = "Events whose data is an `Operation`", body = String, content_type = "text/event-stream")))]
pub(super) fn follow_operation() {}

/// Asks for the operation to be cancelled: what it has done is undone.
#[utoipa::path(post, path = "/v1/operations/{operation}/cancel", tag = "operations",
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation)))]
pub(super) fn cancel_operation() {}

/// Tries an operation that needs attention again.
#[utoipa::path(post, path = "/v1/operations/{operation}/retry", tag = "operations",
    params(("operation" = String, Path, description = "Its id")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation)))]
pub(super) fn retry_operation() {}
