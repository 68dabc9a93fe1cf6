//! Docker's volume plugin protocol, version 1: JSON over HTTP on the plugin's unix socket.
//!
//! Docker sends a Get (answered by an error) and a Create for a name it does not know, then Capabilities, Get, Mount;
//! Unmount when the container has ended; nothing at all when the node dies.

use std::path::Path;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use om_backend::{ErrorKind, MountName, PortError, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::survey::Mounted;

const CONTENT_TYPE: &str = "application/vnd.docker.plugins.v1.1+json";

/// What Docker sends; fields we have no use for are passed over.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Request {
    #[serde(default)]
    name: String,
    /// Only in Mount and Unmount: stands for the container.
    #[serde(default, rename = "ID")]
    id: String,
}

impl Request {
    fn read(body: &Bytes) -> Result<(MountName, String)> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| PortError::new(ErrorKind::Invalid, "read", "the request", error))?;
        let name = request.name.parse().map_err(|problem| {
            PortError::new(ErrorKind::Invalid, "use", format!("volume name {:?}", request.name), problem).advise(
                "volumes of this driver are named [journal_]SERVICE-ID[_MEMBER]; `openmanage list` shows services",
            )
        })?;
        Ok((name, request.id))
    }
}

fn reply(status: StatusCode, body: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, CONTENT_TYPE)], body.to_string()).into_response()
}

/// Docker shows the text of `Err` to whoever started the container.
fn answer(result: Result<Value>) -> Response {
    match result {
        Ok(body) => reply(StatusCode::OK, &body),
        Err(error) => {
            tracing::warn!(%error, "volume plugin");
            reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "Err": error.to_string() }))
        }
    }
}

fn mountpoint(path: &Path) -> Value {
    json!({ "Mountpoint": path.to_string_lossy() })
}

impl Agent {
    /// The plugin, to be served on `/run/docker/plugins/<driver>.sock`.
    pub fn plugin_router(&self) -> Router {
        Router::new()
            .route("/Plugin.Activate", post(async || answer(Ok(json!({ "Implements": ["VolumeDriver"] })))))
            .route(
                "/VolumeDriver.Capabilities",
                post(async || answer(Ok(json!({ "Capabilities": { "Scope": "global" } })))),
            )
            .route(
                "/VolumeDriver.Create",
                post(async |agent: State<Self>, body| answer(agent.plugin_create(&body).await)),
            )
            .route("/VolumeDriver.Get", post(async |agent: State<Self>, body| answer(agent.plugin_get(&body).await)))
            .route("/VolumeDriver.Path", post(async |agent: State<Self>, body| answer(agent.plugin_path(&body).await)))
            .route("/VolumeDriver.List", post(async |agent: State<Self>| answer(agent.plugin_list().await)))
            .route(
                "/VolumeDriver.Mount",
                post(async |agent: State<Self>, body| answer(agent.plugin_mount(&body).await)),
            )
            .route(
                "/VolumeDriver.Unmount",
                post(async |agent: State<Self>, body| answer(agent.plugin_unmount(&body).await)),
            )
            // Docker forgets a name; the volume is its service's, and goes when that is deleted with its volumes.
            .route("/VolumeDriver.Remove", post(async |body: Bytes| answer(Request::read(&body).map(|_| json!({})))))
            .with_state(self.clone())
    }

    async fn refuse_unknown(&self, action: &str, name: &MountName) -> Result<()> {
        if self.ports.control.knows(name).await? {
            return Ok(());
        }
        let detail = "there is no service with that id, or it has no such member or volume";
        Err(PortError::new(ErrorKind::NotFound, action, format!("volume {name}"), detail)
            .advise("`openmanage list` shows the services there are"))
    }

    async fn find(&self, name: &MountName) -> Result<Option<Mounted>> {
        let complete = |mounted: &Mounted| mounted.record.is_some() && mounted.answers_to(name);
        Ok(self.survey().await?.into_iter().rfind(complete))
    }

    async fn plugin_create(&self, body: &Bytes) -> Result<Value> {
        let (name, _) = Request::read(body)?;
        self.refuse_unknown("create", &name).await?;
        Ok(json!({}))
    }

    async fn plugin_get(&self, body: &Bytes) -> Result<Value> {
        let (name, _) = Request::read(body)?;
        // What is mounted here is known without a server.
        if let Some(mounted) = self.find(&name).await? {
            return Ok(json!({ "Volume": volume(&name.to_string(), Some(&mounted.path)) }));
        }
        self.refuse_unknown("find", &name).await?;
        Ok(json!({ "Volume": volume(&name.to_string(), None) }))
    }

    async fn plugin_path(&self, body: &Bytes) -> Result<Value> {
        let (name, _) = Request::read(body)?;
        Ok(self.find(&name).await?.map_or_else(|| json!({}), |mounted| mountpoint(&mounted.path)))
    }

    async fn plugin_list(&self) -> Result<Value> {
        let here = self.survey().await?;
        let named = here.iter().filter_map(|mounted| Some(volume(&mounted.record.as_ref()?.name, Some(&mounted.path))));
        Ok(json!({ "Volumes": named.collect::<Vec<_>>() }))
    }

    async fn plugin_mount(&self, body: &Bytes) -> Result<Value> {
        let (name, id) = Request::read(body)?;
        let agent = self.clone();
        let path = self.to_the_end("mount", async move { agent.mount(&name, &id).await }).await?;
        Ok(mountpoint(&path))
    }

    async fn plugin_unmount(&self, body: &Bytes) -> Result<Value> {
        let (name, id) = Request::read(body)?;
        let agent = self.clone();
        self.to_the_end("unmount", async move { agent.unmount(&name, &id).await }).await?;
        Ok(json!({}))
    }
}

fn volume(name: &str, path: Option<&Path>) -> Value {
    let mut volume = json!({ "Name": name });
    if let Some(path) = path {
        volume["Mountpoint"] = json!(path.to_string_lossy());
    }
    volume
}
