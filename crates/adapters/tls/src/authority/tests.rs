//! What is issued is what a verifier accepts, and nothing more.

use std::sync::Arc;

use om_backend::{PeerIdentity, PeerRole};
use om_model::Timestamp;
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;

use super::*;

/// 2026-01-01.
const NOW: u64 = 1_767_225_600;

fn request(subject: &str, names: &[&str], addresses: &[&str]) -> CertificateRequest {
    CertificateRequest {
        subject: subject.into(),
        names: names.iter().map(ToString::to_string).collect(),
        addresses: addresses.iter().map(|text| text.parse().expect("an address")).collect(),
        peer: None,
        from: Timestamp::from_millis(NOW * 1000),
        days: 30,
    }
}

fn der(issued: &Issued) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("PEM")
}

fn roots(authority: &Issued) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(der(authority)).expect("an authority");
    Arc::new(roots)
}

/// True if a TLS client that trusts `authority` takes the leaf (with `between` in its chain) for `name` at `time`.
fn trusted(authority: &Issued, leaf: &Issued, between: &[&Issued], name: &str, time: u64) -> bool {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority), provider).build().expect("roots");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let between: Vec<_> = between.iter().map(|issued| der(issued)).collect();
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time));
    verifier.verify_server_cert(&der(leaf), &between, &name, &[], time).is_ok()
}

#[test]
fn a_leaf_is_good_for_its_names_and_addresses_only() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let names = ["orders-0.test-openmanage.com", "localhost"];
    let leaf =
        RcgenAuthority.issue(&authority, &request("orders-0", &names, &["10.0.0.7", "fd00::7"])).expect("issued");
    for good in ["orders-0.test-openmanage.com", "localhost", "10.0.0.7", "fd00::7"] {
        assert!(trusted(&authority, &leaf, &[], good, NOW), "{good}");
    }
    for bad in ["orders-1.test-openmanage.com", "test-openmanage.com", "10.0.0.8", "orders-0"] {
        assert!(!trusted(&authority, &leaf, &[], bad, NOW), "{bad}");
    }
}

#[test]
fn validity_is_the_request_s_with_an_hour_for_clocks_that_lag() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let leaf = RcgenAuthority.issue(&authority, &request("a", &["a.test"], &[])).expect("issued");
    let end = NOW + 30 * 86_400;
    for (time, good) in [(NOW - 3601, false), (NOW - 3599, true), (end - 1, true), (end + 1, false)] {
        assert_eq!(trusted(&authority, &leaf, &[], "a.test", time), good, "{time}");
    }
    let forever = CertificateRequest { days: u32::MAX, ..request("a", &[], &[]) };
    let error = RcgenAuthority.found(&forever).map(drop).expect_err("beyond the calendar");
    assert_eq!(error.kind, ErrorKind::Invalid);
}

#[test]
fn a_leaf_is_good_for_clients_too() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let leaf = RcgenAuthority.issue(&authority, &request("replication", &[], &[])).expect("issued");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(&authority), provider).build().expect("roots");
    let time = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    assert!(verifier.verify_client_cert(&der(&leaf), &[], time).is_ok());
}

#[test]
fn another_authority_is_not_trusted_and_a_leaf_signs_nothing() {
    let found = || RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let (authority, other) = (found(), found());
    let leaf = RcgenAuthority.issue(&authority, &request("a", &["a.test"], &[])).expect("issued");
    assert!(!trusted(&other, &leaf, &[], "a.test", NOW), "same name, other key");
    let forged = RcgenAuthority.issue(&leaf, &request("b", &["b.test"], &[])).expect("rcgen signs with any key");
    assert!(!trusted(&authority, &forged, &[&leaf], "b.test", NOW), "a leaf acted as an authority");
}

