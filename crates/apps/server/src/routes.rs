//! The table of routes. Tests hold it against the OpenAPI document.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use om_api::path;

use crate::{App, changes, figures, nodes, reads, streams};

/// Routes, and a list of them that can be read back.
pub(crate) struct Routes {
    pub(crate) router: Router<App>,
    /// For the test that every route is documented.
    #[cfg_attr(not(test), allow(dead_code, reason = "the router itself cannot be listed"))]
    pub(crate) listed: Vec<(Method, &'static str)>,
}

impl Routes {
    fn new() -> Self {
        Self { router: Router::new(), listed: Vec::new() }
    }

    fn add<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, App>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(method.clone()).expect("a standard method");
        self.router = self.router.route(path, on(filter, handler));
        self.listed.push((method, path));
        self
    }
}

/// Routes that need no token.
pub(crate) fn open() -> Routes {
    Routes::new().add(Method::GET, path::HEALTHZ, reads::health).add(Method::GET, path::METRICS, figures::scrape).add(
        Method::GET,
        path::OPENAPI,
        reads::openapi,
    )
}

/// Routes that need one.
pub(crate) fn guarded() -> Routes {
    Routes::new()
        .add(Method::GET, path::SERVICES, reads::services)
        .add(Method::POST, path::SERVICES, changes::create)
        .add(Method::GET, "/v1/services/{service}", reads::service)
        .add(Method::DELETE, "/v1/services/{service}", changes::delete)
        .add(Method::GET, "/v1/services/{service}/members", reads::members)
        .add(Method::POST, "/v1/services/{service}/stop", changes::stop)
        .add(Method::POST, "/v1/services/{service}/start", changes::start)
        .add(Method::POST, "/v1/services/{service}/restart", changes::restart)
        .add(Method::PATCH, "/v1/services/{service}/config", changes::configure)
        .add(Method::POST, "/v1/services/{service}/grow", changes::grow)
        .add(Method::GET, "/v1/services/{service}/connection", reads::connection)
        .add(Method::POST, "/v1/services/{service}/password", reads::password)
        .add(Method::GET, "/v1/services/{service}/members/{member}/logs", streams::logs)
        .add(Method::GET, path::OPERATIONS, reads::operations)
        .add(Method::GET, "/v1/operations/{operation}", reads::operation)
        .add(Method::GET, "/v1/operations/{operation}/events", streams::operation)
        .add(Method::POST, "/v1/operations/{operation}/cancel", changes::cancel)
        .add(Method::POST, "/v1/operations/{operation}/retry", changes::retry)
        .add(Method::GET, path::EVENTS, streams::events)
        .add(Method::GET, path::VOLUMES, reads::volumes)
        .add(Method::DELETE, "/v1/volumes/{volume}", changes::delete_volume)
        .add(Method::GET, path::NODES, nodes::list)
        .add(Method::POST, "/v1/nodes/{node}/drain", nodes::drain)
        .add(Method::POST, "/v1/nodes/{node}/undrain", nodes::undrain)
        .add(Method::POST, "/v1/nodes/{node}/fence", nodes::fence)
        .add(Method::DELETE, "/v1/nodes/{node}", nodes::forget)
        .add(Method::POST, path::JOIN_TOKENS, nodes::token)
        .add(Method::GET, path::ENGINES, reads::engines)
        .add(Method::GET, path::CLUSTER, reads::cluster)
}
