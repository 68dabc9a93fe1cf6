//! What a certificate says: whose it is and from when until when.

use om_backend::{ErrorKind, PeerIdentity, PortError, Result};
use om_model::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Who the certificate (DER) speaks for, if it is one of a process of the cluster. Says nothing about who signed it.
pub fn peer_of(der: &[u8]) -> Option<PeerIdentity> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let uri = |name: &GeneralName<'_>| match name {
        GeneralName::URI(uri) => uri.parse().ok(),
        _ => None,
    };
    names.value.general_names.iter().find_map(uri)
}

/// From when until when the certificate is valid.
pub(crate) fn validity(der: &[u8]) -> Result<(Timestamp, Timestamp)> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| invalid("certificate", error))?;
    let validity = certificate.validity();
    let time = |seconds: i64| Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
    Ok((time(validity.not_before.timestamp()), time(validity.not_after.timestamp())))
}

/// The certificates in a PEM text, at least one.
pub(crate) fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>> {
    let chain: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let chain = chain.map_err(|error| invalid("certificate", error))?;
    if chain.is_empty() {
        return Err(invalid("certificate", "the text has no certificate in it"));
    }
    Ok(chain)
}

pub(crate) fn invalid(subject: &str, detail: impl ToString) -> PortError {
    PortError::new(ErrorKind::Invalid, "use", subject, detail)
        .advise("join again with a new token from `openmanage node token`")
}
