//! Real addresses, in two network namespaces that each test makes for itself.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real threads and time")]

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;

use om_backend::{ErrorKind, Host};
use om_host::SystemHost;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

fn run(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let done = Command::new(words[0]).args(&words[1..]).output().unwrap();
    assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

/// A node and a neighbour of it. Gone with the value.
struct Pair {
    node: String,
    neighbour: String,
}

impl Pair {
    fn new(name: &str) -> Self {
        let id = std::process::id();
        let pair = Self { node: format!("omh{name}n{id}"), neighbour: format!("omh{name}m{id}") };
        let (node, neighbour) = (&pair.node, &pair.neighbour);
        run(&format!("ip netns add {node}"));
        run(&format!("ip netns add {neighbour}"));
        run(&format!("ip -n {node} link add e0 address 02:00:00:00:00:07 type veth peer name e0 netns {neighbour}"));
        for (namespace, address) in [(node, "10.214.7.1"), (neighbour, "10.214.7.2")] {
            run(&format!("ip -n {namespace} address add {address}/24 dev e0"));
            run(&format!("ip -n {namespace} link set e0 up"));
        }
        pair
    }

    /// Runs `work` on the node, on a thread of its own: it stays there.
    fn on_node<T: Send + 'static>(&self, work: impl AsyncFnOnce(SystemHost) -> T + Send + 'static) -> T {
        let path = format!("/run/netns/{}", self.node);
        let working = std::thread::spawn(move || {
            let namespace = std::fs::File::open(path).unwrap();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(SystemHost::detect().unwrap()))
        });
        working.join().unwrap()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for namespace in [&self.node, &self.neighbour] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn addresses_come_and_go_alone() {
    let pair = Pair::new("a");
    let before = pair.on_node(async |host| {
        let before = host.addresses("e0").await.unwrap();
        let (one, other) = (address("10.214.9.5"), address("10.214.9.6"));
        for _ in 0..2 {
            host.add_address("e0", (one, 24)).await.unwrap();
        }
        // By the kernel's habit this one would go with the first.
        host.add_address("e0", (other, 24)).await.unwrap();
        let six = address("fd00:214::5");
        host.add_address("e0", (six, 64)).await.unwrap();
        let now = host.addresses("e0").await.unwrap();
        assert!([one, other, six].iter().all(|address| now.contains(address)), "{now:?}");
        for _ in 0..2 {
            host.remove_address("e0", one).await.unwrap();
        }
        let now = host.addresses("e0").await.unwrap();
        assert!(!now.contains(&one) && now.contains(&other) && now.contains(&six), "{now:?}");
        before
    });
    let shown = run(&format!("ip -n {} -o address show dev e0", pair.node));
    assert!(shown.contains("10.214.9.6/24") && !shown.contains("10.214.9.5"), "{shown}");
    assert!(shown.lines().any(|line| line.contains("fd00:214::5/64") && !line.contains("tentative")), "{shown}");
    assert!(before.contains(&address("10.214.7.1")));
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    let pair = Pair::new("b");
    let (added, removed, listed) = pair.on_node(async |host| {
        let one = address("10.214.9.5");
        let added = host.add_address("e9", (one, 24)).await.unwrap_err();
        (added, host.remove_address("e9", one).await, host.addresses("e9").await.unwrap_err())
    });
    assert_eq!((added.kind, removed, listed.kind), (ErrorKind::NotFound, Ok(()), ErrorKind::NotFound));
    assert!(added.subject == "e9" && added.next.is_some(), "{added}");
}

#[test]
fn neighbours_that_knew_the_former_holder_learn_of_the_new_one() {
    let pair = Pair::new("c");
    let known = || run(&format!("ip -n {} neighbour show 10.214.7.5", pair.neighbour));
    for round in 0..2 {
        run(&format!(
            "ip -n {} neighbour replace 10.214.7.5 lladdr 02:00:00:00:00:99 nud reachable dev e0",
            pair.neighbour
        ));
        assert!(known().contains("02:00:00:00:00:99"));
        pair.on_node(async |host| host.add_address("e0", (address("10.214.7.5"), 24)).await.unwrap());
        assert!(known().contains("02:00:00:00:00:07"), "round {round}: {}", known());
    }
}
