//! Joining: the first certificate for a token, and the next ones for the present one.
//!
//! **Invariant:** the token's secret goes only over a connection to a server for which the authority with the token's
//! fingerprint vouches. What is fetched before that, over a connection nobody vouches for, is that authority's certificate,
//! which the fingerprint proves.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use om_backend::joining::{FINGERPRINT_DIGITS, TOKEN_HEAD, split_token};
use om_backend::{Authority, ErrorKind, JoinRequest, Joined, Joining, PeerIdentity, PeerRole, PortError, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use sha2::{Digest, Sha256};

use crate::folder::{drop_joining_key, joining_key, keep_joining_key};
use crate::identity::{Identity, anonymous_client, client, provider};
use crate::servers::Servers;
use crate::serving::{allow, serve};
use crate::wire::joining::{AUTHORITY, JOIN, RENEW, Renew};

/// The server's side. Anybody may ask for the authority's certificate and try a token; agents and storage hosts may renew
/// their own certificates.
pub fn joining_router(joining: Arc<dyn Joining>) -> Router {
    let renewing = serve(Router::new(), &RENEW, &joining, |joining, caller, Renew { csr }| async move {
        let nobody = || PortError::new(ErrorKind::Refused, "renew", "a certificate", "the caller shows none");
        joining.renew(&caller.ok_or_else(nobody)?, &csr).await
    });
    let router = allow(renewing, &[PeerRole::Agent, PeerRole::Storage]);
    let router = serve(router, &AUTHORITY, &joining, |joining, _, ()| async move { joining.authority().await });
    serve(router, &JOIN, &joining, |joining, _, request| async move { joining.join(&request).await })
}

/// The servers, as whoever has a certificate calls them for the next.
#[derive(Clone)]
pub struct RemoteJoining {
    servers: Arc<Servers>,
}

impl RemoteJoining {
    /// The servers at `urls` (`https://host:port`), any of which will do. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if a URL is none.
    pub fn new(identity: &Identity, urls: &[impl AsRef<str>]) -> Result<Self> {
        Ok(Self { servers: Servers::new(&identity.client_config(), urls)? })
    }
}

#[async_trait]
impl Joining for RemoteJoining {
    async fn authority(&self) -> Result<String> {
        self.servers.ask(&AUTHORITY, &()).await
    }

    async fn join(&self, request: &JoinRequest) -> Result<Joined> {
        self.servers.ask(&JOIN, request).await
    }

    async fn renew(&self, _: &PeerIdentity, csr: &str) -> Result<String> {
        self.servers.ask(&RENEW, &Renew { csr: csr.to_owned() }).await
    }
}

/// Who joins, and where.
#[derive(Clone, Copy)]
pub struct Joiner<'a> {
    /// The servers' URLs (`https://host:port`), any of which will do.
    pub servers: &'a [String],
    /// The one-time token: a secret.
    pub token: &'a str,
    /// What joins.
    pub role: PeerRole,
    /// Which: the node's name for an agent.
    pub name: &'a str,
    /// Where the identity is kept.
    pub folder: &'a Path,
}

/// Joins the cluster: a key made here, a certificate for it from a server, both kept in the folder. May be repeated with the
/// same token and folder after any failure, also after a crash.
///
/// # Errors
/// [`ErrorKind::Invalid`] if the token is none, [`ErrorKind::Refused`] if the servers' authority is not the token's or they
/// do not take the token.
pub async fn join(joiner: Joiner<'_>, maker: &dyn Authority) -> Result<Arc<Identity>> {
    let (fingerprint, _) = split_token(joiner.token).ok_or_else(|| {
        let form = format!("it does not have the form {TOKEN_HEAD}<{FINGERPRINT_DIGITS} digits>-<secret>");
        PortError::new(ErrorKind::Invalid, "use", "the join token", form).advise("copy the whole token")
    })?;
    let authority: String = Servers::new(&trusting_nobody()?, joiner.servers)?.ask(&AUTHORITY, &()).await?;
    if self::fingerprint(&authority) != fingerprint.to_ascii_lowercase() {
        let detail = "the server's authority is not the one that the token is of; nothing was sent to it";
        return Err(PortError::new(ErrorKind::Refused, "join", joiner.servers.join(", "), detail)
            .advise("check the servers' URL, then make a new token on this cluster's server"));
    }
    // A key from an earlier try is used again: the server knows the repetition by it.
    let requested = maker.request(joining_key(joiner.folder)?.as_deref())?;
    keep_joining_key(joiner.folder, &requested.key)?;
    let request = JoinRequest {
        token: joiner.token.trim().to_owned(),
        role: joiner.role,
        name: joiner.name.to_owned(),
        csr: requested.csr,
    };
    let joined = Servers::new(&anonymous_client(&authority)?, joiner.servers)?.ask(&JOIN, &request).await?;
    let identity = Identity::new(&joined.certificate, &requested.key, &authority)?;
    let wanted = PeerIdentity { role: joiner.role, name: joiner.name.to_owned() };
    if identity.peer() != wanted {
        let detail = format!("the certificate is for the {}", identity.peer());
        return Err(PortError::new(ErrorKind::Invalid, "join as", wanted, detail));
    }
    identity.keep(joiner.folder)?;
    drop_joining_key(joiner.folder)?;
    Ok(identity)
}

/// The fingerprint of an authority's certificate, as it stands in tokens.
fn fingerprint(authority: &str) -> String {
    let digits: String = Sha256::digest(authority.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    digits[..FINGERPRINT_DIGITS].to_owned()
}

/// A client for the one call whose answer proves itself.
fn trusting_nobody() -> Result<Arc<ClientConfig>> {
    let algorithms = provider().signature_verification_algorithms;
    client(|builder| {
        let verifier = Arc::new(AnyServer { algorithms });
        Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
    })
}

/// Takes any certificate.
#[derive(Debug)]
struct AnyServer {
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
