//! Every call of every port arrives as it was made, and its answer or error comes back as it was given.

use std::sync::Arc;
use std::time::{Duration, Instant};

use om_backend::{
    Agents, ControlPlane, ErrorKind, NameService, NodeAgent, PeerRole, PortError, VolumeProvider, Voter, Voters,
};
use om_model::{ByteSize, Epoch, Proof};

use super::recorder::{
    Recorder, attachment, grant, life, member, node, orders, report, service, snapshot, status, views, volume, zone,
};
use super::world::{Cluster, Running, serve};
use crate::{AgentParts, RemoteAgents, RemoteControlPlane, VolumeTraits, agent_router, control_plane_router};

const EPOCH: Epoch = Epoch::new(7);
const TERM: Duration = Duration::from_millis(2500);

/// Makes the call on the recorder itself, then over the network: both are asked the same and answer the same, also
/// when they fail.
macro_rules! same {
    ($recorder:expr, $remote:expr, |$port:ident| $call:expr, $expected:expr) => {{
        let (call, expected) = (stringify!($call), $expected);
        let error = PortError::new(ErrorKind::Refused, "a", "b", call).advise("c");
        let $port = &*$recorder;
        assert_eq!($call.await.as_ref().ok(), Some(&expected), "{call}");
        let directly = $recorder.asked();
        let $port = $remote;
        assert_eq!($call.await, Ok(expected), "{call}");
        assert_eq!(($recorder.asked(), directly.len()), (directly, 1), "{call}");
        $recorder.fail(error.clone());
        assert_eq!($call.await.err(), Some(error), "{call}");
        *$recorder.failure.lock().expect("no panic") = None;
        $recorder.asked();
    }};
}

struct Agent {
    recorder: Arc<Recorder>,
    running: Running,
    agents: RemoteAgents,
}

async fn agent() -> Agent {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let parts = AgentParts {
        agent: recorder.clone(),
        voter: recorder.clone(),
        volumes: recorder.clone(),
        names: recorder.clone(),
    };
    let running = serve(&cluster.agent(), agent_router(parts)).await;
    let agents = RemoteAgents::new(cluster.server(), VolumeTraits::of(&*recorder));
    Agent { recorder, running, agents }
}

#[tokio::test]
async fn the_control_plane() {
    let (cluster, recorder) = (Cluster::new(), Arc::new(Recorder::default()));
    let running = serve(&cluster.server(), control_plane_router(recorder.clone())).await;
    let plane = &RemoteControlPlane::new(&cluster.agent(), &[running.url()]).expect("a URL");
    let name = format!("journal_{}_{}", service(), member()).parse().expect("a mount's name");
    let (service, member, me) = (service(), member(), node("node-1"));
    same!(recorder, plane, |port| ControlPlane::knows(port, &name), true);
    let here = [member.clone(), "orders-1".parse().expect("a name")];
    let granted = grant();
    let direct = recorder.claim(&name, &me, &life(), &here).await.expect("granted");
    assert!(direct == granted && plane.claim(&name, &me, &life(), &here).await.expect("granted") == granted);
    let asked = recorder.asked();
    assert!(asked.len() == 2 && asked[0] == asked[1], "{asked:?}");
    assert!(plane.refresh(&service, &member, EPOCH).await.expect("granted") == granted);
    assert_eq!(recorder.asked(), [format!("refresh {service} {member} 7")]);
    same!(recorder, plane, |port| ControlPlane::formatted(port, &volume()), ());
    same!(recorder, plane, |port| ControlPlane::fenced(port, &service, &member, EPOCH, Proof::Vouched), ());
    same!(recorder, plane, |port| ControlPlane::report(port, &report("node-1")), orders());
    same!(recorder, plane, |port| ControlPlane::publish(port, &service, &member, EPOCH), ());
    same!(recorder, plane, |port| ControlPlane::released(port, &service, &member, EPOCH), ());
}

#[tokio::test]
async fn the_agent_and_its_vote() {
    let Agent { recorder, running, agents } = agent().await;
    let remote = &*agents.agent(&node("node-1"), running.address);
    let (service, member) = (service(), member());
    same!(recorder, remote, |port| NodeAgent::status(port, &service, &member), status());
    same!(recorder, remote, |port| NodeAgent::reload(port, &service, &member), status());
    same!(recorder, remote, |port| NodeAgent::release(port, &service, &member), ());
    same!(recorder, remote, |port| NodeAgent::fence(port, &service, &member, EPOCH), ());
    same!(recorder, remote, |port| NodeAgent::peers(port), views());
    same!(recorder, remote, |port| NodeAgent::grow(port, &volume()), ());
    let voter = &*agents.voter(&node("node-1"), running.address);
    same!(recorder, voter, |port| Voter::renew(port, &node("node-2"), &life(), 7, TERM), ());
    same!(
        recorder,
        voter,
        |port| Voter::bar(port, &node("node-2"), &life(), 7, TERM),
        Duration::from_nanos(1_500_000_001)
    );
    let names = &*agents.names(&node("node-1"), running.address);
    same!(recorder, names, |port| NameService::publish(port, &zone()), ());
    same!(recorder, names, |port| NameService::withdraw(port), ());
}

