//! The certificate authority: founds itself, and issues certificates for servers and clients.
//!
//! **Invariant:** an authority signs leaves only (path length 0), a leaf signs nothing, and no two certificates of one
//! authority have the same serial number.

use std::time::Duration;

use om_backend::authority::{Authority, CertificateRequest, Issued, Requested};
use om_backend::{ErrorKind, PortError, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, SerialNumber,
    date_time_ymd,
};

#[cfg(test)]
mod tests;

/// Certificates are valid from this long before the time asked for, for clocks that lag.
const LAG: Duration = Duration::from_secs(3600);

/// The last second that an X.509 date can name: the end of the year 9999, since 1970.
const END_OF_TIME: u64 = 253_402_300_799;

/// The authority: ECDSA P-256 keys, certificates from rcgen. Stateless.
#[derive(Clone, Copy, Debug, Default)]
pub struct RcgenAuthority;

impl Authority for RcgenAuthority {
    fn found(&self, request: &CertificateRequest) -> Result<Issued> {
        let wrap = |error| failed("found the certificate authority", request, error);
        let mut params = params("found the certificate authority", request)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(wrap)?;
        let certificate = params.self_signed(&key).map_err(wrap)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn issue(&self, authority: &Issued, request: &CertificateRequest) -> Result<Issued> {
        let wrap = |error| failed(ISSUE, request, error);
        let key = KeyPair::generate().map_err(wrap)?;
        let certificate = leaf(request)?.signed_by(&key, &issuer(authority, request)?).map_err(wrap)?;
        Ok(Issued { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    fn request(&self, key: Option<&str>) -> Result<Requested> {
        let wrap = |error| PortError::new(ErrorKind::Invalid, "request", "a certificate", error);
        let key = key.map_or_else(KeyPair::generate, KeyPair::from_pem).map_err(wrap)?;
        let params = CertificateParams::new(Vec::new()).map_err(wrap)?;
        let csr = params.serialize_request(&key).and_then(|request| request.pem()).map_err(wrap)?;
        Ok(Requested { key: key.serialize_pem(), csr })
    }

    fn requested_key(&self, csr: &str) -> Result<Vec<u8>> {
        Ok(signing_request(csr)?.public_key.der_bytes().to_vec())
    }

    fn sign(&self, authority: &Issued, csr: &str, request: &CertificateRequest) -> Result<String> {
        let requested = signing_request(csr)?;
        let certificate = leaf(request)?.signed_by(&requested.public_key, &issuer(authority, request)?);
        Ok(certificate.map_err(|error| failed(ISSUE, request, error))?.pem())
    }
}

const ISSUE: &str = "issue a certificate for";

fn issuer(authority: &Issued, request: &CertificateRequest) -> Result<Issuer<'static, KeyPair>> {
    let wrap = |error| failed(ISSUE, request, error);
    let key = KeyPair::from_pem(&authority.key).map_err(wrap)?;
    Issuer::from_ca_cert_pem(&authority.certificate, key).map_err(wrap)
}

/// The signing request, with its signature checked: whoever made it has the key.
fn signing_request(csr: &str) -> Result<CertificateSigningRequestParams> {
    CertificateSigningRequestParams::from_pem(csr)
        .map_err(|error| PortError::new(ErrorKind::Invalid, "read", "the signing request", error))
}

fn leaf(request: &CertificateRequest) -> Result<CertificateParams> {
    let mut params = params(ISSUE, request)?;
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    if let Some(peer) = &request.peer {
        let wrap = |error| failed(ISSUE, request, error);
        let role = peer.role.dns_name().try_into().map_err(wrap)?;
        let uri = peer.uri().try_into().map_err(wrap)?;
        params.subject_alt_names.extend([SanType::DnsName(role), SanType::URI(uri)]);
    }
    Ok(params)
}

/// What a certificate of an authority and a leaf have in common.
fn params(action: &str, request: &CertificateRequest) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(request.names.clone()).map_err(|error| failed(action, request, error))?;
    params.subject_alt_names.extend(request.addresses.iter().copied().map(SanType::IpAddress));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, request.subject.as_str());
    let from = request.from.as_millis() / 1000;
    let until = from.saturating_add(u64::from(request.days) * 86_400);
    if until > END_OF_TIME {
        let detail = format!("{} days reach past the year 9999", request.days);
        return Err(PortError::new(ErrorKind::Invalid, action, &request.subject, detail));
    }
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + Duration::from_secs(from.saturating_sub(LAG.as_secs()));
    params.not_after = epoch + Duration::from_secs(until);
    params.serial_number = Some(serial(action, request)?);
    Ok(params)
}

/// 126 random bits under a fixed head: positive, never zero and always 16 octets, whatever the bits are.
fn serial(action: &str, request: &CertificateRequest) -> Result<SerialNumber> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| failed(action, request, error))?;
    bytes[0] = bytes[0] & 0x3f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

fn failed(action: &str, request: &CertificateRequest, error: impl ToString) -> PortError {
    PortError::new(ErrorKind::Invalid, action, &request.subject, error)
}
