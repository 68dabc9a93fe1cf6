//! The OpenAPI 3.1 document: every call, its parameters and its answers.
//!
//! Main pieces: [`document`], and one description per call, in [`services`], [`operations`], [`nodes`] and [`cluster`]. The
//! functions there are descriptions only; the server has the handlers, and its tests hold the two together.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, OpenApi as Document, PathItem, Ref, RefOr, ResponseBuilder, SecurityRequirement};
use utoipa::{Modify, OpenApi};

use crate::{PROBLEM_JSON, path};

mod cluster;
mod nodes;
mod operations;
mod services;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "OpenManage",
        description = "Sets up, manages and scales containerised stateful services. Changes are operations: they are accepted \
                       with 202 and followed at their `Location`. Errors are problem documents (RFC 9457).",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        services::list_services, services::create_service, services::get_service, services::delete_service,
        services::list_members, services::stop_service, services::start_service, services::restart_service,
        services::configure_service, services::grow_service, services::get_connection, services::show_password,
        services::get_logs,
        operations::list_operations, operations::get_operation, operations::follow_operation,
        operations::cancel_operation, operations::retry_operation,
        nodes::list_nodes, nodes::drain_node, nodes::undrain_node, nodes::fence_node, nodes::forget_node,
        nodes::create_join_token,
        cluster::list_events, cluster::list_volumes, cluster::delete_volume, cluster::list_engines, cluster::get_cluster,
        cluster::get_openapi, cluster::get_health, cluster::get_metrics,
    ),
    components(schemas(crate::Problem, crate::LogRecord)),
    modifiers(&Tokens, &Problems),
)]
struct Api;

/// The document.
pub fn document() -> Document {
    Api::openapi()
}

/// Paths that need no token.
pub const OPEN_PATHS: [&str; 3] = [path::OPENAPI, path::HEALTHZ, path::METRICS];

/// Every call needs a bearer token, but for [`OPEN_PATHS`].
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        let scheme = scheme
            .description(Some("The admin token; on the server's machine in `admin.token` of its state directory."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme.build()));
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
        for path in OPEN_PATHS {
            let get = document.paths.paths.get_mut(path).and_then(|item| item.get.as_mut());
            get.expect("open paths are in the document").security = Some(vec![SecurityRequirement::default()]);
        }
    }
}

/// Every call may fail with a problem.
struct Problems;

impl Modify for Problems {
    fn modify(&self, document: &mut Document) {
        let content = Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem"))));
        let response = ResponseBuilder::new().description("A problem").content(PROBLEM_JSON, content).build();
        for item in document.paths.paths.values_mut() {
            let PathItem { get, post, patch, delete, .. } = item;
            for operation in [get, post, patch, delete].into_iter().flatten() {
                operation.responses.responses.insert("default".into(), response.clone().into());
            }
        }
    }
}

#[cfg(test)]
mod tests;
