//! The built-in certificate authority, and the identities it vouches for between the cluster's own processes.
//!
//! **Invariant:** a key never travels: whoever joins makes its own ([`Authority::request`]) and has it signed
//! ([`Authority::sign`]).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use om_model::{FieldError, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::Result;

/// What a process of the cluster is, hence what it may ask of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerRole {
    /// A server.
    Server,
    /// The agent of a node.
    Agent,
    /// A storage host.
    Storage,
}

/// Who is at the other end of a connection, as its certificate says: `openmanage:<role>/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerIdentity {
    /// What it is.
    pub role: PeerRole,
    /// Which: a node's name for an agent.
    pub name: String,
}

/// A certificate authority's key and certificate, or a leaf's, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key: a secret.
    pub key: String,
}

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    /// The common name.
    pub subject: String,
    /// DNS names it is good for.
    pub names: Vec<String>,
    /// Addresses it is good for.
    pub addresses: Vec<IpAddr>,
    /// The process of the cluster it speaks for. Certificates of members have none.
    pub peer: Option<PeerIdentity>,
    /// Valid from (an hour before, in fact, for clocks that lag).
    pub from: Timestamp,
    /// Valid for this many days.
    pub days: u32,
}

/// A key of one's own, and the request to have it certified.
#[derive(Clone, PartialEq, Eq)]
pub struct Requested {
    /// The private key, PEM: a secret.
    pub key: String,
    /// The signing request, PEM: proves that the requester has the key.
    pub csr: String,
}

/// Makes certificates. Stateless: the authority's own key is handed in.
pub trait Authority: Send + Sync {
    /// A new authority.
    fn found(&self, request: &CertificateRequest) -> Result<Issued>;

    /// A certificate signed by `authority`.
    fn issue(&self, authority: &Issued, request: &CertificateRequest) -> Result<Issued>;

    /// A signing request for `key`, or for a new key.
    fn request(&self, key: Option<&str>) -> Result<Requested>;

    /// The public key that a signing request is for. [`ErrorKind::Invalid`](crate::ErrorKind) if the requester did not
    /// prove to have the private one.
    fn requested_key(&self, csr: &str) -> Result<Vec<u8>>;

    /// A certificate signed by `authority` for the key of a signing request. It says what `request` says; whatever the
    /// signing request asks for beside is ignored.
    fn sign(&self, authority: &Issued, csr: &str, request: &CertificateRequest) -> Result<String>;
}

impl PeerRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Server, Self::Agent, Self::Storage];

    /// The word in certificates and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
            Self::Storage => "storage",
        }
    }

    /// The DNS name in every certificate of the role. Nobody looks it up: a connection is to a role, wherever it answers.
    pub const fn dns_name(self) -> &'static str {
        match self {
            Self::Server => "server.openmanage.internal",
            Self::Agent => "agent.openmanage.internal",
            Self::Storage => "storage.openmanage.internal",
        }
    }
}

impl fmt::Display for PeerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PeerIdentity {
    /// The URI in the certificate.
    pub fn uri(&self) -> String {
        format!("openmanage:{}/{}", self.role, self.name)
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role, self.name)
    }
}

/// From the [URI](PeerIdentity::uri).
impl FromStr for PeerIdentity {
    type Err = FieldError;

    fn from_str(text: &str) -> std::result::Result<Self, FieldError> {
        let refuse = || FieldError::new("identity", format!("{text:?} is none"), "openmanage:<role>/<name>");
        let (role, name) = text.strip_prefix("openmanage:").and_then(|rest| rest.split_once('/')).ok_or_else(refuse)?;
        let role = PeerRole::ALL.into_iter().find(|known| known.as_str() == role).ok_or_else(refuse)?;
        if name.is_empty() {
            return Err(refuse());
        }
        Ok(Self { role, name: name.to_owned() })
    }
}
