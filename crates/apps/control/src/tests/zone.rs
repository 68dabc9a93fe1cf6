//! The DNS zone follows the records.

use std::time::Duration;

use om_backend::{ControlPlane as _, MountName};
use om_model::zone::{SERVER_LABELS, Zone};
use om_model::{Epoch, VolumeRole};

use super::world::{DELETE, Server, member};
use om_planning::Change;

impl Server {
    /// The zone, once the background work has had a moment.
    async fn zone(&self) -> Zone {
        self.pass(Duration::from_secs(1)).await;
        self.names.zone().expect("published")
    }
}

fn labels(zone: &Zone) -> Vec<String> {
    zone.members.keys().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_zone_has_the_servers_names_before_anything_else() {
    let server = Server::new();
    let zone = server.beside(server.zone()).await;
    assert_eq!(zone.name.as_str(), "test-openmanage.com");
    assert_eq!(zone.fixed.keys().map(String::as_str).collect::<Vec<_>>(), SERVER_LABELS);
    assert!(zone.fixed.values().all(|addresses| addresses.len() == 1));
    assert!(zone.members.is_empty() && zone.services.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_service_is_answered_for_with_its_members_and_its_primary() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(3).await;
            let zone = server.zone().await;
            assert_eq!(labels(&zone), ["orders-0", "orders-1", "orders-2"]);
            let records = server.control.store.members_of(&service.id).await.expect("read");
            for record in records {
                let entry = &zone.members[&record.name];
                assert_eq!(
                    (&entry.service, entry.epoch, Some(entry.address)),
                    (&service.id, Epoch::new(1), record.address)
                );
            }
            let entry = &zone.services["orders"];
            assert_eq!((entry.protocol.as_str(), entry.port), ("postgresql", 5432));
            assert_eq!(entry.members, [member(0), member(1), member(2)]);
            assert_eq!(entry.primaries, [member(0)]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_member_is_in_the_zone_only_while_its_holder_has_mounted_it() {
    let server = Server::new();
    server
        .beside(async {
            let service = server.with_service(3).await;
            let control = &server.control;
            let before = server.zone().await;
            control.released(&service.id, &member(0), Epoch::new(1)).await.expect("released");
            let without = server.zone().await;
            assert_eq!(labels(&without), ["orders-1", "orders-2"]);
            assert!(without.services["orders"].primaries.is_empty(), "no name for a primary that is not there");
            let name = MountName { service: service.id.clone(), member: Some(member(0)), role: VolumeRole::Data };
            let (node, life) = ("node2".parse().expect("a node"), "life1".parse().expect("a life"));
            control.claim(&name, &node, &life, &[]).await.expect("free");
            assert_eq!(labels(&server.zone().await), ["orders-1", "orders-2"], "claimed, not yet mounted");
            control.publish(&service.id, &member(0), Epoch::new(2)).await.expect("mounted");
            let after = server.zone().await;
            assert_eq!(after.members[&member(0)].epoch, Epoch::new(2));
            assert_eq!(after.services["orders"].primaries, [member(0)]);
            assert!(before.serial < without.serial && without.serial < after.serial);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn stop_withdraws_the_members_and_delete_the_service() {
    let server = Server::new();
    server
        .beside(async {
            server.with_service(2).await;
            let running = server.zone().await;
            server.carry(Change::Stop).await;
            let stopped = server.zone().await;
            assert!(stopped.members.is_empty() && stopped.services["orders"].members.is_empty());
            server.carry(Change::Start).await;
            let started = server.zone().await;
            assert_eq!(labels(&started), ["orders-0", "orders-1"]);
            server.carry(DELETE).await;
            let deleted = server.zone().await;
            assert!(deleted.members.is_empty() && deleted.services.is_empty());
            let serials = [running.serial, stopped.serial, started.serial, deleted.serial];
            assert!(serials.is_sorted_by(|a, b| a < b), "{serials:?}");
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn the_serial_rests_while_nothing_changes_and_rises_over_a_restart() {
    let server = Server::new();
    let before = server
        .beside(async {
            server.with_service(1).await;
            let zone = server.zone().await;
            server.pass(Duration::from_secs(600)).await;
            let later = server.zone().await;
            assert_eq!(zone, later);
            later
        })
        .await;
    let next = Server { control: server.another(), ..server };
    let after = next.beside(next.zone()).await;
    assert!(after.serial > before.serial, "{} after {}", after.serial, before.serial);
}
