//! Nodes join, are known to one another, and are forgotten; one of several servers leads.

use std::time::Duration;

use om_backend::{ControlPlane, ErrorKind, MountName};
use om_model::{EventKind, NodeId, OperationState, VolumeRole};
use om_planning::Change;

use super::world::{Server, create, member, static_range};
use crate::ControlError;

fn node(name: &str) -> NodeId {
    name.parse().expect("a name")
}

#[tokio::test(start_paused = true)]
async fn the_roster_grows_by_one_node_at_a_time() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let roster = server.control.store.roster().await.expect("read");
    assert_eq!((roster.nodes.len(), roster.revision), (3, 3));
    let nodes = server.control.nodes().await.expect("read");
    assert!(nodes.iter().all(|node| node.record.roster == 3 && node.ready && node.schedulable), "{nodes:?}");
}

#[tokio::test(start_paused = true)]
async fn the_roster_does_not_change_before_a_majority_knows_it() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        for name in ["a", "b"] {
            server.world.lock().nodes.get_mut(&node(name)).expect("there").deaf = true;
        }
        for (name, expected) in [("d", 4), ("e", 4)] {
            let life = format!("{name}-life1").parse().expect("a life");
            let new = om_backend::fake::FakeNode { life, up: true, deaf: false, cut_off: false, roster: 0 };
            server.world.lock().nodes.insert(node(name), new);
            server.pass(Duration::from_secs(10)).await;
            assert_eq!(server.control.store.roster().await.expect("read").revision, expected, "{name}");
        }
        server.world.lock().nodes.get_mut(&node("a")).expect("there").deaf = false;
        server.pass(Duration::from_secs(10)).await;
        assert_eq!(server.control.store.roster().await.expect("read").nodes.len(), 5);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_nodes_record_is_written_when_something_changes() {
    let server = Server::with_nodes(&["a"], static_range()).await;
    let test = async {
        let before = server.control.stored_node(&node("a")).await.expect("read").expect("there");
        server.pass(Duration::from_secs(30)).await;
        let after = server.control.stored_node(&node("a")).await.expect("read").expect("there");
        assert_eq!(before.revision, after.revision);
        server.pass(Duration::from_secs(60)).await;
        let later = server.control.stored_node(&node("a")).await.expect("read").expect("there");
        assert!(later.value.reported > after.value.reported, "that it reports is written now and then");
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_reports_is_back_whatever_the_clock_of_the_server_that_lost_it() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        let ahead = server.control.now().plus(Duration::from_secs(3600));
        let lose = |record: &om_model::NodeRecord| {
            let mut lost = record.clone();
            lost.lose(ahead);
            Some(lost)
        };
        server.control.store.nodes.change("a", lose).await.expect("written");
        server.pass(Duration::from_secs(5)).await;
        let record = server.control.store.node(&node("a")).await.expect("read").expect("there");
        assert_eq!(record.condition, om_model::NodeCondition::Present);
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_with_members_is_not_forgotten() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.with_service(3).await;
        let refusal = server.control.forget(&node("a")).await.expect_err("it has a member");
        assert!(matches!(&refusal, ControlError::Conflict { next, .. } if next.contains("drain a")), "{refusal}");
        let moved = server.control.drain(&node("a")).await.expect("drained").operations.remove(0);
        assert_eq!(server.ended(&moved).await.state, OperationState::Succeeded);
        server.world.lock().nodes.remove(&node("a"));
        server.control.forget(&node("a")).await.expect("forgotten");
        assert!(matches!(server.control.node(&node("a")).await, Err(ControlError::NotFound { .. })));
        assert_eq!(server.control.store.roster().await.expect("read").nodes.len(), 2);
        assert!(matches!(server.control.drain(&node("a")).await, Err(ControlError::NotFound { .. })));
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn one_server_leads_and_another_takes_over_when_it_ends() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let second = server.second(static_range());
    let test = async {
        let first = async {
            server.pass(Duration::from_secs(10)).await;
            assert!(server.control.leads() && !second.leads());
            server.with_service(1).await;
        };
        server.beside(first).await;
        // The first process has ended with that; its leadership runs out by itself.
        server.pass(Duration::from_millis(1800)).await;
        assert!(!server.control.leads(), "by its own clock");
        server.pass(Duration::from_secs(3)).await;
        assert!(second.leads());
        assert_eq!(second.leader().await.expect("read").as_deref(), Some("server2"));
        let accepted = server.submit(Change::Stop).await.expect("accepted").operation;
        assert_eq!(server.ended(&accepted).await.state, OperationState::Succeeded, "the second carries it out");
    };
    futures::future::select(Box::pin(test), Box::pin(second.clone().run())).await;
}

#[tokio::test(start_paused = true)]
async fn a_follower_carries_nothing_out() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let second = server.second(static_range());
    let test = async {
        server.pass(Duration::from_secs(1)).await;
        let work = second.clone().run();
        let pass = server.pass(Duration::from_secs(5));
        futures::future::select(Box::pin(work), Box::pin(pass)).await;
        assert!(!second.leads());
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_claim_by_a_node_that_was_not_chosen_is_refused() {
    let server = Server::with_nodes(&["a", "b"], static_range()).await;
    let test = async {
        let service = server.with_service(1).await;
        let record = server.control.store.member(&service.id, &member(0)).await.expect("read").expect("there");
        let other = if record.place() == Some(&node("a")) { node("b") } else { node("a") };
        let name = MountName { service: service.id.clone(), member: Some(member(0)), role: VolumeRole::Data };
        let life = server.world.lock().nodes[&other].life.clone();
        let refusal = server.control.claim(&name, &other, &life, &[]).await.err().expect("refused");
        assert_eq!(refusal.kind, ErrorKind::Refused, "{refusal}");
        let now = server.control.store.member(&service.id, &member(0)).await.expect("read").expect("there");
        assert_eq!(now.binding, record.binding, "a stray claim changes nothing");
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_service_that_no_node_can_take_is_refused_before_anything_is_touched() {
    let server = Server::with_nodes(&["a"], static_range()).await;
    let test = async {
        server.control.drain(&node("a")).await.expect("drained");
        let refusal = server.submit(create(1)).await.expect_err("no node");
        assert!(refusal.to_string().contains("no node can take orders-0"), "{refusal}");
        assert_eq!(server.keys_under("services/").await, Vec::<String>::new());
        let (events, _) = server.control.events(None, None, 100).await.expect("read");
        assert!(
            events.iter().any(|e| e.event.kind == EventKind::NodeChanged && e.event.message.contains("is drained"))
        );
    };
    server.beside(test).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_away_gets_the_zone_again() {
    let server = Server::with_nodes(&["a", "b", "c"], static_range()).await;
    let test = async {
        server.world.lock().nodes.get_mut(&node("c")).expect("there").deaf = true;
        server.with_service(1).await;
        om_backend::NameService::withdraw(&server.agents.names_of(&node("c"))).await.expect("fake");
        server.pass(Duration::from_secs(4)).await;
        let zone = server.agents.names_of(&node("c")).zone().expect("pushed again");
        assert!(zone.members.contains_key(&member(0)));
    };
    server.beside(test).await;
}