#[tokio::test]
async fn the_volumes() {
    let Agent { recorder, running, agents } = agent().await;
    let remote = &*agents.volumes(&node("node-1"), running.address);
    let size = ByteSize::bytes(1 << 40);
    assert_eq!(VolumeTraits::of(remote), VolumeTraits::of(&*recorder));
    let told = agents.volume_traits(&node("node-1"), running.address).await.expect("told");
    assert_eq!(told, VolumeTraits::of(&*recorder));
    same!(recorder, remote, |port| VolumeProvider::create(port, &volume(), size), ());
    same!(recorder, remote, |port| VolumeProvider::delete(port, &volume()), ());
    same!(recorder, remote, |port| VolumeProvider::revoke(port, &volume(), EPOCH), ());
    same!(recorder, remote, |port| VolumeProvider::snapshot(port, &snapshot()), ());
    same!(recorder, remote, |port| VolumeProvider::delete_snapshot(port, &snapshot()), ());
    same!(recorder, remote, |port| VolumeProvider::snapshots(port, &volume()), vec![snapshot()]);
    same!(recorder, remote, |port| VolumeProvider::restore(port, &volume(), &snapshot(), size), ());
    same!(recorder, remote, |port| VolumeProvider::attach(port, &volume(), EPOCH), attachment());
    same!(recorder, remote, |port| VolumeProvider::abandon(port, &volume()), ());
    same!(recorder, remote, |port| VolumeProvider::detach(port, &volume()), ());
    same!(recorder, remote, |port| VolumeProvider::grow(port, &volume(), size), ());
    same!(recorder, remote, |port| VolumeProvider::list(port), vec![volume()]);
}

#[tokio::test]
async fn every_kind_of_error_stays_what_it_is() {
    let Agent { recorder, running, agents } = agent().await;
    let remote = agents.agent(&node("node-1"), running.address);
    use ErrorKind::{Exhausted, Invalid, NotFound, Refused, TimedOut, Unavailable};
    for kind in [NotFound, Invalid, Refused, Exhausted, Unavailable, TimedOut] {
        let error = PortError::new(kind, "ask", "«it»", "no").advise("wait");
        recorder.fail(error.clone());
        assert_eq!(remote.peers().await, Err(error));
    }
}

#[tokio::test]
async fn a_slow_call_delays_no_vote_and_a_late_vote_is_given_up() {
    let Agent { recorder, running, agents } = agent().await;
    let (at, me) = (running.address, node("node-1"));
    *recorder.delay.lock().expect("no panic") = Duration::from_secs(2);
    let (service, member, slow) = (service(), member(), agents.agent(&me, at));
    let slow = tokio::spawn(async move { slow.fence(&service, &member, EPOCH).await });
    while recorder.asked().is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    *recorder.delay.lock().expect("no panic") = Duration::ZERO;
    let voter = agents.voter(&me, at);
    assert_eq!(voter.renew(&me, &life(), 7, TERM).await, Ok(()));
    assert!(!slow.is_finished(), "the slow call ended too early to tell");
    *recorder.delay.lock().expect("no panic") = Duration::from_secs(60);
    let before = Instant::now();
    let late = voter.renew(&me, &life(), 7, TERM).await.expect_err("late");
    assert_eq!(late.kind, ErrorKind::TimedOut, "{late}");
    assert!(before.elapsed() < Duration::from_millis(900), "{:?}", before.elapsed());
    assert!(late.to_string().contains(&at.to_string()) && late.to_string().contains("agent node-1"), "{late}");
    assert_eq!(slow.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn json_calls_arrive_with_their_path_and_caller() {
    struct Echo;
    #[async_trait::async_trait]
    impl crate::JsonCall for Echo {
        async fn call(
            &self,
            caller: &om_backend::PeerIdentity,
            path: &str,
            args: serde_json::Value,
        ) -> om_backend::Result<serde_json::Value> {
            match path {
                "export/start" => Ok(serde_json::json!({ "caller": caller.to_string(), "args": args })),
                _ => Err(PortError::new(ErrorKind::NotFound, "call", path, "there is no such call")),
            }
        }
    }
    let cluster = Cluster::new();
    let storage = cluster.identity(PeerRole::Storage, "store-1");
    let roles = &[PeerRole::Agent, PeerRole::Server];
    let running = serve(&storage, crate::json_router("storage", roles, Arc::new(Echo))).await;
    let line = crate::JsonLine::new(&cluster.agent(), "storage", storage.peer(), running.address);
    let args = serde_json::json!({ "volume": [1, null, "ä"] });
    let answer = line.post("export/start", &args).await.expect("answered");
    assert_eq!(answer, serde_json::json!({ "caller": "agent node-1", "args": args }));
    assert_eq!(line.post("export/stop", &args).await.expect_err("unknown").kind, ErrorKind::NotFound);
    let line = crate::JsonLine::of_role(&storage, "storage", PeerRole::Storage, &running.address.to_string());
    assert_eq!(line.post("export/start", &args).await.expect_err("not for storage").kind, ErrorKind::Refused);
}
