//! A process's own certificate and key, and both sides of TLS with them.
//!
//! **Invariant:** certificate and key change together, and every handshake that begins after [`Identity::replace`] shows
//! the new ones. Sessions are not resumed: a resumed one would carry the identities of the handshake it stems from.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use om_backend::{PeerIdentity, Result};
use om_model::Timestamp;
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, ServerConfig, SignatureScheme};

use crate::certificate::{chain, invalid, peer_of, validity};

/// The only protocol spoken.
const PROTOCOL: &[u8] = b"http/1.1";

/// Who a process is, and whom it trusts. Shared by every listener and client of the process.
pub struct Identity {
    authority: String,
    shown: Arc<Shown>,
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

/// What is shown in handshakes from now on.
struct Shown(ArcSwap<Own>);

struct Own {
    key: Arc<CertifiedKey>,
    certificate_pem: String,
    key_pem: String,
    peer: PeerIdentity,
    valid: (Timestamp, Timestamp),
}

impl Identity {
    /// From PEM: the own certificate chain (leaf first), its key, and the certificate of the cluster's authority.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](om_backend::ErrorKind) if one cannot be used, if the key is another certificate's, or if the
    /// certificate names no process of the cluster.
    pub fn new(certificate: &str, key: &str, authority: &str) -> Result<Arc<Self>> {
        let shown = Arc::new(Shown(ArcSwap::from_pointee(Own::new(certificate, key)?)));
        let roots = roots(authority)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider())
            .allow_unauthenticated()
            .build()
            .map_err(|error| invalid("the authority's certificate", error))?;
        let mut server = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| invalid("TLS", error))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(shown.clone());
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        server.alpn_protocols = vec![PROTOCOL.to_vec()];
        let client =
            client(|builder| Ok(builder.with_root_certificates(roots).with_client_cert_resolver(shown.clone())))?;
        Ok(Arc::new(Self { authority: authority.to_owned(), shown, server: Arc::new(server), client }))
    }

    /// Shows this certificate from the next handshake on. It has to be the same process's.
    ///
    /// # Errors
    /// As [`Self::new`]; the present one then stays.
    pub fn replace(&self, certificate: &str, key: &str) -> Result<()> {
        let own = Own::new(certificate, key)?;
        if own.peer != self.peer() {
            return Err(invalid(
                "the new certificate",
                format!("it is for the {}, not for the {}", own.peer, self.peer()),
            ));
        }
        self.shown.0.store(Arc::new(own));
        Ok(())
    }

    /// Who the process is.
    pub fn peer(&self) -> PeerIdentity {
        self.shown.0.load().peer.clone()
    }

    /// The authority's certificate, PEM.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The present certificate and its key, PEM.
    pub(crate) fn pem(&self) -> (String, String) {
        let own = self.shown.0.load();
        (own.certificate_pem.clone(), own.key_pem.clone())
    }

    /// From when until when the present certificate is valid.
    pub fn valid(&self) -> (Timestamp, Timestamp) {
        self.shown.0.load().valid
    }

    /// The server's side of handshakes. A client may come without a certificate (people have tokens instead), but not with
    /// one that the authority did not sign or that is over.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// The client's side of handshakes.
    pub(crate) fn client_config(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }
}

/// Never shows the key.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.peer())
    }
}

/// A client that shows no certificate and trusts servers of this authority.
pub(crate) fn anonymous_client(authority: &str) -> Result<Arc<ClientConfig>> {
    let roots = roots(authority)?;
    client(|builder| Ok(builder.with_root_certificates(roots).with_no_client_auth()))
}

/// A client's configuration, but for whom it trusts and what it shows.
pub(crate) fn client(
    rest: impl FnOnce(rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>) -> Result<ClientConfig>,
) -> Result<Arc<ClientConfig>> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS", error))?;
    let mut config = rest(builder)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

/// Named here, so that nothing depends on a provider installed for the whole process.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn roots(authority: &str) -> Result<Arc<RootCertStore>> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(authority)? {
        roots.add(certificate).map_err(|error| invalid("the authority's certificate", error))?;
    }
    Ok(Arc::new(roots))
}

impl Own {
    fn new(certificate: &str, key: &str) -> Result<Self> {
        let chain = chain(certificate)?;
        let peer =
            peer_of(&chain[0]).ok_or_else(|| invalid("the certificate", "it names no process of the cluster"))?;
        let valid = validity(&chain[0])?;
        // The parser's message never shows the text.
        let private = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| invalid("the key", error))?;
        let certified = CertifiedKey::from_der(chain, private, &provider());
        let certified = certified.map_err(|error| invalid("the certificate with its key", error))?;
        Ok(Self {
            key: Arc::new(certified),
            certificate_pem: certificate.to_owned(),
            key_pem: key.to_owned(),
            peer,
            valid,
        })
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load().key.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({})", self.0.load().peer)
    }
}
