//! [`Agent`]: its ports, its settings, its locks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use om_backend::{ControlPlane, ErrorKind, Host, MemberChannel, PortError, Result, Runtime, VolumeProvider};

use crate::locks::Locks;

/// What the agent works through.
#[derive(Clone)]
pub struct AgentPorts {
    /// The servers.
    pub control: Arc<dyn ControlPlane>,
    /// The machine.
    pub host: Arc<dyn Host>,
    /// The volumes.
    pub volumes: Arc<dyn VolumeProvider>,
    /// The members on this node.
    pub channel: Arc<dyn MemberChannel>,
    /// Time, tasks and chance.
    pub runtime: Runtime,
}

/// How the agent is set up.
#[derive(Clone, Debug)]
pub struct AgentSettings {
    /// The folder under which everything is mounted, and nothing else lies.
    pub mounts: PathBuf,
    /// The member program on this machine, put into every member's control folder.
    pub program: PathBuf,
}

/// The agent of this node. Clones are the same agent.
#[derive(Clone)]
pub struct Agent {
    pub(crate) ports: AgentPorts,
    pub(crate) settings: Arc<AgentSettings>,
    pub(crate) locks: Arc<Locks>,
}

impl Agent {
    /// An agent. It has no state of its own: another in its place carries on.
    pub fn new(ports: AgentPorts, settings: AgentSettings) -> Self {
        Self { ports, settings: Arc::new(settings), locks: Arc::default() }
    }

    /// Runs `work` to its end even if the caller stops waiting: Docker gives up on slow plugins, and half a mount is
    /// worse than a late one.
    pub(crate) async fn to_the_end<T, W>(&self, name: &'static str, work: W) -> Result<T>
    where
        T: Send + 'static,
        W: Future<Output = Result<T>> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let task = async move {
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(work.await);
        };
        self.ports.runtime.tasks.spawn(name, Box::pin(task));
        answered
            .await
            .unwrap_or_else(|_| Err(PortError::new(ErrorKind::Unavailable, name, "here", "the agent is stopping")))
    }

    pub(crate) async fn sleep(&self, length: Duration) {
        self.ports.runtime.clock.sleep(length).await;
    }

    pub(crate) fn now(&self) -> Duration {
        self.ports.runtime.clock.monotonic()
    }
}
