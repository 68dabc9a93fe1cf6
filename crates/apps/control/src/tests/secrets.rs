//! Secrets: generated once, and nowhere in the clear.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use om_backend::ControlPlane as _;
use om_controldb::{ControlDb as _, Key};
use om_model::Epoch;

use super::world::{DELETE, Server, create, member, orders};
use om_planning::Change;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(start_paused = true)]
async fn a_password_is_generated_once() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            let first = server.control.password(&orders()).await.expect("there");
            assert_eq!(first.len(), 32);
            assert!(first.bytes().all(|b| b.is_ascii_alphanumeric()), "{first}");
            server.control.make_secrets(&orders()).await.expect("made again");
            server.carry(Change::Restart { member: None }).await;
            assert_eq!(server.control.password(&orders()).await.expect("there"), first);
            let given = server.control.refresh(&service.id, &member(1), Epoch::new(1)).await.expect("granted");
            let given: Vec<_> = given.secrets.into_iter().filter(|(name, _)| name == "postgres").collect();
            assert_eq!(given, [("postgres".to_owned(), first.into_bytes())], "members are given the same");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn no_record_holds_a_secret_in_the_clear() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(2).await;
            server.control.password(&orders()).await.expect("shown");
            let grant = server.control.refresh(&service.id, &member(0), Epoch::new(1)).await.expect("granted");
            let secret = |(name, _): &&(String, Vec<u8>)| !["tls.crt", "ca.crt"].contains(&name.as_str());
            let secrets: Vec<_> = grant.secrets.iter().filter(secret).collect();
            let names: Vec<_> = secrets.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["postgres", "replicator", "tls.key"]);
            let records = server.records().await;
            assert!(records.len() > 30, "{} records are not all", records.len());
            for entry in records {
                for (name, secret) in &secrets {
                    assert!(!contains(&entry.value, secret), "{} holds {name}", entry.key);
                    let encoded = STANDARD.encode(secret);
                    assert!(!contains(&entry.value, encoded.as_bytes()), "{} holds {name}, encoded", entry.key);
                }
            }
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_secret_shown_is_an_event_without_the_secret() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(1).await;
            let password = server.control.password(&orders()).await.expect("shown");
            let (events, _) = server.control.events(Some(&orders()), None, 1000).await.expect("read");
            let shown: Vec<_> =
                events.iter().filter(|event| event.event.kind == om_model::EventKind::SecretShown).collect();
            assert_eq!(shown.len(), 1);
            assert_eq!(shown[0].event.message, "the password of postgres was shown");
            assert!(!shown[0].event.message.contains(&password));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_takes_the_secrets_along_and_leaves_the_authority() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(2).await;
            let before = server.control.password(&orders()).await.expect("there");
            server.carry(DELETE).await;
            assert_eq!(server.keys_under("secrets/").await, ["secrets/cluster/authority"]);
            server.carry(create(1)).await;
            let after = server.control.password(&orders()).await.expect("there");
            assert_ne!(before, after, "another service has another password");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_when_less_than_a_third_of_its_time_is_left() {
    let server = Server::new();
    let service = server.beside(server.with_service(2)).await;
    let key = |index| Key::new(format!("secrets/{}/tls-orders-{index}", service.id)).expect("a key");
    let revision = async |index| server.db.get(&key(index)).await.expect("read").expect("there").revision;
    let password = server.control.password(&orders()).await.expect("there");
    let refresh = async || server.control.refresh(&service.id, &member(0), Epoch::new(1)).await.expect("granted");
    let (mine, others) = (revision(0).await, revision(1).await);
    server.time.jump(242 * DAY);
    refresh().await;
    assert_eq!(revision(0).await, mine, "more than a third of a year is left");
    server.time.jump(2 * DAY);
    let grant = refresh().await;
    let renewed = revision(0).await;
    assert_ne!(renewed, mine);
    assert_eq!(revision(1).await, others, "each member's when it asks");
    assert!(grant.secrets.iter().any(|(name, text)| name == "tls.crt" && !text.is_empty()));
    refresh().await;
    assert_eq!(revision(0).await, renewed, "the new one lasts");
    assert_eq!(server.control.password(&orders()).await.expect("there"), password);
}
