//! The network of a run: a switch in a namespace of its own, a namespace per host, and what can go wrong between them.
//!
//! Nothing of it is in the machine's own network namespace. Faults are made at the switch, so that a host cannot tell
//! them from those of a real network: a port that is down, frames that are dropped on their way in or out of it.

use std::sync::Mutex;

use super::shell::{must, run};

/// The first three octets of every address; each run has its own world of them.
pub const SUBNET: &str = "10.77.0";

/// A switch and what is plugged in.
pub(super) struct Network {
    /// The run's name: namespaces are called `<run>-<host>`.
    run: String,
    /// Rules in force at the switch, so that each can be taken away again.
    rules: Mutex<Vec<Rule>>,
}

struct Rule {
    host: String,
    words: Vec<String>,
}

/// Which way frames are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What the host sends does not arrive anywhere.
    Out,
    /// What is sent to the host does not arrive.
    In,
}

impl Network {
    /// A switch with nothing plugged in.
    pub(super) fn new(run: &str) -> Self {
        let network = Self { run: run.to_owned(), rules: Mutex::default() };
        let switch = network.namespace("sw");
        must(&["ip", "netns", "add", &switch]);
        must(&["ip", "-n", &switch, "link", "add", "br0", "type", "bridge", "forward_delay", "0"]);
        must(&["ip", "-n", &switch, "link", "set", "br0", "up"]);
        // Frames that cross the bridge pass the namespace's own FORWARD chain, which drops nothing but what we say.
        network.at_switch(&["sysctl", "-qw", "net.bridge.bridge-nf-call-iptables=1"]);
        network
    }

    /// The name of a host's network namespace.
    pub(super) fn namespace(&self, host: &str) -> String {
        format!("{}-{host}", self.run)
    }

    /// Plugs in a host.
    pub(super) fn plug(&self, host: &str, address: &str) {
        let (switch, own) = (self.namespace("sw"), self.namespace(host));
        must(&["ip", "netns", "add", &own]);
        let peer = ["type", "veth", "peer", "name", "eth0", "netns", &own];
        must(&[&["ip", "-n", &switch, "link", "add", host], &peer[..]].concat());
        must(&["ip", "-n", &switch, "link", "set", host, "master", "br0", "up"]);
        must(&["ip", "-n", &own, "link", "set", "lo", "up"]);
        must(&["ip", "-n", &own, "address", "add", &format!("{address}/24"), "dev", "eth0"]);
        must(&["ip", "-n", &own, "link", "set", "eth0", "up"]);
    }

    /// Unplugs the cable or plugs it in again.
    pub(super) fn link(&self, host: &str, up: bool) {
        must(&["ip", "-n", &self.namespace("sw"), "link", "set", host, if up { "up" } else { "down" }]);
    }

    /// Loses every frame of one direction.
    pub(super) fn lose(&self, host: &str, way: Way) {
        self.rule(host, &["-m", "physdev", physdev(way), host]);
    }

    /// Loses so many percent of the frames of each direction.
    pub(super) fn lose_some(&self, host: &str, percent: u32) {
        let probability = format!("{:.2}", f64::from(percent) / 100.0);
        for way in [Way::In, Way::Out] {
            let which = ["-m", "physdev", physdev(way), host];
            let chance = ["-m", "statistic", "--mode", "random", "--probability", &probability];
            self.rule(host, &[&which[..], &chance[..]].concat());
        }
    }

    /// Loses every frame between two hosts.
    pub(super) fn part(&self, one: &str, other: &str) {
        for (from, to) in [(one, other), (other, one)] {
            self.rule(one, &["-m", "physdev", "--physdev-in", from, "--physdev-out", to]);
        }
    }

    fn rule(&self, host: &str, words: &[&str]) {
        let rule = [words, &["-j", "DROP"]].concat();
        self.at_switch(&[&["iptables", "-w", "-A", "FORWARD"], &rule[..]].concat());
        let words = rule.into_iter().map(str::to_owned).collect();
        self.rules.lock().expect("no panic while held").push(Rule { host: host.to_owned(), words });
    }

    /// Ends every loss that was asked for on this host.
    pub(super) fn lose_none(&self, host: &str) {
        let mut rules = self.rules.lock().expect("no panic while held");
        for rule in rules.extract_if(.., |rule| rule.host == host) {
            let words: Vec<&str> = rule.words.iter().map(String::as_str).collect();
            self.at_switch(&[&["iptables", "-w", "-D", "FORWARD"], &words[..]].concat());
        }
    }

    fn at_switch(&self, words: &[&str]) {
        let enter = format!("--net=/run/netns/{}", self.namespace("sw"));
        must(&[&["nsenter", &enter], words].concat());
    }
}

fn physdev(way: Way) -> &'static str {
    match way {
        Way::Out => "--physdev-in",
        Way::In => "--physdev-out",
    }
}

/// Network namespaces of a run that are there.
pub(super) fn namespaces_of(run_name: &str) -> Vec<String> {
    let listed = run(&["ip", "netns", "list"]).unwrap_or_default();
    let names = listed.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| name.starts_with(&format!("{run_name}-"))).map(str::to_owned).collect()
}
