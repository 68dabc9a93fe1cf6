//! etcd killed, absent, hung, newer, or asked for over TLS.

use std::sync::Arc;
use std::time::{Duration, Instant};

use om_controldb::conformance::checker::check;
use om_controldb::conformance::history::{History, Outcome};
use om_controldb::conformance::workload::Workload;
use om_controldb::{ControlDb, ErrorKind, Key};
use om_etcd::{EtcdDb, Options, Tls};

use crate::server::EtcdServer;

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

async fn refused(endpoints: &[String], prefix: &str, options: Options) -> om_controldb::Error {
    match EtcdDb::connect(endpoints, prefix, options).await {
        Ok(_) => panic!("connected to {endpoints:?}"),
        Err(error) => error,
    }
}

fn soon() -> Options {
    Options { call_timeout: Duration::from_millis(500), ..Options::default() }
}

#[tokio::test]
async fn what_etcd_acknowledged_survives_its_kill() {
    let mut server = EtcdServer::start();
    let db = EtcdDb::connect(&server.endpoints(), "om", Options::default()).await.expect("connected");
    let mut revisions = std::collections::HashSet::new();
    for round in 0..3 {
        for number in 0..20 {
            let key = key(&format!("kept/{round}/{number}"));
            assert!(revisions.insert(db.create(&key, b"kept").await.expect("created")));
        }
        let mut watch = db.watch(&key("kept/")).await.expect("armed");
        server.kill();
        assert_eq!(watch.changed().await.expect_err("the server is gone").kind, ErrorKind::Unavailable);
        let error = db.create(&key("while-down"), b"").await.expect_err("the server is gone");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        server.restart();
        // A read waits for the server; nothing is connected anew by hand.
        let page = db.list(&key("kept/"), None, 1000).await.expect("listed");
        assert_eq!(page.entries.len(), 20 * (round + 1), "round {round}");
        assert!(page.entries.iter().all(|entry| revisions.contains(&entry.revision)));
    }
}

/// Clients that write all the while: what they saw must still fit one copy, unknown outcomes included.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn histories_over_kills_are_linearizable() {
    let mut server = EtcdServer::start();
    let db = EtcdDb::connect(&server.endpoints(), "om", Options::default()).await.expect("connected");
    let db: Arc<dyn ControlDb> = Arc::new(db);
    let workload = Workload { seed: 11, clients: 6, operations: 500, keys: 3 };
    let clients: Vec<_> = workload.clients(&db).into_iter().map(tokio::spawn).collect();
    for _ in 0..3 {
        // A read waits until the server is there.
        db.get(&key("any")).await.expect("the server is back");
        tokio::time::sleep(Duration::from_millis(150)).await;
        server.kill();
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart();
    }
    let mut history = History::default();
    for client in clients {
        history.operations.extend(client.await.expect("no panic"));
    }
    let unknown = history.operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).count();
    assert!(unknown > 0, "no kill fell into a write: the test proves nothing");
    check(&history).unwrap_or_else(|violation| panic!("{violation}"));
    history.assert_meaningful();
}

#[tokio::test]
async fn an_absent_server_and_bad_arguments_are_refused_clearly() {
    let nobody = vec!["http://127.0.0.1:9".to_owned()];
    let started = Instant::now();
    let error = refused(&nobody, "om", soon()).await;
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.to_string().contains("127.0.0.1:9") && error.to_string().contains("check that"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(3));
    assert_eq!(refused(&nobody, "a b", soon()).await.kind, ErrorKind::Invalid);
    assert_eq!(refused(&["not a url".to_owned()], "om", soon()).await.kind, ErrorKind::Invalid);
    assert_eq!(refused(&[], "om", soon()).await.kind, ErrorKind::Invalid);
}

/// A server that takes the connection and says nothing.
#[tokio::test]
async fn a_hung_server_is_given_up_in_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", silent.local_addr().expect("bound"));
    let started = Instant::now();
    let error = refused(&[endpoint], "om", soon()).await;
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

