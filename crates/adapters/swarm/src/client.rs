//! The connection to a manager's Docker, made when first needed, and what its errors mean.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{LocalNodeState, SwarmInfo};
use om_backend::{ErrorKind, Network, PortError, Result};
use om_model::ClusterName;
use tokio::sync::OnceCell;

/// How long a request may take. All of them only read or write the Swarm's state; one that was on its way to a leader
/// that died is better asked again than waited for.
const REQUEST_WITHIN: Duration = Duration::from_secs(5);
const START_DOCKER: &str = "install Docker if it is missing (apt-get install docker.io), and start it: `systemctl start \
     docker` or `service docker start`";
const NO_LEADER: &str = "more than half of the Swarm's managers must run and reach one another: `docker node ls` on each, \
     and look at those that are down";
const NOT_A_MANAGER: &str =
    "run the server on a manager, or make this node one: `docker node promote NODE` on a manager";

/// How the Swarm is to be used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The socket of a manager's Docker.
    pub socket: PathBuf,
    /// The cluster: its name is on every label.
    pub cluster: ClusterName,
    /// The nodes' own network, which members are on too.
    pub network: Network,
    /// The name that our volume plugin has in Docker, on every node.
    pub volume_driver: String,
    /// Name servers for members' containers; those of the node if there are none.
    pub nameservers: Vec<IpAddr>,
}

impl Settings {
    /// The usual ones: Docker's usual socket, the driver `openmanage`, the nodes' own name servers.
    pub fn new(cluster: ClusterName, network: Network) -> Self {
        let socket = PathBuf::from("/var/run/docker.sock");
        Self { socket, cluster, network, volume_driver: "openmanage".to_owned(), nameservers: Vec::new() }
    }
}

/// Docker Swarm. Docker need not run when this is made: every call finds out anew.
pub struct SwarmOrchestrator {
    pub(crate) settings: Settings,
    client: OnceCell<Docker>,
}

impl SwarmOrchestrator {
    /// The Swarm whose manager is behind `settings.socket`.
    pub fn new(settings: Settings) -> Self {
        Self { settings, client: OnceCell::new() }
    }

    /// The client, its API version agreed on with the daemon.
    pub(crate) async fn client(&self) -> Result<&Docker> {
        self.client.get_or_try_init(|| self.connect()).await
    }

    async fn connect(&self) -> Result<Docker> {
        let wrong = |error: Error| failed("connect to", "Docker", error);
        let path = self.settings.socket.to_string_lossy();
        let client = Docker::connect_with_unix(&path, REQUEST_WITHIN.as_secs(), bollard::API_DEFAULT_VERSION);
        client.map_err(wrong)?.negotiate_version().await.map_err(wrong)
    }

    /// Fails, with advice, unless this Docker is a manager of a Swarm that has a leader.
    pub(crate) async fn manages(&self) -> Result<()> {
        let client = self.client().await?;
        let info = client.info().await.map_err(|error| failed("ask", "Docker for its Swarm", error))?;
        membership(&info.swarm.unwrap_or_default())?;
        // Answered by the leader only.
        client.list_nodes(None).await.map(drop).map_err(|error| failed("ask", "the Swarm's leader", error))
    }
}

/// Whether a Docker that says this of its Swarm can be used.
fn membership(info: &SwarmInfo) -> Result<()> {
    let (kind, detail, advice) = match info.local_node_state {
        Some(LocalNodeState::ACTIVE) if info.control_available == Some(true) => return Ok(()),
        Some(LocalNodeState::ACTIVE) => (ErrorKind::Refused, "this node is a worker", NOT_A_MANAGER),
        Some(LocalNodeState::LOCKED) => (ErrorKind::Refused, "the Swarm is locked", "unlock it: `docker swarm unlock`"),
        Some(LocalNodeState::PENDING) => (ErrorKind::Unavailable, "this node is still joining", "wait, then repeat"),
        Some(LocalNodeState::ERROR) => {
            let said = info.error.as_deref().unwrap_or("no reason given");
            return Err(PortError::new(ErrorKind::Unavailable, "use", "Docker Swarm", said).advise(NO_LEADER));
        }
        _ => {
            let advice = "`docker swarm init` on the first manager, `docker swarm join` on the other nodes";
            (ErrorKind::Refused, "this Docker is not in a Swarm", advice)
        }
    };
    Err(PortError::new(kind, "use", "Docker Swarm", detail).advise(advice))
}

/// The status that Docker answered with, if it answered.
pub(crate) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// True if somebody else changed the object between our reading and our writing it.
pub(crate) fn out_of_sequence(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { message, .. } if message.contains("out of sequence"))
}

/// An error of Docker's, with the kind that it means.
pub(crate) fn failed(action: &str, subject: impl ToString, error: Error) -> PortError {
    let (kind, detail, advice) = match error {
        Error::DockerResponseServerError { status_code, message } => {
            (kind_of(status_code, &message), message.clone(), advice_of(&message))
        }
        Error::RequestTimeoutError => (ErrorKind::TimedOut, "Docker did not answer in time".to_owned(), None),
        Error::DockerStreamError { error } => (ErrorKind::Unavailable, error, None),
        // No answer at all: the daemon is not running, or went away.
        other => (ErrorKind::Unavailable, other.to_string(), Some(START_DOCKER)),
    };
    let error = PortError::new(kind, action, subject, detail);
    match advice {
        Some(advice) => error.advise(advice),
        None => error,
    }
}

fn kind_of(status: u16, message: &str) -> ErrorKind {
    match status {
        400 => ErrorKind::Invalid,
        403 | 409 => ErrorKind::Refused,
        404 => ErrorKind::NotFound,
        _ if message.contains("no space left") => ErrorKind::Exhausted,
        _ if message.contains("DeadlineExceeded") || message.contains("deadline exceeded") => ErrorKind::TimedOut,
        _ => ErrorKind::Unavailable,
    }
}

fn advice_of(message: &str) -> Option<&'static str> {
    let says = |text: &str| message.contains(text);
    match () {
        () if says("does not have a leader") => Some(NO_LEADER),
        () if says("not a swarm manager") => Some(NOT_A_MANAGER),
        () => None,
    }
}

#[cfg(test)]
mod tests;
