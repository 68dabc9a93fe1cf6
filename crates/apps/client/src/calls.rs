//! One method per call of the API, named as in the OpenAPI document.

use futures::stream::BoxStream;
use om_api::{
    ChangeQuery, Cluster, ConfigureService, Connection, CreateService, DeleteQuery, Drain, Engine, Event, EventQuery,
    FenceNode, GrowService, JoinToken, LogQuery, LogRecord, Member, NewJoinToken, Node, Operation, OperationQuery,
    Page, PageQuery, Password, Plan, RestartService, Service, Volume, path,
};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::request::Call;
use crate::{Client, Result};

/// How a change is to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChangeOptions {
    /// Only tell what would be done.
    pub dry_run: bool,
    /// Seconds the operation may take.
    pub deadline: Option<u64>,
    /// The idempotency key; a fresh one when absent.
    pub key: Option<String>,
}

impl ChangeOptions {
    fn query(&self) -> ChangeQuery {
        ChangeQuery { dry_run: self.dry_run, deadline: self.deadline }
    }
}

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It was accepted: follow the operation.
    Accepted(Box<Operation>),
    /// It was only planned.
    Planned(Plan),
}

impl Client {
    /// Services, a page of them.
    pub async fn list_services(&self, query: &PageQuery) -> Result<Page<Service>> {
        Ok(self.call(Call::get(path::SERVICES).query(query)).await?.1)
    }

    /// Makes a service.
    pub async fn create_service(&self, request: &CreateService, options: &ChangeOptions) -> Result<Changed> {
        self.change(Call::post(path::SERVICES).body(request).query(&options.query()), options).await
    }

    /// One service.
    pub async fn get_service(&self, name: &str) -> Result<Service> {
        Ok(self.call(Call::get(path::service(name))).await?.1)
    }

    /// Deletes a service.
    pub async fn delete_service(&self, name: &str, query: &DeleteQuery, key: Option<String>) -> Result<Changed> {
        let options = ChangeOptions { key, ..ChangeOptions::default() };
        self.change(Call::new(Method::DELETE, path::service(name)).query(query), &options).await
    }

    /// The members of a service.
    pub async fn list_members(&self, service: &str) -> Result<Page<Member>> {
        Ok(self.call(Call::get(path::of_service(service, "members"))).await?.1)
    }

    /// Stops all members.
    pub async fn stop_service(&self, name: &str, options: &ChangeOptions) -> Result<Changed> {
        self.change(Call::post(path::of_service(name, "stop")).query(&options.query()), options).await
    }

    /// Starts all members.
    pub async fn start_service(&self, name: &str, options: &ChangeOptions) -> Result<Changed> {
        self.change(Call::post(path::of_service(name, "start")).query(&options.query()), options).await
    }

    /// Restarts one member, or all one by one.
    pub async fn restart_service(
        &self,
        name: &str,
        request: &RestartService,
        options: &ChangeOptions,
    ) -> Result<Changed> {
        self.change(Call::post(path::of_service(name, "restart")).body(request).query(&options.query()), options).await
    }

    /// Changes settings and options.
    pub async fn configure_service(
        &self,
        name: &str,
        request: &ConfigureService,
        options: &ChangeOptions,
    ) -> Result<Changed> {
        let call = Call::new(Method::PATCH, path::of_service(name, "config"));
        self.change(call.body(request).query(&options.query()), options).await
    }

    /// Enlarges volumes.
    pub async fn grow_service(&self, name: &str, request: &GrowService, options: &ChangeOptions) -> Result<Changed> {
        self.change(Call::post(path::of_service(name, "grow")).body(request).query(&options.query()), options).await
    }

    /// How to connect, without the password.
    pub async fn get_connection(&self, service: &str) -> Result<Connection> {
        Ok(self.call(Call::get(path::of_service(service, "connection"))).await?.1)
    }

    /// Shows the password; noted as an event.
    pub async fn show_password(&self, service: &str) -> Result<Password> {
        Ok(self.call(Call::post(path::of_service(service, "password"))).await?.1)
    }

