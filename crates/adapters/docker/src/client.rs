//! The connection to Docker, made when first needed, and what its errors mean.

use std::path::PathBuf;
use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use om_backend::{ErrorKind, PortError, Result};
use om_model::ClusterName;
use tokio::sync::OnceCell;

/// How long an ordinary request may take. Docker asks volume plugins in the middle of some, and waits for them.
const REQUEST_WITHIN: Duration = Duration::from_secs(180);
const ADVICE: &str = "install Docker if it is missing (apt-get install docker.io), and start it: `systemctl start docker` \
     or `service docker start`";

/// How the engine is to be used.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Docker's socket.
    pub socket: PathBuf,
    /// The cluster: its name is on every label and in the network's name.
    pub cluster: ClusterName,
    /// The network's subnet as `address/length`; the first free one of a list when absent.
    pub subnet: Option<String>,
    /// The name that our volume plugin has in Docker.
    pub volume_driver: String,
}

impl Settings {
    /// The usual ones: Docker's usual socket, any free subnet, the driver `openmanage`.
    pub fn new(cluster: ClusterName) -> Self {
        let socket = PathBuf::from("/var/run/docker.sock");
        Self { socket, cluster, subnet: None, volume_driver: "openmanage".to_owned() }
    }
}

/// Docker Engine. It need not run when this is made: every call finds out anew.
pub struct DockerEngine {
    pub(crate) settings: Settings,
    client: OnceCell<Docker>,
}

impl DockerEngine {
    /// The engine behind `settings.socket`.
    pub fn new(settings: Settings) -> Self {
        Self { settings, client: OnceCell::new() }
    }

    /// The client, its API version agreed on with the daemon.
    pub(crate) async fn client(&self) -> Result<&Docker> {
        self.client.get_or_try_init(|| connect(&self.settings.socket)).await
    }

    /// The name of the cluster's network.
    pub fn network_name(&self) -> String {
        format!("openmanage-{}", self.settings.cluster)
    }
}

/// Connects to the daemon behind `socket`.
pub(crate) async fn connect(socket: &std::path::Path) -> Result<Docker> {
    let wrong = |error: Error| failed("connect to", "Docker", error);
    let path = socket.to_string_lossy();
    let client = Docker::connect_with_unix(&path, REQUEST_WITHIN.as_secs(), bollard::API_DEFAULT_VERSION);
    client.map_err(wrong)?.negotiate_version().await.map_err(wrong)
}

/// The status that Docker answered with, if it answered.
pub(crate) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// An error of Docker's, with the kind that it means.
pub(crate) fn failed(action: &str, subject: impl ToString, error: Error) -> PortError {
    let (kind, detail) = match error {
        Error::DockerResponseServerError { status_code, message } => (kind_of(status_code, &message), message),
        Error::RequestTimeoutError => (ErrorKind::TimedOut, "Docker did not answer in time".to_owned()),
        Error::DockerStreamError { error } => (ErrorKind::Unavailable, error),
        // No answer at all: the daemon is not running, or went away.
        other => return PortError::new(ErrorKind::Unavailable, action, subject, other).advise(ADVICE),
    };
    PortError::new(kind, action, subject, detail)
}

fn kind_of(status: u16, message: &str) -> ErrorKind {
    match status {
        400 => ErrorKind::Invalid,
        403 | 409 => ErrorKind::Refused,
        404 => ErrorKind::NotFound,
        _ if message.contains("no space left") => ErrorKind::Exhausted,
        _ => ErrorKind::Unavailable,
    }
}