#[test]
fn a_key_belongs_to_its_certificate_and_serials_differ() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let issue = || RcgenAuthority.issue(&authority, &request("a", &["a.test"], &[])).expect("issued");
    let (one, other) = (issue(), issue());
    let pair = |issued: &Issued, key: &Issued| {
        let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(key.key.as_bytes()).expect("PEM");
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![der(issued)], key)
            .is_ok()
    };
    assert!(pair(&one, &one) && !pair(&one, &other));
    let request = request("a", &[], &[]);
    let serials: std::collections::HashSet<_> =
        (0..100).map(|_| serial("test", &request).expect("random").to_bytes()).collect();
    assert_eq!(serials.len(), 100);
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] & 0xc0 == 0x40));
}

#[test]
fn bad_input_is_refused_without_the_key_in_the_error() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let broken = Issued { certificate: "nonsense".into(), key: authority.key.clone() };
    let error = RcgenAuthority.issue(&broken, &request("a", &[], &[])).map(drop).expect_err("no authority");
    assert!(error.to_string().contains("issue a certificate for a"), "{error}");
    let line = authority.key.lines().nth(1).expect("PEM");
    assert!(!format!("{error:?}").contains(line));
    let unicode = request("a", &["bücher.test"], &[]);
    assert_eq!(RcgenAuthority.issue(&authority, &unicode).map(drop).expect_err("no label").kind, ErrorKind::Invalid);
}

#[test]
fn a_signed_request_gets_what_the_cluster_says_and_not_what_it_asks_for() {
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    let key = KeyPair::generate().expect("generated");
    let mut greedy = CertificateParams::new(vec!["openmanage-manageserver.test".to_owned()]).expect("names");
    greedy.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let csr = greedy.serialize_request(&key).and_then(|csr| csr.pem()).expect("made");
    let peer = PeerIdentity { role: PeerRole::Agent, name: "node-1".into() };
    let certificate =
        RcgenAuthority.sign(&authority, &csr, &CertificateRequest { peer: Some(peer), ..request("agent", &[], &[]) });
    let leaf = Issued { certificate: certificate.expect("signed"), key: key.serialize_pem() };
    assert!(trusted(&authority, &leaf, &[], "agent.openmanage.internal", NOW));
    for bad in ["openmanage-manageserver.test", "server.openmanage.internal", "storage.openmanage.internal"] {
        assert!(!trusted(&authority, &leaf, &[], bad, NOW), "{bad}");
    }
    let uri = b"openmanage:agent/node-1";
    assert!(der(&leaf).windows(uri.len()).any(|window| window == uri));
    let forged = RcgenAuthority.issue(&leaf, &request("b", &["b.test"], &[])).expect("rcgen signs with any key");
    assert!(!trusted(&authority, &forged, &[&leaf], "b.test", NOW), "a leaf acted as an authority");
}

#[test]
fn a_signing_request_is_known_by_its_key_and_proves_it() {
    let one = RcgenAuthority.request(None).expect("made");
    let again = RcgenAuthority.request(Some(&one.key)).expect("made");
    let other = RcgenAuthority.request(None).expect("made");
    let key = |csr: &str| RcgenAuthority.requested_key(csr).expect("proven");
    assert_eq!(key(&one.csr), key(&again.csr));
    assert_ne!(key(&one.csr), key(&other.csr));
    // The other's key in the place of the own one: nobody signed that.
    let pem = |csr: &str| CertificateSigningRequestDer::from_pem_slice(csr.as_bytes()).expect("PEM").to_vec();
    let (mut forged, own, theirs) = (pem(&one.csr), key(&one.csr), key(&other.csr));
    let at = forged.windows(own.len()).position(|window| window == own).expect("in it");
    forged[at..at + own.len()].copy_from_slice(&theirs);
    assert!(
        CertificateSigningRequestParams::from_der(&forged.as_slice().into()).is_err(),
        "the signature was not checked"
    );
    assert_eq!(RcgenAuthority.requested_key("nonsense").expect_err("none").kind, ErrorKind::Invalid);
    let authority = RcgenAuthority.found(&request("test CA", &[], &[])).expect("founded");
    assert!(RcgenAuthority.sign(&authority, "nonsense", &request("a", &[], &[])).is_err());
}
