//! Nodes are lost, and come back.

use std::time::Duration;

use om_backend::{ControlPlane, DeploymentState};
use om_model::{EventKind, MemberRecord, NodeCondition, NodeId, OperationKind, OperationState, Phase};
use om_planning::{Change, VolumeFate};

use super::world::{Server, create, member, orders, static_range};
use crate::{Addressing, ControlError};

fn node(name: &str) -> NodeId {
    name.parse().expect("a name")
}

async fn record(server: &Server, index: u16) -> MemberRecord {
    let service = server.service().await;
    server.control.store.member(&service.id, &member(index)).await.expect("read").expect("there")
}

async fn place(server: &Server, index: u16) -> NodeId {
    record(server, index).await.place().expect("placed").clone()
}

/// Waits until `done`, at most so long.
async fn until(server: &Server, what: &str, within: Duration, done: impl AsyncFn() -> bool) -> Duration {
    let step = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    while !done().await {
        assert!(waited < within, "{what}: not within {within:?}");
        server.pass(step).await;
        waited += step;
    }
    waited
}

async fn condition(server: &Server, name: &str) -> NodeCondition {
    server.control.node(&node(name)).await.expect("known").record.condition
}

async fn told(server: &Server, words: &str) -> usize {
    let (events, _) = server.control.events(None, None, 1000).await.expect("read");
    events.iter().filter(|event| event.event.message.contains(words)).count()
}

async fn operations(server: &Server, kind: OperationKind) -> Vec<crate::ServiceOperation> {
    let (all, _) = server.control.operations(None, None, 1000).await.expect("read");
    all.into_iter().filter(|operation| operation.kind == kind).collect()
}

/// The member serves on the node of its record, and the DNS of every node there has it under the present epoch.
async fn serves(server: &Server, index: u16) -> bool {
    let record = record(server, index).await;
    let Some(place) = record.place() else { return false };
    let key = (record.service.clone(), record.name.clone());
    let here = server.world.lock().located.get(&key) == Some(place);
    let zone = server.agents.names_of(place).zone();
    let entry = zone.and_then(|zone| zone.members.get(&record.name).cloned());
    here && record.binding.published && entry.is_some_and(|entry| entry.epoch == record.binding.epoch)
}

#[tokio::test(start_paused = true)]
async fn members_are_placed_apart_and_pinned() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let deployments = server.beside(async {
        server.with_service(3).await;
        server.world.lock().deployments.clone()
    });
    let mut nodes: Vec<_> = deployments.await.into_values().map(|(spec, _)| spec.node.expect("pinned")).collect();
    nodes.sort();
    assert_eq!(nodes, [node("a"), node("b"), node("c")]);
}

