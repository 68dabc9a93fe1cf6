//! Tokens serve once, for one key, in time and for their role.

use super::*;
use crate::tests::world::Server;

const HOUR: Duration = Duration::from_secs(3600);

fn request(token: &str, name: &str, key: &str) -> JoinRequest {
    JoinRequest { token: token.into(), role: PeerRole::Agent, name: name.into(), csr: format!("request for {key}") }
}

async fn token(server: &Server) -> String {
    server.control.new_join_token(PeerRole::Agent, HOUR).await.expect("made")
}

async fn refusal(server: &Server, request: &JoinRequest) -> PortError {
    server.control.join(request).await.expect_err("refused")
}

#[tokio::test(start_paused = true)]
async fn a_token_begins_with_the_authoritys_fingerprint_and_its_secret_is_not_stored() {
    let server = Server::new();
    let token = token(&server).await;
    let (fingerprint, secret) = split_token(&token).expect("a token");
    let authority = server.control.authority_certificate().await.expect("there");
    assert_eq!(fingerprint, &hash(authority.as_bytes())[..FINGERPRINT_DIGITS]);
    assert_eq!(secret.len(), SECRET_LENGTH);
    let found = |entry: &om_controldb::Entry| String::from_utf8_lossy(&entry.value).contains(secret);
    let records = server.records().await;
    assert!(!records.is_empty() && !records.iter().any(|entry| found(entry) || entry.key.to_string().contains(secret)));
}

#[tokio::test(start_paused = true)]
async fn a_token_serves_one_joiner_who_may_repeat() {
    let server = Server::new();
    let token = token(&server).await;
    let joined = server.control.join(&request(&token, "node-1", "key one")).await.expect("joined");
    assert!(joined.certificate.starts_with("agent node-1 with key one"), "{}", joined.certificate);
    let again = server.another().join(&request(&token, "node-1", "key one")).await.expect("the answer was lost");
    assert_eq!(joined, again);
    for other in [request(&token, "node-1", "key two"), request(&token, "node-2", "key one")] {
        let error = refusal(&server, &other).await;
        assert!(error.kind == ErrorKind::Refused && error.detail.contains("node-1 has used it"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_many_that_use_a_token_at_once_one_joins() {
    let server = Server::new();
    let token = token(&server).await;
    let joins = (0..16).map(|index| {
        let (control, request) = (server.another(), request(&token, &format!("node-{index}"), &format!("key {index}")));
        async move { control.join(&request).await.is_ok() }
    });
    let joined = futures::future::join_all(joins).await.into_iter().filter(|joined| *joined).count();
    assert_eq!(joined, 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_refused_late_for_another_role_unknown_or_unproven() {
    let server = Server::new();
    let token = token(&server).await;
    let storage = JoinRequest { role: PeerRole::Storage, ..request(&token, "node-1", "key") };
    assert!(refusal(&server, &storage).await.detail.contains("for the role agent"));
    let unknown = format!("{}x", token);
    assert!(refusal(&server, &request(&unknown, "node-1", "key")).await.detail.contains("not known"));
    let unproven = JoinRequest { csr: "nonsense".into(), ..request(&token, "node-1", "key") };
    assert_eq!(refusal(&server, &unproven).await.kind, ErrorKind::Invalid);
    let nameless = request(&token, "no name/at all", "key");
    assert_eq!(refusal(&server, &nameless).await.kind, ErrorKind::Invalid);
    server.time.jump(HOUR);
    assert!(refusal(&server, &request(&token, "node-1", "key")).await.detail.contains("time is over"));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_over_are_removed_with_the_next() {
    let server = Server::new();
    token(&server).await;
    server.time.jump(HOUR / 2);
    token(&server).await;
    assert_eq!(server.keys_under("join-tokens/").await.len(), 2);
    server.time.jump(HOUR / 2);
    token(&server).await;
    assert_eq!(server.keys_under("join-tokens/").await.len(), 2, "the first is over");
}

#[tokio::test(start_paused = true)]
async fn servers_get_no_token_and_no_token_lasts_for_ever() {
    let server = Server::new();
    let make = async |role, valid| server.control.new_join_token(role, valid).await.expect_err("refused").to_string();
    assert!(make(PeerRole::Server, HOUR).await.contains("agent or storage"));
    assert!(make(PeerRole::Agent, Duration::ZERO).await.contains("1 s to 30 days"));
    assert!(make(PeerRole::Agent, VALID_MAX + HOUR).await.contains("1 s to 30 days"));
}

#[tokio::test(start_paused = true)]
async fn only_servers_have_names_and_addresses_for_people() {
    let server = Server::new();
    let peer = |role| PeerIdentity { role, name: "node-1".into() };
    let of_server = server.control.peer_request(peer(PeerRole::Server));
    assert!(!of_server.addresses.is_empty() && of_server.names.contains(&"localhost".to_owned()));
    for role in [PeerRole::Agent, PeerRole::Storage] {
        let request = server.control.peer_request(peer(role));
        assert!(request.addresses.is_empty() && request.names.is_empty());
    }
    let renewed = server.control.renew(&peer(PeerRole::Storage), "request for key").await.expect("renewed");
    assert!(renewed.starts_with("storage node-1 with key until 30 days"), "{renewed}");
}
