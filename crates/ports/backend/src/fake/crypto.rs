//! Fake cryptography: recognisable, and as safe as it looks.

use crate::authority::{Authority, CertificateRequest, Issued, Requested};
use crate::error::{ErrorKind, PortError, Result};
use crate::seal::Seal;

/// "Seals" by reversing the bytes behind the context, so that a test can tell sealed from plain.
#[derive(Clone, Copy, Default)]
pub struct FakeSeal;

impl Seal for FakeSeal {
    fn seal(&self, context: &str, plain: &[u8]) -> Result<Vec<u8>> {
        let mut sealed = format!("sealed:{context}:").into_bytes();
        sealed.extend(plain.iter().rev());
        Ok(sealed)
    }

    fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>> {
        let prefix = format!("sealed:{context}:").into_bytes();
        let wrong = || PortError::new(ErrorKind::Invalid, "open", context, "it was sealed for another context");
        let body = sealed.strip_prefix(prefix.as_slice()).ok_or_else(wrong)?;
        Ok(body.iter().rev().copied().collect())
    }
}

/// "Certificates" that name their subject.
#[derive(Clone, Copy, Default)]
pub struct FakeAuthority;

impl Authority for FakeAuthority {
    fn found(&self, request: &CertificateRequest) -> Result<Issued> {
        Ok(Issued { certificate: format!("authority {}", request.subject), key: "authority key".into() })
    }

    fn issue(&self, authority: &Issued, request: &CertificateRequest) -> Result<Issued> {
        let certificate = format!("{} signed by {}", request.subject, authority.certificate);
        Ok(Issued { certificate, key: format!("key of {}", request.subject) })
    }

    fn request(&self, key: Option<&str>) -> Result<Requested> {
        let key = key.unwrap_or("a new key");
        Ok(Requested { key: key.to_owned(), csr: format!("request for {key}") })
    }

    fn requested_key(&self, csr: &str) -> Result<Vec<u8>> {
        let unproven = || PortError::new(ErrorKind::Invalid, "read", "the signing request", "it proves no key");
        Ok(csr.strip_prefix("request for ").ok_or_else(unproven)?.as_bytes().to_vec())
    }

    fn sign(&self, authority: &Issued, csr: &str, request: &CertificateRequest) -> Result<String> {
        let key = String::from_utf8_lossy(&self.requested_key(csr)?).into_owned();
        let peer = request.peer.as_ref().map_or_else(|| request.subject.clone(), ToString::to_string);
        Ok(format!("{peer} with {key} until {} days signed by {}", request.days, authority.certificate))
    }
}
