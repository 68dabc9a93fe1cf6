//! Who is not let in, and whom clients do not speak to.

use std::sync::Arc;

use om_backend::{Agents, ControlPlane, ErrorKind, PeerRole, PortError, Voters};

use super::recorder::{Recorder, life, member, node, report, service};
use super::world::{Cluster, days_ago, now, peer, serve};
use crate::dial::Expected;
use crate::identity::anonymous_client;
use crate::line::Line;
use crate::wire::plane::{KNOWS, Knows, REPORT};
use crate::{AgentParts, Identity, RemoteAgents, RemoteControlPlane, VolumeTraits, agent_router, control_plane_router};

fn parts(recorder: &Arc<Recorder>) -> AgentParts {
    AgentParts { agent: recorder.clone(), voter: recorder.clone(), volumes: recorder.clone(), names: recorder.clone() }
}

async fn ask(identity: &Identity, url: &str) -> Result<bool, PortError> {
    let plane = RemoteControlPlane::new(identity, &[url]).expect("a URL");
    plane.knows(&service().to_string().parse().expect("a mount's name")).await
}

#[tokio::test]
async fn only_agents_of_the_cluster_reach_the_control_plane() {
    let (cluster, other, recorder) = (Cluster::new(), Cluster::new(), Arc::new(Recorder::default()));
    let running = serve(&cluster.server(), control_plane_router(recorder.clone())).await;
    assert_eq!(ask(&cluster.agent(), &running.url()).await, Ok(true));
    assert_eq!(recorder.asked().len(), 1);
    for role in [PeerRole::Server, PeerRole::Storage] {
        let error = ask(&cluster.identity(role, "node-1"), &running.url()).await.expect_err("another role");
        assert!(error.kind == ErrorKind::Refused && error.to_string().contains(role.as_str()), "{error}");
    }
    // Signed by another cluster's authority, but trusting ours.
    let foreign = other.issue(Some(peer(PeerRole::Agent, "node-1")), now());
    let authority = &cluster.authority.certificate;
    let foreign = Identity::new(&foreign.certificate, &foreign.key, authority).expect("an identity");
    let expired = cluster.identity_from(PeerRole::Agent, "node-1", days_ago(31));
    let early =
        cluster.identity_from(PeerRole::Agent, "node-1", om_model::Timestamp::from_millis(now().as_millis() * 2));
    for bad in [foreign, expired, early] {
        let error = ask(&bad, &running.url()).await.expect_err("not trusted");
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
    }
    assert_eq!(recorder.asked(), Vec::<String>::new(), "a call came through");
}

#[tokio::test]
async fn without_a_certificate_nothing_is_done_and_without_a_role_neither() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let running = serve(&cluster.server(), control_plane_router(recorder.clone())).await;
    let tls = anonymous_client(&cluster.authority.certificate).expect("an authority");
    let line = Line::new(tls, running.address, Expected::Role(PeerRole::Server));
    let error = line.ask(&KNOWS, &Knows { name: service().to_string() }).await.expect_err("nobody");
    assert!(error.kind == ErrorKind::Refused && error.detail.contains("no certificate"), "{error}");
    let error = line.ask(&REPORT, &report("node-1")).await.expect_err("nobody");
    assert_eq!(error.kind, ErrorKind::Refused);
    let of_member = cluster.issue(None, now());
    let error = Identity::new(&of_member.certificate, &of_member.key, &cluster.authority.certificate);
    assert_eq!(error.expect_err("a member's certificate is no identity").kind, ErrorKind::Invalid);
    assert_eq!(recorder.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_agent_claims_and_reports_as_itself_only() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let running = serve(&cluster.server(), control_plane_router(recorder.clone())).await;
    let plane = RemoteControlPlane::new(&cluster.agent(), &[running.url()]).expect("a URL");
    let name = service().to_string().parse().expect("a mount's name");
    let error = plane.claim(&name, &node("node-2"), &life(), &[]).await.map(drop).expect_err("as another");
    assert!(error.kind == ErrorKind::Refused && error.detail.contains("agent node-1"), "{error}");
    assert_eq!(plane.report(&report("node-2")).await.expect_err("as another").kind, ErrorKind::Refused);
    assert_eq!(recorder.asked(), Vec::<String>::new());
    assert!(plane.claim(&name, &node("node-1"), &life(), &[]).await.is_ok());
    assert!(plane.report(&report("node-1")).await.is_ok());
}

#[tokio::test]
async fn agents_vote_for_agents_and_leave_volumes_and_names_to_servers() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let running = serve(&cluster.agent(), agent_router(parts(&recorder))).await;
    let (at, me) = (running.address, node("node-1"));
    let agents = |identity| RemoteAgents::new(identity, VolumeTraits::of(&*recorder));
    let another = agents(cluster.identity(PeerRole::Agent, "node-2"));
    assert_eq!(another.voter(&me, at).renew(&me, &life(), 7, std::time::Duration::from_secs(1)).await, Ok(()));
    assert_eq!(another.agent(&me, at).fence(&service(), &member(), om_model::Epoch::new(1)).await, Ok(()));
    assert_eq!(recorder.asked().len(), 2);
    assert_eq!(another.volumes(&me, at).list().await.expect_err("an agent").kind, ErrorKind::Refused);
    assert_eq!(another.names(&me, at).withdraw().await.expect_err("an agent").kind, ErrorKind::Refused);
    let storage = agents(cluster.identity(PeerRole::Storage, "node-1"));
    assert_eq!(storage.agent(&me, at).peers().await.expect_err("storage").kind, ErrorKind::Refused);
    assert_eq!(recorder.asked(), Vec::<String>::new());
    assert!(agents(cluster.server()).volumes(&me, at).list().await.is_ok());
}

#[tokio::test]
async fn a_client_speaks_to_no_other_role_name_or_cluster() {
    let (cluster, other, recorder) = (Cluster::new(), Cluster::new(), Arc::new(Recorder::default()));
    let router = || control_plane_router(recorder.clone()).merge(agent_router(parts(&recorder)));
    let posing = serve(&cluster.identity(PeerRole::Agent, "server-1"), router()).await;
    let foreign = serve(&other.server(), router()).await;
    let expired = serve(&cluster.identity_from(PeerRole::Server, "server-1", days_ago(31)), router()).await;
    for running in [&posing, &foreign, &expired] {
        let error = ask(&cluster.agent(), &running.url()).await.expect_err("not a server of ours");
        assert!(error.kind == ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(&running.address.to_string()), "{error}");
    }
    let agents = RemoteAgents::new(cluster.server(), VolumeTraits::of(&*recorder));
    let error = agents.agent(&node("node-2"), posing.address).peers().await.expect_err("another agent");
    assert!(error.to_string().contains("the agent server-1 answers there"), "{error}");
    assert_eq!(recorder.asked(), Vec::<String>::new());
    assert!(agents.agent(&node("server-1"), posing.address).peers().await.is_ok());
}
