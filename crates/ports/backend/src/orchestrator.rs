//! The orchestrator: one deployment per member.
//!
//! Every call is idempotent under the caller's name for the thing. After [`ErrorKind::TimedOut`] or
//! [`ErrorKind::Unavailable`](crate::ErrorKind) the effect is unknown and the call is to be repeated. An implementation
//! recognises its own objects by label and never touches others: a name taken by a stranger is
//! [`ErrorKind::Refused`](crate::ErrorKind).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use om_model::{MemberName, NodeId, Resources, ServiceId, ServiceName};

use crate::error::{ErrorKind, PortError, Result};

/// A container to run, with its place, volumes and address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentSpec {
    /// Its name, the caller's choice, unique: `<member>-<last 8 of the service id>`.
    pub name: String,
    /// The service.
    pub service: ServiceId,
    /// The service's name.
    pub service_name: ServiceName,
    /// The member it runs.
    pub member: MemberName,
    /// The image, as [`Orchestrator::image`] resolved it.
    pub image: String,
    /// The program to run as PID 1 in place of the image's own.
    pub entrypoint: Vec<String>,
    /// Volume names for our volume driver, by the path they are mounted at.
    pub volumes: BTreeMap<String, String>,
    /// The node it is to run on and nowhere else; the orchestrator chooses if there is none.
    pub node: Option<NodeId>,
    /// Its fixed address on our network, if it has one.
    pub address: Option<IpAddr>,
    /// What it may use.
    pub resources: Resources,
    /// How long a stop may take before the container is killed.
    pub stop_within: Duration,
    /// Shared memory, in bytes.
    pub shared_memory: u64,
}

/// Where a deployment stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeploymentState {
    /// Made, never started.
    Created,
    /// Its container runs.
    Running,
    /// The orchestrator is about to start it again after it ended.
    Restarting,
    /// Its container has ended and is not started again by itself.
    Stopped,
}

/// A deployment of ours as the orchestrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// The service it belongs to.
    pub service: ServiceId,
    /// The member it runs.
    pub member: MemberName,
    /// Where it stands.
    pub state: DeploymentState,
    /// The node it is pinned to; if to none, the one it is on, as far as the orchestrator has nodes.
    pub node: Option<NodeId>,
    /// The container's id, if there is one.
    pub container: Option<String>,
    /// What the orchestrator said of its last failure, if anything.
    pub error: Option<String>,
}

/// The network that members are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its first address and its prefix length.
    pub subnet: (IpAddr, u8),
    /// The node's own address on it.
    pub gateway: IpAddr,
}

/// A node as the orchestrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrchestratorNode {
    /// Its name: the one its agent has too.
    pub id: NodeId,
    /// The zone its labels tell, if they do.
    pub zone: Option<String>,
    /// False while the operator has told the orchestrator to keep containers off it.
    pub schedulable: bool,
    /// Whether the orchestrator can reach it.
    pub ready: bool,
}

/// A line of a container's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// True if it came from the standard error.
    pub stderr: bool,
    /// The text, without its line end.
    pub text: String,
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskResult {
    /// What its program ended with.
    pub exit_code: i64,
    /// The last hundred lines of its output.
    pub output: Vec<LogLine>,
}

/// The orchestrator.
#[async_trait]
pub trait Orchestrator: Send + Sync {
    /// Makes our network if it is not there, and tells its addresses.
    async fn network(&self) -> Result<Network>;

    /// The first of `candidates` that is present, else the first that can be had (pulled).
    /// [`ErrorKind::NotFound`](crate::ErrorKind) with advice if none can.
    async fn image(&self, candidates: &[String]) -> Result<String>;

    /// Makes the deployment, not started. Done also if it exists with the same spec; one of ours with another spec is
    /// removed first (its volumes stay).
    async fn create(&self, spec: &DeploymentSpec) -> Result<()>;

    /// Starts it and keeps it running: started again after it ends, and after a reboot of the machine. Done also if it
    /// runs. An orchestrator of several nodes returns when it has taken it on; [`Self::list`] tells how it goes.
    async fn start(&self, name: &str) -> Result<()>;

    /// Stops it gracefully within its `stop_within`, and keeps it stopped. Done also if it is stopped or gone, or if the
    /// orchestrator knows its node to be down: what still runs there is a matter of fencing.
    async fn stop(&self, name: &str) -> Result<()>;

    /// Removes it, running or not; its volumes stay. Done also if it is gone. On several nodes its container may end
    /// after this returns, since nobody can wait for a lost node: [`Self::stop`] first is how to know that it has ended.
    async fn remove(&self, name: &str) -> Result<()>;

    /// All deployments of ours, or those of one service.
    async fn list(&self, service: Option<&ServiceId>) -> Result<Vec<Deployment>>;

    /// The last `tail` lines of its output, then, if asked, those that follow.
    async fn logs(&self, name: &str, tail: usize, follow: bool) -> Result<BoxStream<'static, Result<LogLine>>>;

    /// Its nodes. Empty where there is one machine and nothing to choose.
    async fn nodes(&self) -> Result<Vec<OrchestratorNode>> {
        Ok(Vec::new())
    }

    /// Runs a container once, to its end, under a name that no deployment has, and tells what came of it. Asked again it
    /// waits for the one that runs, or tells the same again; [`Self::remove`] forgets it, running or not. A task is no
    /// deployment and not in the list.
    ///
    /// [`ErrorKind::TimedOut`](crate::ErrorKind) if it has not ended after `wait`; it runs on.
    async fn run_task(&self, spec: &DeploymentSpec, wait: Duration) -> Result<TaskResult> {
        let detail = format!("this orchestrator runs no tasks; it was to wait {} s", wait.as_secs());
        Err(PortError::new(ErrorKind::Refused, "run task", &spec.name, detail))
    }

    /// Removes what [`Self::network`] made. Refused while deployments are on it.
    async fn teardown(&self) -> Result<()>;
}