#[tokio::test(start_paused = true)]
async fn a_member_of_a_lost_node_serves_elsewhere_within_a_second_and_keeps_its_address() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(2).await;
        let (before, from) = (record(&server, 0).await, place(&server, 0).await);
        server.world.switch_off(&from);
        let took = until(&server, "moved", Duration::from_secs(3), async || serves(&server, 0).await).await;
        assert!(took <= Duration::from_secs(1), "after its loss was plain to all agents it took {took:?}");
        let after = record(&server, 0).await;
        assert_ne!(after.place(), Some(&from));
        assert_ne!(after.place(), record(&server, 1).await.place(), "apart from the other member");
        assert_eq!((after.address, after.replacement), (before.address, before.replacement + 1));
        assert_eq!(after.binding.epoch, before.binding.epoch.next());
        assert!(after.binding.unfenced.is_empty());
        server.pass(Duration::from_secs(2)).await;
        assert_eq!(told(&server, &format!("node {from} is lost: silent for 60.00 s")).await, 1);
        let recoveries = operations(&server, OperationKind::Recover).await;
        assert_eq!(recoveries.len(), 1, "one loss, one recovery");
        assert_eq!(recoveries[0].state, OperationState::Succeeded, "{:?}", recoveries[0].reason);
        let names: Vec<_> = server.world.lock().deployments.keys().cloned().collect();
        assert!(
            names.iter().any(|name| name.ends_with("-e1")) && names.len() == 2,
            "the old one is removed: {names:?}"
        );
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_waits_for_the_lost_member_does_not_hold_its_recovery_up() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(2).await;
        let from = place(&server, 0).await;
        server.world.switch_off(&from);
        let waits = server.submit(Change::Restart { member: Some(member(0)) }).await.expect("accepted").operation;
        until(&server, "moved", Duration::from_secs(3), async || serves(&server, 0).await).await;
        let ended = server.ended(&waits).await;
        assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.reason);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_agent_is_not_a_lost_node() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(3).await;
        server.world.lock().nodes.get_mut(&node("a")).expect("there").deaf = true;
        server.pass(Duration::from_secs(60)).await;
        assert_eq!(condition(&server, "a").await, NodeCondition::Present);
        assert_eq!(operations(&server, OperationKind::Recover).await.len(), 0);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_returns_is_present_again_and_what_it_held_is_over() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let from = place(&server, 0).await;
        server.world.switch_off(&from);
        until(&server, "moved", Duration::from_secs(3), async || serves(&server, 0).await).await;
        let to = place(&server, 0).await;
        server.world.switch_on(&from);
        let back = async || condition(&server, from.as_str()).await == NodeCondition::Present;
        until(&server, "back", Duration::from_secs(5), back).await;
        server.pass(Duration::from_secs(10)).await;
        assert_eq!(place(&server, 0).await, to, "nothing goes back by itself");
        assert!(serves(&server, 0).await);
        assert_eq!(operations(&server, OperationKind::Recover).await.len(), 1);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_is_told_what_is_over() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        let service = server.with_service(1).await;
        let (from, before) = (place(&server, 0).await, record(&server, 0).await);
        let cut = |cut_off| server.world.lock().nodes.get_mut(&from).expect("there").cut_off = cut_off;
        cut(true);
        let moved = async || place(&server, 0).await != from && serves(&server, 0).await;
        until(&server, "moved", Duration::from_secs(3), moved).await;
        let held = om_backend::control_plane::Held {
            service: service.id.clone(),
            member: member(0),
            epoch: before.binding.epoch,
        };
        let life = server.world.lock().nodes[&from].life.clone();
        let view = server.control.node(&from).await.expect("known").record;
        let report = om_backend::NodeReport {
            node: from.clone(),
            incarnation: life,
            address: view.address,
            agent: view.agent,
            zone: None,
            roster: 0,
            held: vec![held.clone()],
            volumes: String::new(),
            single_writer_by: String::new(),
            version: String::new(),
        };
        let orders = server.control.report(&report).await.expect("answered");
        assert_eq!(orders.over, [held]);
        assert_eq!(orders.roster.nodes.len(), 3);
        cut(false);
        let back = async || condition(&server, from.as_str()).await == NodeCondition::Present;
        until(&server, "back in the same life", Duration::from_secs(5), back).await;
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn the_replacement_is_lost_too_and_a_third_takes_over() {
    let server = Server::with_nodes(&["a", "b", "c", "d", "e"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let first = place(&server, 0).await;
        server.world.switch_off(&first);
        let assigned = async || place(&server, 0).await != first;
        until(&server, "assigned", Duration::from_secs(3), assigned).await;
        let second = place(&server, 0).await;
        server.world.switch_off(&second);
        until(&server, "moved twice", Duration::from_secs(5), async || serves(&server, 0).await).await;
        let third = place(&server, 0).await;
        assert!(third != first && third != second);
        server.pass(Duration::from_secs(5)).await;
        let service = server.service().await;
        assert!(service.recoveries.is_empty(), "{:?}", service.recoveries);
        assert_eq!(server.world.lock().deployments.len(), 1);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn two_of_three_gone_moves_nothing_until_an_operator_says_they_are_off() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(3).await;
        let survivor = place(&server, 2).await;
        for index in 0..2 {
            server.world.switch_off(&place(&server, index).await);
        }
        server.pass(Duration::from_secs(60)).await;
        assert_eq!(operations(&server, OperationKind::Recover).await.len(), 0);
        assert_eq!(told(&server, "openmanage node fence").await, 1, "told once");
        let off = place(&server, 0).await;
        let view = server.control.vouch_off(&off, false).await.expect("it does not answer");
        assert_eq!(view.record.condition, NodeCondition::Lost);
        until(&server, "moved", Duration::from_secs(5), async || serves(&server, 0).await).await;
        assert_eq!(place(&server, 0).await, survivor);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_answers_is_not_taken_for_off() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        let refusal = server.control.vouch_off(&node("a"), false).await.expect_err("it answers");
        assert!(matches!(&refusal, ControlError::Conflict { next, .. } if next.contains("drain a")), "{refusal}");
        assert!(matches!(server.control.vouch_off(&node("x"), false).await, Err(ControlError::NotFound { .. })));
        server.control.vouch_off(&node("a"), true).await.expect("forced");
        server.pass(Duration::from_secs(5)).await;
        assert_eq!(condition(&server, "a").await, NodeCondition::Present, "its report voids the word");
        assert_eq!(told(&server, "that word is void").await, 1);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_stopped_service_stays_and_starts_elsewhere() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        assert_eq!(server.carry(Change::Stop).await.state, OperationState::Succeeded);
        let from = place(&server, 0).await;
        server.world.switch_off(&from);
        server.pass(Duration::from_secs(10)).await;
        assert_eq!(condition(&server, from.as_str()).await, NodeCondition::Lost);
        assert_eq!(place(&server, 0).await, from);
        let started = server.carry(Change::Start).await;
        assert_eq!(started.state, OperationState::Succeeded, "{:?}", started.reason);
        until(&server, "serves", Duration::from_secs(2), async || serves(&server, 0).await).await;
        assert_ne!(place(&server, 0).await, from);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_is_deleted_and_stopped_while_a_node_is_away() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(3).await;
        // All three at once, so that nothing can be recovered.
        server.world.switch_off(&node("a"));
        server.control.drain(&node("b")).await.expect("drained");
        server.control.drain(&node("c")).await.expect("drained");
        let lost = async || condition(&server, "a").await == NodeCondition::Lost;
        until(&server, "lost", Duration::from_secs(5), lost).await;
        let deleted = server.carry(Change::Delete { volumes: VolumeFate::Delete }).await;
        assert_eq!(deleted.state, OperationState::Succeeded, "{:?}", deleted.reason);
        server.pass(Duration::from_secs(10)).await;
        let left = |server: &Server| {
            let world = server.world.lock();
            (world.deployments.len(), world.volumes.len())
        };
        assert_eq!(left(&server), (0, 0));
        for folder in ["members/", "addresses/", "pending/", "services/"] {
            assert_eq!(server.keys_under(folder).await, Vec::<String>::new());
        }
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_drained_node_hands_its_members_over() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(2).await;
        let (from, before) = (place(&server, 0).await, record(&server, 0).await);
        let drain = server.control.drain(&from).await.expect("drained");
        assert!(drain.refused.is_empty(), "{:?}", drain.refused);
        let again = server.control.drain(&from).await.expect("drained");
        assert_eq!(again.operations[0].id, drain.operations[0].id, "asking twice is asking once");
        let moved = server.ended(&drain.operations[0]).await;
        assert_eq!(moved.state, OperationState::Succeeded, "{:?}", moved.reason);
        until(&server, "serves", Duration::from_secs(1), async || serves(&server, 0).await).await;
        let after = record(&server, 0).await;
        assert_ne!(after.place(), Some(&from));
        assert_eq!(after.address, before.address);
        let view = server.control.node(&from).await.expect("known");
        assert!(view.members.is_empty() && view.record.drained);
        assert!(!server.control.undrain(&from).await.expect("undrained").record.drained);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_move_that_fails_goes_back() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let from = place(&server, 0).await;
        // It serves neither on the new node nor, moved back, on the former.
        server.world.lock().broken.insert(member(0), "no".into());
        let failed = server.carry(Change::Move { member: member(0), to: None }).await;
        assert_eq!(failed.state, OperationState::NeedsAttention);
        assert_eq!(place(&server, 0).await, from, "{:?}", failed.reason);
        assert_eq!(record(&server, 0).await.replacement, 2, "there and back");
        server.world.lock().broken.clear();
        server.control.retry(&failed.id).await.expect("taken up");
        let ended = server.ended(&failed).await;
        assert_eq!(ended.state, OperationState::RolledBack, "{:?}", ended.reason);
        until(&server, "serves", Duration::from_secs(2), async || serves(&server, 0).await).await;
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn members_with_their_nodes_address_get_the_new_nodes() {
    let server = Server::with_nodes(&["a", "b", "c"], Addressing::Node).await;
    let test = async {
        server.with_service(2).await;
        let from = place(&server, 0).await;
        assert_eq!(
            record(&server, 0).await.address,
            Some(server.control.node(&from).await.expect("known").record.address)
        );
        server.world.switch_off(&from);
        until(&server, "moved", Duration::from_secs(3), async || serves(&server, 0).await).await;
        let to = place(&server, 0).await;
        let address = server.control.node(&to).await.expect("known").record.address;
        assert_eq!(record(&server, 0).await.address, Some(address));
        assert_ne!(place(&server, 1).await, to, "the port is the other member's there");
        assert_eq!(server.keys_under("addresses/").await.len(), 2, "the former address is free again");
        let refused =
            server.submit_as(&super::world::name("other"), create(2), None).await.expect_err("no port is left");
        assert!(refused.to_string().contains("no node can take"), "{refused}");
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_container_that_came_back_with_its_node_is_removed() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(1).await;
        let stray = server.world.lock().deployments.values().next().expect("one").clone();
        let from = place(&server, 0).await;
        server.world.switch_off(&from);
        until(&server, "moved", Duration::from_secs(3), async || serves(&server, 0).await).await;
        server.pass(Duration::from_secs(5)).await;
        server.world.switch_on(&from);
        server.world.lock().deployments.insert(stray.0.name.clone(), (stray.0.clone(), DeploymentState::Running));
        let gone = async || !server.world.lock().deployments.contains_key(&stray.0.name);
        until(&server, "removed", Duration::from_secs(5), gone).await;
        assert!(serves(&server, 0).await);
        let (events, _) = server.control.events(Some(&orders()), None, 1000).await.expect("read");
        assert!(
            events.iter().any(|e| e.event.kind == EventKind::Repaired && e.event.message.contains("runs elsewhere"))
        );
        assert_eq!(server.service().await.phase, Phase::Active);
    };
    server.beside(test).await;
}