    /// A member's output: the last lines, then, if asked, those that follow.
    pub async fn get_logs(
        &self,
        service: &str,
        member: &str,
        query: &LogQuery,
    ) -> Result<BoxStream<'static, Result<LogRecord>>> {
        self.lines(Call::get(path::logs(service, member)).query(query)).await
    }

    /// Operations, a page of them.
    pub async fn list_operations(&self, query: &OperationQuery) -> Result<Page<Operation>> {
        Ok(self.call(Call::get(path::OPERATIONS).query(query)).await?.1)
    }

    /// One operation.
    pub async fn get_operation(&self, id: &str) -> Result<Operation> {
        Ok(self.call(Call::get(path::operation(id))).await?.1)
    }

    /// The operation now and after each change, to its end; goes on after a break of the connection.
    pub fn follow_operation(&self, id: &str) -> BoxStream<'static, Result<Operation>> {
        self.follow(Call::get(path::of_operation(id, "events")), |operation: &Operation| operation.ended)
    }

    /// Asks for the operation to be cancelled.
    pub async fn cancel_operation(&self, id: &str) -> Result<Operation> {
        Ok(self.call(Call::post(path::of_operation(id, "cancel"))).await?.1)
    }

    /// Tries an operation that needs attention again.
    pub async fn retry_operation(&self, id: &str) -> Result<Operation> {
        Ok(self.call(Call::post(path::of_operation(id, "retry"))).await?.1)
    }

    /// Events, a page of them.
    pub async fn list_events(&self, query: &EventQuery) -> Result<Page<Event>> {
        Ok(self.call(Call::get(path::EVENTS).query(query)).await?.1)
    }

    /// Events as they happen, without end; goes on after a break of the connection where it was.
    pub fn follow_events(&self, query: &EventQuery) -> BoxStream<'static, Result<Event>> {
        let query = EventQuery { follow: true, limit: None, ..query.clone() };
        self.follow(Call::get(path::EVENTS).query(&query), |_: &Event| false)
    }

    /// All volumes.
    pub async fn list_volumes(&self) -> Result<Page<Volume>> {
        Ok(self.call(Call::get(path::VOLUMES)).await?.1)
    }

    /// Deletes a kept volume with everything on it.
    pub async fn delete_volume(&self, name: &str) -> Result<()> {
        self.answer(&Call::new(Method::DELETE, path::volume(name))).await.map(drop)
    }

    /// The cluster's nodes.
    pub async fn list_nodes(&self) -> Result<Page<Node>> {
        Ok(self.call(Call::get(path::NODES)).await?.1)
    }

    /// Moves every member away from a node; the operations that do it.
    pub async fn drain_node(&self, name: &str) -> Result<Drain> {
        Ok(self.call(Call::post(path::of_node(name, "drain"))).await?.1)
    }

    /// Lets members be placed on a node again.
    pub async fn undrain_node(&self, name: &str) -> Result<()> {
        self.answer(&Call::post(path::of_node(name, "undrain"))).await.map(drop)
    }

    /// Vouches that a machine is off.
    pub async fn fence_node(&self, name: &str, request: &FenceNode) -> Result<()> {
        self.answer(&Call::post(path::of_node(name, "fence")).body(request)).await.map(drop)
    }

    /// Takes a node out of the cluster.
    pub async fn forget_node(&self, name: &str) -> Result<()> {
        self.answer(&Call::new(Method::DELETE, path::node(name))).await.map(drop)
    }

    /// Makes a one-time token with which a program joins the cluster.
    pub async fn create_join_token(&self, request: &NewJoinToken) -> Result<JoinToken> {
        Ok(self.call(Call::post(path::JOIN_TOKENS).body(request)).await?.1)
    }

    /// The engines of the server's release.
    pub async fn list_engines(&self) -> Result<Page<Engine>> {
        Ok(self.call(Call::get(path::ENGINES)).await?.1)
    }

    /// The cluster.
    pub async fn get_cluster(&self) -> Result<Cluster> {
        Ok(self.call(Call::get(path::CLUSTER)).await?.1)
    }

    /// The server's description of its API.
    pub async fn get_openapi(&self) -> Result<Value> {
        Ok(self.call(Call::get(path::OPENAPI)).await?.1)
    }

    /// Whether the server is alive.
    pub async fn get_health(&self) -> Result<()> {
        self.answer(&Call::get(path::HEALTHZ)).await.map(drop)
    }

    /// The server's figures, in the OpenMetrics text format.
    pub async fn get_metrics(&self) -> Result<String> {
        Ok(self.answer(&Call::get(path::METRICS)).await?.1)
    }

    async fn change(&self, call: Call, options: &ChangeOptions) -> Result<Changed> {
        let key = options.key.clone().unwrap_or_else(|| self.runtime.new_id());
        let (status, value): (StatusCode, Value) = self.call(call.key(key)).await?;
        let read = match status {
            StatusCode::ACCEPTED => {
                serde_json::from_value(value).map(|operation| Changed::Accepted(Box::new(operation)))
            }
            _ => serde_json::from_value(value).map(Changed::Planned),
        };
        read.map_err(|error| self.protocol(error))
    }
}
