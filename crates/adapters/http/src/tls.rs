//! The TLS side of an endpoint, from PEM.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::connection::Tls;
use crate::error::HttpError;

/// Takes TLS connections with `certificate` (a chain, leaf first) and `key`, both PEM. The ring provider is named here,
/// so that nothing depends on a provider installed for the whole process.
pub(crate) fn acceptor(address: SocketAddr, certificate: &str, key: &str) -> Result<Tls, HttpError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| HttpError::certificate(address, format!("the certificate is not PEM: {error}")))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
        .map_err(|error| HttpError::certificate(address, format!("the key is not PEM: {error}")))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| HttpError::certificate(address, error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| HttpError::certificate(address, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls { acceptor: Arc::new(config).into(), identify: |_| None })
}
