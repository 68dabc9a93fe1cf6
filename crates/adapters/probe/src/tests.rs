//! Real probes: over loopback, and between two network namespaces that each test makes for itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::os::fd::AsFd;
use std::process::Command;
use std::time::Instant;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::*;

const WITHIN: Duration = Duration::from_millis(300);
const PEER: &str = "10.213.7.2";
const PORT: u16 = 27041;

fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
}

/// Two network namespaces, joined by a pair of links. Gone with the value.
struct Pair {
    near: String,
    far: String,
}

impl Pair {
    fn new(name: &str) -> Self {
        let id = std::process::id();
        let pair = Self { near: format!("omp{name}n{id}"), far: format!("omp{name}f{id}") };
        let (near, far) = (&pair.near, &pair.far);
        run(&format!("ip netns add {near}"));
        run(&format!("ip netns add {far}"));
        run(&format!("ip -n {near} link add e0 type veth peer name e0 netns {far}"));
        for (namespace, address) in [(near, "10.213.7.1"), (far, PEER)] {
            run(&format!("ip -n {namespace} address add {address}/24 dev e0"));
            run(&format!("ip -n {namespace} link set lo up"));
            run(&format!("ip -n {namespace} link set e0 up"));
        }
        pair
    }

    fn far(&self, line: &str) {
        run(&format!("nsenter --net=/run/netns/{} {line}", self.far));
    }

    /// What a prober in the near namespace says of the far one, and how long that took.
    fn probe(&self) -> (bool, Duration) {
        self.probes(1)[0]
    }

    fn probes(&self, times: usize) -> Vec<(bool, Duration)> {
        self.near(async move |prober| {
            let mut found = Vec::new();
            for _ in 0..times {
                let since = Instant::now();
                let peer = PEER.parse().unwrap();
                found.push((prober.alive(peer, SocketAddr::new(peer, PORT), WITHIN).await, since.elapsed()));
            }
            found
        })
    }

    /// Runs `work` in the near namespace, on a thread of its own: it stays there.
    fn near<T: Send + 'static>(&self, work: impl AsyncFnOnce(NetProber) -> T + Send + 'static) -> T {
        let path = format!("/run/netns/{}", self.near);
        let working = std::thread::spawn(move || {
            let namespace = std::fs::File::open(path).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(NetProber::default()))
        });
        working.join().unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for namespace in [&self.near, &self.far] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

#[tokio::test]
async fn loopback_is_alive_at_once() {
    let prober = NetProber::default();
    for (address, agent) in [("127.0.0.1", "127.0.0.1:1"), ("::1", "[::1]:1")] {
        let since = Instant::now();
        assert!(prober.alive(address.parse().unwrap(), agent.parse().unwrap(), WITHIN).await, "{address}");
        assert!(since.elapsed() < WITHIN / KNOCK_AFTER, "{address} was echoed after {:?}", since.elapsed());
    }
}

#[test]
fn many_probes_at_once_are_not_mistaken_for_one_another() {
    let pair = Pair::new("m");
    let (living, dead) = pair.near(async |prober| {
        let ask = |address: [u8; 4]| prober.alive(address.into(), SocketAddr::new(address.into(), 1), WITHIN);
        // Those of nobody stay silent while echoes of the others come in.
        let living = futures::future::join_all((1..30).map(|last| ask([127, 0, 0, last])));
        let dead = futures::future::join_all((101..130).map(|last| ask([10, 213, 7, last])));
        futures::future::join(living, dead).await
    });
    assert!(living.into_iter().all(|alive| alive) && !dead.into_iter().any(|alive| alive));
}

#[test]
fn a_link_that_is_cut_is_silence_in_time_and_its_heal_is_seen() {
    let pair = Pair::new("a");
    let (alive, took) = pair.probe();
    assert!(alive && took < WITHIN / KNOCK_AFTER, "echoed after {took:?}");
    pair.far("ip link set e0 down");
    let (alive, took) = pair.probe();
    assert!(!alive && took >= WITHIN && took < WITHIN * 2, "{alive} after {took:?}");
    pair.far("ip link set e0 up");
    assert!(pair.probes(4).iter().any(|(alive, _)| *alive));
}

#[test]
fn one_way_is_no_way() {
    let pair = Pair::new("b");
    pair.far("iptables -A OUTPUT -o e0 -j DROP");
    assert!(!pair.probe().0, "it hears, but nobody hears it");
    pair.far("iptables -F");
    assert!(pair.probe().0);
    pair.far("iptables -A INPUT -i e0 -j DROP");
    assert!(!pair.probe().0);
}

#[test]
fn where_echoes_are_dropped_a_closed_port_and_a_refusal_are_signs_of_life() {
    let pair = Pair::new("c");
    pair.far("iptables -A INPUT -p icmp -j DROP");
    let (alive, took) = pair.probe();
    assert!(alive && took >= WITHIN / KNOCK_AFTER, "knocked after {took:?}");
    pair.far(&format!("iptables -A INPUT -p tcp --dport {PORT} -j REJECT --reject-with tcp-reset"));
    assert!(pair.probe().0);
}

#[test]
fn another_machine_that_says_unreachable_is_no_sign_of_life() {
    let pair = Pair::new("d");
    pair.far("ip address delete 10.213.7.2/24 dev e0");
    assert!(!pair.probe().0, "nobody has the address");
    pair.far("ip address add 10.213.7.3/24 dev e0");
    run(&format!("ip -n {} route add 10.213.7.2/32 via 10.213.7.3", pair.near));
    pair.far("sysctl -qw net.ipv4.ip_forward=1");
    pair.far("ip route add unreachable 10.213.7.2/32");
    assert!(!pair.probe().0, "a router's word");
}

#[test]
fn a_third_of_all_packets_may_be_lost() {
    let pair = Pair::new("e");
    pair.far("iptables -A INPUT -i e0 -m statistic --mode random --probability 0.3 -j DROP");
    let found = pair.probes(100);
    let missed = found.iter().filter(|(alive, _)| !alive).count();
    // Five echoes and two knocks or more: about one call in a thousand.
    assert!(missed <= 2, "{missed} of 100 were missed");
    assert!(found.iter().any(|(_, took)| *took > Duration::from_millis(50)), "no packet was lost");
}
