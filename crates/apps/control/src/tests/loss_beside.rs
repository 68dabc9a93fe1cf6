//! Nodes are lost while operations are under way.

use std::time::Duration;

use om_model::{OperationKind, OperationState};
use om_planning::{Change, VolumeFate};

use super::world::{Server, create, member, static_range};

/// The node that the member is meant to be on, as soon as there is one.
async fn placed(server: &Server, index: u16) -> om_model::NodeId {
    loop {
        let members = server.control.store.members.all("").await.expect("read");
        let found = members.into_iter().find(|stored| stored.value.name == member(index));
        if let Some(place) = found.and_then(|stored| stored.value.place().cloned()) {
            return place;
        }
        server.pass(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_lost_during_a_creation_delays_it() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        let accepted = server.submit(create(3)).await.expect("accepted").operation;
        server.world.switch_off(&placed(&server, 0).await);
        let created = server.ended(&accepted).await;
        assert_eq!(created.state, OperationState::Succeeded, "{:?}", created.reason);
        server.pass(Duration::from_secs(5)).await;
        let world = server.world.lock();
        assert_eq!((world.located.len(), world.deployments.len()), (3, 3));
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_deletion_ends_a_recovery_that_waits_for_a_node() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let from = placed(&server, 0).await;
        for node in ["a", "b", "c"].map(|name| name.parse().expect("a name")) {
            if node != from {
                server.control.drain(&node).await.expect("drained");
            }
        }
        server.world.switch_off(&from);
        server.pass(Duration::from_secs(10)).await;
        let waiting = server.service().await.recoveries;
        assert_eq!(waiting.len(), 1, "no node can take it yet");
        let deleted = server.carry(Change::Delete { volumes: VolumeFate::Delete }).await;
        assert_eq!(deleted.state, OperationState::Succeeded, "{:?}", deleted.reason);
        server.pass(Duration::from_secs(120)).await;
        let recovery = server.control.operation(&waiting[0].operation).await.expect("kept");
        assert_eq!((recovery.kind, recovery.state), (OperationKind::Recover, OperationState::RolledBack));
        assert_eq!(server.keys_under("pending/").await, Vec::<String>::new());
        assert!(server.world.lock().deployments.is_empty());
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_recovery_that_waits_goes_on_when_a_node_can_take_the_member() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let from = placed(&server, 0).await;
        let others = ["a", "b", "c"].map(|name| name.parse().expect("a name"));
        let others: Vec<om_model::NodeId> = others.into_iter().filter(|node| *node != from).collect();
        for node in &others {
            server.control.drain(node).await.expect("drained");
        }
        server.world.switch_off(&from);
        server.pass(Duration::from_secs(10)).await;
        server.control.undrain(&others[1]).await.expect("undrained");
        server.pass(Duration::from_secs(2)).await;
        let key = (server.service().await.id, member(0));
        assert_eq!(server.world.lock().located.get(&key), Some(&others[1]));
    };
    server.beside(test).await;
}
