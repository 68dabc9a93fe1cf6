//! The built-in certificate authority.

use std::net::IpAddr;

use om_model::Timestamp;

use crate::error::Result;

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
    /// Valid from (an hour before, in fact, for clocks that lag).
    pub from: Timestamp,
    /// Valid for this many days.
    pub days: u32,
}

/// Makes certificates. Stateless: the authority's own key is handed in.
pub trait Authority: Send + Sync {
    /// A new authority.
    fn found(&self, request: &CertificateRequest) -> Result<Issued>;

    /// A certificate signed by `authority`.
    fn issue(&self, authority: &Issued, request: &CertificateRequest) -> Result<Issued>;
}
