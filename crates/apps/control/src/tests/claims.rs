//! Who may mount what.

use om_backend::{ControlPlane as _, ErrorKind, Grant, MountName, PortError};
use om_model::{Epoch, MemberName, NodeId, Phase, Proof, ServiceRecord, VolumeRole};

use super::world::{Server, member};
use crate::store::member_key;

/// A service of three whose members are all held by node1 in its life1.
async fn held() -> (Server, ServiceRecord) {
    let server = Server::new();
    let service = server.beside(server.with_service(3)).await;
    (server, service)
}

/// The same, all of them released.
async fn unheld() -> (Server, ServiceRecord) {
    let (server, service) = held().await;
    for index in 0..3 {
        server.control.released(&service.id, &member(index), Epoch::new(1)).await.expect("released");
    }
    (server, service)
}

async fn claim(
    server: &Server,
    service: &ServiceRecord,
    wanted: Option<u16>,
    node: &str,
    mounted_here: &[MemberName],
) -> Result<Grant, PortError> {
    let name = MountName { service: service.id.clone(), member: wanted.map(member), role: VolumeRole::Data };
    let (node, life): (NodeId, _) = (node.parse().expect("a node"), "life1".parse().expect("a life"));
    server.control.claim(&name, &node, &life, mounted_here).await
}

#[track_caller]
fn refusal(result: Result<Grant, PortError>) -> String {
    match result {
        Err(error) if error.kind == ErrorKind::Refused => error.to_string(),
        Err(error) => panic!("another failure: {error}"),
        Ok(grant) => panic!("{} was granted under epoch {}", grant.member, grant.epoch),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stray_node_is_refused_and_told_who_holds_the_member() {
    let (server, service) = held().await;
    let before = server.control.store.members_of(&service.id).await.expect("read");
    let said = refusal(claim(&server, &service, Some(0), "node2", &[]).await);
    assert_eq!(said, "cannot claim orders-0: held by node node1 since epoch 1");
    assert_eq!(server.control.store.members_of(&service.id).await.expect("read"), before);
}

#[tokio::test(start_paused = true)]
async fn the_holder_claims_again_under_the_same_epoch() {
    let (server, service) = held().await;
    let again = claim(&server, &service, Some(0), "node1", &[]).await.expect("its own");
    assert_eq!((again.member, again.epoch), (member(0), Epoch::new(1)));
    assert!(again.volumes.iter().all(|volume| volume.formatted), "never formatted again");
    assert_eq!(server.keys_under(&format!("history/{}/orders-0/", service.id)).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_nameless_claim_takes_a_free_member_and_skips_those_mounted_here() {
    let (server, service) = unheld().await;
    let mut mounted = Vec::new();
    for index in 0..3 {
        let grant = claim(&server, &service, None, "node2", &mounted).await.expect("one is free");
        assert_eq!((&grant.member, grant.epoch), (&member(index), Epoch::new(2)));
        assert!(grant.volumes.iter().all(|volume| volume.id.member == member(index)), "its own volumes only");
        mounted.push(grant.member);
    }
    let said = refusal(claim(&server, &service, None, "node2", &mounted).await);
    assert!(said.contains("no member is free on this node"), "{said}");
    refusal(claim(&server, &service, None, "node3", &[]).await);
}

#[tokio::test(start_paused = true)]
async fn a_nameless_claim_prefers_what_the_node_holds_already() {
    let (server, service) = unheld().await;
    claim(&server, &service, Some(2), "node2", &[]).await.expect("free");
    let grant = claim(&server, &service, None, "node2", &[]).await.expect("its own");
    assert_eq!((grant.member, grant.epoch), (member(2), Epoch::new(2)));
}

#[tokio::test(start_paused = true)]
async fn every_holder_is_in_the_history() {
    let (server, service) = unheld().await;
    claim(&server, &service, Some(0), "node2", &[]).await.expect("free");
    let stored = server.control.store.history.all(&member_key(&service.id, &member(0))).await.expect("read");
    let who: Vec<_> = stored.iter().map(|s| (s.value.epoch, s.value.holder.node.to_string())).collect();
    assert_eq!(who, [(Epoch::new(1), "node1".to_owned()), (Epoch::new(2), "node2".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_or_changed_under_an_epoch_that_is_over() {
    let (server, service) = unheld().await;
    let control = &server.control;
    claim(&server, &service, Some(0), "node2", &[]).await.expect("free");
    let published = async || {
        let stored = control.store.members.get(&member_key(&service.id, &member(0))).await.expect("read");
        stored.expect("there").value.binding.published
    };
    let error = control.publish(&service.id, &member(0), Epoch::new(1)).await.expect_err("over");
    assert_eq!((error.kind, error.detail.as_str()), (ErrorKind::Refused, "epoch 1 is over"));
    assert!(!published().await);
    assert_eq!(
        refusal(control.refresh(&service.id, &member(0), Epoch::new(1)).await),
        "cannot refresh orders-0: epoch 1 is over"
    );
    control.publish(&service.id, &member(0), Epoch::new(2)).await.expect("the present one");
    control.released(&service.id, &member(0), Epoch::new(1)).await.expect("late, and without effect");
    assert!(published().await);
}

#[tokio::test(start_paused = true)]
async fn an_assigned_node_is_told_whom_to_fence_and_publishes_only_then() {
    let (server, service) = held().await;
    let assign = |record: &om_model::MemberRecord| {
        let mut record = record.clone();
        record.binding.assigned = Some("node2".parse().expect("a node"));
        Some(record)
    };
    server.control.store.members.change(&member_key(&service.id, &member(0)), assign).await.expect("assigned");
    let grant = claim(&server, &service, Some(0), "node2", &[]).await.unwrap_or_else(|error| panic!("{error}"));
    let former: Vec<_> = grant.unfenced.iter().map(|former| (former.node.as_str(), former.epoch)).collect();
    assert_eq!(former, [("node1", Epoch::new(1))]);
    let error = server.control.publish(&service.id, &member(0), Epoch::new(2)).await.expect_err("not fenced");
    assert_eq!(error.kind, ErrorKind::Refused);
    server.control.fenced(&service.id, &member(0), Epoch::new(1), Proof::Revoked).await.expect("noted");
    server.control.publish(&service.id, &member(0), Epoch::new(2)).await.expect("fenced by now");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_being_deleted_is_not_mounted() {
    let (server, service) = unheld().await;
    let deleting = |record: &ServiceRecord| Some(ServiceRecord { phase: Phase::Deleting, ..record.clone() });
    server.control.store.services.change("orders", deleting).await.expect("marked");
    for wanted in [Some(0), None] {
        let said = refusal(claim(&server, &service, wanted, "node1", &[]).await);
        assert!(said.ends_with("the service is being deleted"), "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_does_not_exist_is_neither_known_nor_granted() {
    let (server, service) = held().await;
    let knows =
        async |text: String| server.control.knows(&text.parse().expect("a mount's name")).await.expect("answered");
    assert!(knows(service.id.to_string()).await);
    assert!(knows(format!("{}_orders-2", service.id)).await);
    assert!(!knows(format!("{}_orders-3", service.id)).await);
    assert!(!knows(format!("journal_{}_orders-2", service.id)).await, "it has no journal");
    assert!(!knows("0".repeat(32)).await);
    let said = refusal(claim(&server, &service, Some(3), "node1", &[]).await);
    assert_eq!(said, "cannot claim orders-3: no such member");
    let gone = ServiceRecord { id: "0".repeat(32).parse().expect("an id"), ..service };
    assert!(refusal(claim(&server, &gone, None, "node1", &[]).await).ends_with("no such service"));
}
