//! Who may become a process of the cluster: one-time tokens, and certificates of the cluster's authority for 30 days.
//!
//! **Invariant:** a token gives certificates for one key only: the first to show it binds it to its key by a conditional
//! update, and only the same joiner may repeat. Of a token's secret the database has a hash.

use std::time::Duration;

use async_trait::async_trait;
use om_backend::joining::{FINGERPRINT_DIGITS, TOKEN_HEAD, split_token};
use om_backend::{
    CertificateRequest, ErrorKind, Issued, JoinRequest, Joined, Joining, PeerIdentity, PeerRole, PortError, Result,
};
use om_model::{FieldError, Invalid, NodeId};
use sha2::{Digest, Sha256};

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::{JoinToken, TokenUse};

#[cfg(test)]
mod tests;

/// How long the certificates of processes are good for; they are renewed at two thirds.
const PEER_DAYS: u32 = 30;
const SECRET_LENGTH: usize = 32;
/// A token may wait for so long.
const VALID_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Control {
    /// A token by which one agent or storage host may join within `valid`.
    ///
    /// # Errors
    /// [`ControlError::Invalid`] for a server, or for no time or more than 30 days.
    pub async fn new_join_token(&self, role: PeerRole, valid: Duration) -> std::result::Result<String, ControlError> {
        if role == PeerRole::Server {
            let problem = "a server needs the control database and the key file, and no token";
            return Err(Invalid::from(FieldError::new("role", problem, "agent or storage")).into());
        }
        if valid.is_zero() || valid > VALID_MAX {
            let problem = format!("{} s is out of range", valid.as_secs());
            return Err(Invalid::from(FieldError::new("valid", problem, "1 s to 30 days")).into());
        }
        self.drop_expired_tokens().await?;
        let secret = self.ports.runtime.new_password(SECRET_LENGTH);
        let token = JoinToken { role, expires: self.now().plus(valid), used: None };
        self.store.join_tokens.create(&hash(secret.as_bytes()), &token).await?;
        let fingerprint = hash(self.authority().await?.certificate.as_bytes());
        Ok(format!("{TOKEN_HEAD}{}-{secret}", &fingerprint[..FINGERPRINT_DIGITS]))
    }

    /// A certificate for this server itself, called `name`: good for people who know it by the cluster's server names or
    /// addresses, and for agents.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn server_identity(&self, name: &str) -> std::result::Result<Issued, ControlError> {
        let peer = PeerIdentity { role: PeerRole::Server, name: name.to_owned() };
        Ok(self.ports.authority.issue(&self.authority().await?, &self.peer_request(peer))?)
    }

    async fn drop_expired_tokens(&self) -> std::result::Result<(), ControlError> {
        for stored in self.store.join_tokens.all("").await? {
            if stored.value.expires <= self.now() {
                self.store.join_tokens.remove(&stored.name).await?;
            }
        }
        Ok(())
    }

    /// Only servers are known to people, by names and addresses. With those, an agent could pass for a server.
    fn peer_request(&self, peer: PeerIdentity) -> CertificateRequest {
        let (mut names, mut addresses) = (Vec::new(), Vec::new());
        if peer.role == PeerRole::Server {
            names = self.server_names();
            names.push("localhost".to_owned());
            addresses = self.settings.server_addresses.clone();
        }
        CertificateRequest {
            subject: format!("{}/{}", peer.role, peer.name),
            names,
            addresses,
            peer: Some(peer),
            from: self.now(),
            days: PEER_DAYS,
        }
    }

    /// Binds the token to the joiner's key, unless it is bound to another.
    async fn use_token(&self, request: &JoinRequest, key: &[u8]) -> Result<()> {
        let refuse = |detail: &str| {
            Err(PortError::new(ErrorKind::Refused, "join with", "the token", detail)
                .advise("make a new one on a server: `openmanage node token`"))
        };
        let Some((_, secret)) = split_token(&request.token) else { return refuse("it is no token") };
        let name = hash(secret.as_bytes());
        let stored = self.store.join_tokens.get(&name).await.map_err(unavailable)?;
        let Some(token) = stored.map(|stored| stored.value) else {
            return refuse("it is not known here, or is over");
        };
        if token.expires <= self.now() {
            return refuse("its time is over");
        }
        if token.role != request.role {
            return refuse(&format!("it is for the role {}, not for {}", token.role, request.role));
        }
        let own = TokenUse { name: request.name.clone(), key: hash(key) };
        let bind =
            |token: &JoinToken| token.used.is_none().then(|| JoinToken { used: Some(own.clone()), ..token.clone() });
        match self.store.join_tokens.change(&name, bind).await.map_err(unavailable)? {
            Some(token) if token.used.as_ref() == Some(&own) => Ok(()),
            Some(JoinToken { used: Some(other), .. }) => refuse(&format!("{} has used it", other.name)),
            _ => refuse("it is over"),
        }
    }

    async fn authority_for_peers(&self) -> Result<Issued> {
        self.authority().await.map_err(|error| match error {
            ControlError::Unavailable(detail) => unavailable(detail),
            other => PortError::new(ErrorKind::Refused, "read", "the cluster's authority", other),
        })
    }
}

#[async_trait]
impl Joining for Control {
    async fn authority(&self) -> Result<String> {
        Ok(self.authority_for_peers().await?.certificate)
    }

    async fn join(&self, request: &JoinRequest) -> Result<Joined> {
        let name: NodeId = request
            .name
            .parse()
            .map_err(|error: FieldError| PortError::new(ErrorKind::Invalid, "join as", &request.name, error))?;
        let key = self.ports.authority.requested_key(&request.csr)?;
        let authority = self.authority_for_peers().await?;
        self.use_token(request, &key).await?;
        let peer = PeerIdentity { role: request.role, name: name.to_string() };
        let certificate = self.ports.authority.sign(&authority, &request.csr, &self.peer_request(peer.clone()))?;
        tracing::info!(%peer, "joined");
        Ok(Joined { certificate, authority: authority.certificate })
    }

    async fn renew(&self, peer: &PeerIdentity, csr: &str) -> Result<String> {
        let authority = self.authority_for_peers().await?;
        self.ports.authority.sign(&authority, csr, &self.peer_request(peer.clone()))
    }
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unavailable(error: impl ToString) -> PortError {
    PortError::new(ErrorKind::Unavailable, "use", "the control database", error).advise("try again")
}