/// A server that freezes in the middle of its life: the write's outcome is unknown, the next read after the thaw tells.
#[tokio::test]
async fn a_frozen_server_leaves_the_outcome_open_and_is_found_again() {
    let server = EtcdServer::start();
    let db = EtcdDb::connect(&server.endpoints(), "om", Options::default()).await.expect("connected");
    let first = db.create(&key("a"), b"1").await.expect("created");
    let hasty = EtcdDb::connect(&server.endpoints(), "om", soon()).await.expect("connected");
    server.signal("STOP");
    let started = Instant::now();
    let write = hasty.update(&key("a"), &first, b"2").await.expect_err("frozen");
    let read = hasty.get(&key("a")).await.expect_err("frozen");
    assert_eq!((write.kind, read.kind), (ErrorKind::Unavailable, ErrorKind::Unavailable));
    assert!(write.to_string().contains("no answer within 500ms"), "{write}");
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    server.signal("CONT");
    let found = db.get(&key("a")).await.expect("thawed").expect("there");
    assert!(found.value == b"1" || found.value == b"2");
    db.update(&key("a"), &found.revision, b"3").await.expect("what was read is the present revision");
}

#[tokio::test]
async fn two_prefixes_are_two_stores_and_a_newer_format_is_refused() {
    let server = EtcdServer::start();
    let endpoints = server.endpoints();
    let one = EtcdDb::connect(&endpoints, "om/one", Options::default()).await.expect("connected");
    let two = EtcdDb::connect(&endpoints, "om/two/", Options::default()).await.expect("connected");
    one.create(&key("a"), b"1").await.expect("created");
    assert_eq!(two.get(&key("a")).await.expect("read"), None);
    EtcdDb::connect(&endpoints, "om/one", Options::default()).await.expect("connected again");

    let mut raw = etcd_client::Client::connect(&endpoints, None).await.expect("connected");
    raw.put("om/one/format", "9", None).await.expect("written");
    let error = refused(&endpoints, "om/one", Options::default()).await;
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.to_string().contains("format 9"), "{error}");
    raw.put("om/one/format", "hello", None).await.expect("written");
    assert_eq!(refused(&endpoints, "om/one", Options::default()).await.kind, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_cluster_that_wants_certificates_gets_them() {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut params = CertificateParams::new(Vec::new()).expect("good");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
    let issue = || {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("good");
        (params.signed_by(&key, &authority).expect("signed").pem(), key.serialize_pem())
    };
    let directory = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.into_os_string().into_string().expect("text")
    };
    let (certificate, private) = issue();
    let flags = vec![
        format!("--trusted-ca-file={}", write("ca.pem", &authority.pem())),
        format!("--cert-file={}", write("server.pem", &certificate)),
        format!("--key-file={}", write("server.key", &private)),
        "--client-cert-auth".to_owned(),
    ];
    let server = EtcdServer::start_with("https", directory, flags);
    let tls = |identity| Options { tls: Some(Tls { authority: authority.pem(), identity }), ..Options::default() };
    let db = EtcdDb::connect(&server.endpoints(), "om", tls(Some(issue()))).await.expect("connected");
    db.create(&key("a"), b"1").await.expect("created");
    let error = refused(&server.endpoints(), "om", Options { call_timeout: Duration::from_secs(1), ..tls(None) }).await;
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn a_cluster_that_wants_a_password_gets_it() {
    let server = EtcdServer::start();
    let mut raw = etcd_client::Client::connect(server.endpoints(), None).await.expect("connected");
    // The first call waits until etcd is up.
    EtcdDb::connect(&server.endpoints(), "om", Options::default()).await.expect("connected");
    raw.user_add("root", "right", None).await.expect("added");
    raw.user_grant_role("root", "root").await.expect("granted");
    raw.auth_enable().await.expect("enabled");
    let with = |password: &str| Options { user: Some(("root".into(), password.into())), ..Options::default() };
    let db = EtcdDb::connect(&server.endpoints(), "om", with("right")).await.expect("connected");
    let mut watch = db.watch(&key("a")).await.expect("armed");
    db.create(&key("a"), b"1").await.expect("created");
    watch.changed().await.expect("told");
    let started = Instant::now();
    for options in [with("wrong"), Options::default()] {
        let error = refused(&server.endpoints(), "om", options).await;
        assert!(error.to_string().contains("password"), "{error}");
    }
    // Told at once: the right ones do not come by waiting.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}
