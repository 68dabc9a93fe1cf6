//! Calls on services and their members.
#![allow(dead_code, reason = "descriptions: the macro reads them, nobody calls them")]

use crate::{
    ChangeQuery, ConfigureService, Connection, CreateService, DeleteQuery, GrowService, LogQuery, Member, Operation,
    Page, PageQuery, Password, Plan, RestartService, Service,
};

/// Services, in the order of their names.
#[utoipa::path(get, path = "/v1/services", tag = "services", params(PageQuery),
    responses((status = 200, description = "A page of services", body = Page<Service>)))]
pub(super) fn list_services() {}

/// Makes a service.
#[utoipa::path(post, path = "/v1/services", tag = "services", request_body = CreateService,
    params(ChangeQuery, ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn create_service() {}

/// One service.
#[utoipa::path(get, path = "/v1/services/{service}", tag = "services", params(("service" = String, Path, description = "Its name")),
    responses((status = 200, description = "The service", body = Service)))]
pub(super) fn get_service() {}

/// Deletes a service. Its volumes are kept unless it is said otherwise.
#[utoipa::path(delete, path = "/v1/services/{service}", tag = "services",
    params(("service" = String, Path, description = "Its name"), DeleteQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn delete_service() {}

/// The members of a service, with what is known of them right now.
#[utoipa::path(get, path = "/v1/services/{service}/members", tag = "services",
    params(("service" = String, Path, description = "The service's name")),
    responses((status = 200, description = "All members", body = Page<Member>)))]
pub(super) fn list_members() {}

/// Stops all members; everything is kept.
#[utoipa::path(post, path = "/v1/services/{service}/stop", tag = "services",
    params(("service" = String, Path, description = "The service's name"), ChangeQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn stop_service() {}

/// Starts all members.
#[utoipa::path(post, path = "/v1/services/{service}/start", tag = "services",
    params(("service" = String, Path, description = "The service's name"), ChangeQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn start_service() {}

/// Restarts one member, or all of them one by one.
#[utoipa::path(post, path = "/v1/services/{service}/restart", tag = "services", request_body = Option<RestartService>,
    params(("service" = String, Path, description = "The service's name"), ChangeQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn restart_service() {}

/// Changes settings and options: by a reload, or a restart one by one, as each needs.
#[utoipa::path(patch, path = "/v1/services/{service}/config", tag = "services", request_body = ConfigureService,
    params(("service" = String, Path, description = "The service's name"), ChangeQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn configure_service() {}

/// Enlarges the volumes of all members.
#[utoipa::path(post, path = "/v1/services/{service}/grow", tag = "services", request_body = GrowService,
    params(("service" = String, Path, description = "The service's name"), ChangeQuery,
        ("Idempotency-Key" = Option<String>, Header, description = "The same key again is the same request")),
    responses((status = 202, description = "Accepted; followed at `Location`", body = Operation),
        (status = 200, description = "The plan, with `dry_run`", body = Plan)))]
pub(super) fn grow_service() {}

/// How to connect, without the password.
#[utoipa::path(get, path = "/v1/services/{service}/connection", tag = "services",
    params(("service" = String, Path, description = "The service's name")),
    responses((status = 200, description = "How to connect", body = Connection)))]
pub(super) fn get_connection() {}

/// Shows the password of the connection's user. A deliberate act, noted as an event.
#[utoipa::path(post, path = "/v1/services/{service}/password", tag = "services",
    params(("service" = String, Path, description = "The service's name")),
    responses((status = 200, description = "The password", body = Password)))]
pub(super) fn show_password() {}

/// A member's output: text, or one JSON `LogRecord` per line if `application/x-ndjson` is accepted.
#[utoipa::path(get, path = "/v1/services/{service}/members/{member}/logs", tag = "services",
    params(("service" = String, Path, description = "The service's name"), ("member" = String, Path, description = "The member's name"),
        LogQuery),
    responses((status = 200, description = "Lines, oldest first", content((String = "text/plain"), (String = "application/x-ndjson")))))]
pub(super) fn get_logs() {}
