//! Ways of the orchestrator through nodes that have fallen silent are ended, once for each silence.

use std::net::IpAddr;

use super::reports::live;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// Nodes that answer while they have power.
#[derive(Clone, Default)]
struct Power(Arc<Mutex<BTreeSet<IpAddr>>>);

impl Power {
    fn on(&self, index: u16) {
        self.0.lock().unwrap().insert(address(index));
    }

    fn off(&self, index: u16) {
        self.0.lock().unwrap().remove(&address(index));
    }
}

#[async_trait]
impl Prober for Power {
    async fn alive(&self, address: IpAddr, _: SocketAddr, _: Duration) -> bool {
        machine::give_way().await;
        self.0.lock().unwrap().contains(&address)
    }
}

fn address(index: u16) -> IpAddr {
    format!("10.0.0.{index}").parse().unwrap()
}

/// A cluster of three, all of whom have power.
fn cluster(orchestrator_port: Option<u16>) -> (World, Power) {
    let mut world = World::of_nodes(3, Fencing::AtOnce);
    let power = Power::default();
    (2..=3).for_each(|index| power.on(index));
    world.prober = Arc::new(power.clone());
    world.orchestrator_port = orchestrator_port;
    (world, power)
}

fn severed(world: &World) -> Vec<String> {
    world.host.history().into_iter().filter(|call| call.starts_with("sever")).collect()
}

#[test]
fn once_for_each_silence_and_for_nobody_who_answers() {
    let (world, power) = cluster(Some(2377));
    let agent = world.agent();
    let living = async {
        agent.sleep(SECOND * 5).await;
        assert_eq!(severed(&world), [] as [&str; 0], "everybody answers");
        power.off(2);
        agent.sleep(SECOND * 2 - SECOND / 4).await;
        assert_eq!(severed(&world), [] as [&str; 0], "that may be nothing yet");
        agent.sleep(SECOND * 3 / 4).await;
        assert_eq!(severed(&world), ["sever 10.0.0.2:2377"], "before the servers declare it lost");
        agent.sleep(SECOND * 20).await;
        assert_eq!(severed(&world).len(), 1);
        power.on(2);
        agent.sleep(SECOND).await;
        power.off(2);
        agent.sleep(SECOND * 20).await;
        assert_eq!(severed(&world), ["sever 10.0.0.2:2377"; 2]);
    };
    let always = std::pin::pin!(agent.run());
    world.run(futures::future::select(always, std::pin::pin!(living)));
}

#[test]
fn not_after_a_pause_of_the_agents_own() {
    let (world, power) = cluster(Some(2377));
    let agent = world.agent();
    live(&world, &agent, SECOND * 5);
    power.off(2);
    world.clock.advance(SECOND * 30);
    live(&world, &agent, SECOND * 3 / 2);
    assert_eq!(severed(&world), [] as [&str; 0]);
    power.on(2);
    live(&world, &agent, SECOND * 5);
    assert_eq!(severed(&world), [] as [&str; 0]);
}

#[test]
fn where_the_orchestrator_needs_no_other_node_nothing_is_severed() {
    let (world, power) = cluster(None);
    power.off(2);
    let agent = world.agent();
    live(&world, &agent, SECOND * 5);
    let silent = world.run(om_backend::NodeAgent::peers(&agent)).unwrap();
    assert!(silent.iter().any(|view| view.silent_for > SECOND * 3), "{silent:?}");
    assert_eq!(severed(&world), [] as [&str; 0]);
}
