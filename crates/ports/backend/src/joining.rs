//! How agents and storage hosts come to certificates of the cluster's authority, and keep them.
//!
//! A token is `OMJ-<fingerprint>-<secret>`: by the fingerprint the joiner knows the cluster's authority, by the secret the
//! cluster knows that an operator wants the joiner. **Invariant:** the secret is sent only to a server that the authority
//! with that fingerprint vouches for, and is good for one key.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::authority::{PeerIdentity, PeerRole};
use crate::error::Result;

/// The head of every token.
pub const TOKEN_HEAD: &str = "OMJ-";

/// How many hexadecimal digits of the SHA-256 of the authority's certificate (its PEM text) a token begins with.
pub const FINGERPRINT_DIGITS: usize = 32;

/// Asks for the first certificate.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinRequest {
    /// The whole token: a secret.
    pub token: String,
    /// What the joiner is.
    pub role: PeerRole,
    /// Which: the node's name for an agent.
    pub name: String,
    /// A signing request for a key of its own, PEM.
    pub csr: String,
}

/// The answer to a [`JoinRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// The joiner's certificate, PEM.
    pub certificate: String,
    /// The authority's certificate, PEM.
    pub authority: String,
}

/// Gives certificates to the processes of the cluster.
#[async_trait]
pub trait Joining: Send + Sync {
    /// The authority's certificate, PEM. Anybody may ask; a joiner compares it with its token's fingerprint.
    async fn authority(&self) -> Result<String>;

    /// The first certificate. A token serves once; the same joiner with the same key may repeat it.
    /// [`ErrorKind::Refused`](crate::ErrorKind) if the token is used up, expired, unknown or for another role.
    async fn join(&self, request: &JoinRequest) -> Result<Joined>;

    /// The next certificate of `peer`, for the key of `csr`. Over the network, `peer` is whoever the present certificate
    /// names, whatever the caller says.
    async fn renew(&self, peer: &PeerIdentity, csr: &str) -> Result<String>;
}

/// The fingerprint in a token and the secret behind it, if it has the form of one.
pub fn split_token(token: &str) -> Option<(&str, &str)> {
    let (fingerprint, secret) = token.trim().strip_prefix(TOKEN_HEAD)?.split_once('-')?;
    let hex = fingerprint.len() == FINGERPRINT_DIGITS && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit());
    (hex && !secret.is_empty()).then_some((fingerprint, secret))
}
