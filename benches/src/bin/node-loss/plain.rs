//! The peer: the same PostgreSQL as one service of plain Docker Swarm, its data a folder of the storage that all nodes share.
//!
//! **Nothing fences the former holder**: a node that is only cut off goes on writing into the same folder beside the new
//! one. So these figures are of a system that does less; they show what Swarm itself needs.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use om_tests::eventually;
use om_tests::testbed::writer::{Database, Writer};
use om_tests::testbed::{Hosts, IMAGE, POOL};

use crate::run::{BEFORE, PACE, first_start, split, wait};
use crate::seconds;

const SERVICE: &str = "plain";
const UP_WITHIN: Duration = Duration::from_secs(120);
/// What the container runs: the server, on a database made at the first start.
const SCRIPT: &str = include_str!("plain.sh");

/// How Swarm is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setting {
    /// As it comes: nodes are to be heard from every 5 s, and 5 s pass before a restart.
    Default,
    /// Every second, the least it takes; no pause before a restart.
    Fastest,
}

impl fmt::Display for Setting {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Default => "plain Swarm, default settings",
            Self::Fastest => "plain Swarm, fastest settings",
        })
    }
}

/// A Swarm of three managers with the service.
pub(crate) struct Plain {
    hosts: Hosts,
}

/// What came of a loss of power.
pub(crate) struct PeerRun {
    /// Whether the lost node led the Swarm.
    pub(crate) leader: bool,
    /// Seconds until the container ran elsewhere.
    pub(crate) container: f64,
    /// Seconds until a row was accepted there.
    pub(crate) write: f64,
    took: Duration,
}

impl fmt::Display for PeerRun {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { leader, container, write, took } = self;
        let also = if *leader { "; also lost: Swarm's leader" } else { "" };
        write!(out, "container runs {container:.2}, first write {write:.2}{also}; took {:.0} s", took.as_secs_f64())
    }
}

impl Plain {
    /// The Swarm with its service, which accepts writes.
    ///
    /// # Panics
    /// If something does not come up.
    pub(crate) fn start(setting: Setting) -> Self {
        let hosts = Hosts::start(3);
        hosts.swarm();
        let first = &hosts.nodes[0];
        first.run(&["mkdir", "-p", &format!("{POOL}/{SERVICE}")]).expect("the shared folder can be made");
        let mount = format!("type=bind,source={POOL}/{SERVICE},target=/data");
        let create = ["service", "create", "--detach", "--quiet", "--no-resolve-image", "--name", SERVICE];
        let what = ["--replicas", "1", "--network", "host", "--mount", &mount, "--entrypoint", "bash"];
        let fastest: &[&str] = match setting {
            Setting::Default => &[],
            Setting::Fastest => {
                let faster = ["swarm", "update", "--dispatcher-heartbeat", "1s"];
                first.docker(&faster).expect("Swarm can be set");
                &["--restart-delay", "0s"]
            }
        };
        let words = [&create[..], &what, fastest, &[IMAGE, "-euc", SCRIPT]].concat();
        first.docker(&words).expect("the service can be made");
        let plain = Self { hosts };
        let holder = plain.well();
        let table = "CREATE TABLE IF NOT EXISTS rows (id bigint)";
        plain.database(&[holder]).query(&plain.hosts.client, table).expect("the table can be made");
        plain
    }

    /// Takes the power of the node that runs the service, and brings it back. `leader` tells whether it shall be the one
    /// that leads the Swarm.
    ///
    /// # Panics
    /// If something does not come back.
    pub(crate) fn measure(&self, leader: bool) -> PeerRun {
        let began = Instant::now();
        let (client, at) = (&self.hosts.client, self.well());
        self.lead(at, leader);
        let (lost, stay) = split(&self.hosts.nodes, at);
        let writer = Writer::begin(client, &self.database(&[at]), PACE);
        std::thread::sleep(BEFORE);
        let (off, wall) = (Instant::now(), SystemTime::now());
        lost.power_off();
        // This client knows where to look and never asks the lost node: the best case.
        let others: Vec<usize> = (0..self.hosts.nodes.len()).filter(|other| *other != at).collect();
        let (elsewhere, mut key) = (self.database(&others), 0_i64);
        let write = wait(off, || {
            // Below zero, so that no row is taken for one of the writer's.
            key -= 1;
            elsewhere.query(client, &format!("INSERT INTO rows VALUES ({key})")).is_ok().then(Instant::now)
        });
        let container = first_start(&stay, &format!("{SERVICE}."), wall).expect("the container was started");
        drop(writer.end());
        lost.power_on();
        lost.start_docker();
        self.well();
        PeerRun { leader, container, write: seconds(off, write), took: began.elapsed() }
    }

    /// Waits until all nodes are managers and ready, and the service accepts writes. Yields the place of its node.
    fn well(&self) -> usize {
        eventually(UP_WITHIN, "the Swarm is whole and its service runs", || {
            let asked = &self.hosts.nodes[0];
            let listed = asked.docker(&["node", "ls", "--format", "{{.Status}} {{.ManagerStatus}}"])?;
            let whole = listed.lines().filter(|line| matches!(*line, "Ready Leader" | "Ready Reachable")).count();
            om_tests::same(whole, self.hosts.nodes.len())?;
            let format = "{{.Node}} {{.CurrentState}}";
            let ps = ["service", "ps", SERVICE, "--filter", "desired-state=running", "--format", format];
            let tasks = asked.docker(&ps)?;
            let running = tasks.lines().find_map(|line| line.split_once(" Running").map(|(node, _)| node));
            let said = || asked.docker(&["service", "logs", "--raw", "--tail", "5", SERVICE]).unwrap_or_default();
            let node = running.ok_or_else(|| format!("no task runs: {tasks}; the last said: {}", said()))?;
            let at = self.hosts.nodes.iter().position(|host| host.name == node).ok_or("no such node")?;
            self.database(&[at]).query(&self.hosts.client, "SELECT 1").map(|_| at)
        })
    }

    /// Has the node lead the Swarm, or another one: a leader that is demoted hands over to any of the others.
    fn lead(&self, at: usize, wanted: bool) {
        let name = &self.hosts.nodes[at].name;
        eventually(UP_WITHIN, "the Swarm is led as wanted", || {
            let leader = self.hosts.swarm_leader()?;
            if (leader == *name) == wanted {
                return Ok(());
            }
            let asked = self.hosts.nodes.iter().find(|node| node.name != leader).ok_or("no other node")?;
            asked.docker(&["node", "demote", &leader])?;
            std::thread::sleep(Duration::from_secs(1));
            asked.docker(&["node", "promote", &leader])?;
            self.well();
            Err(format!("{leader} led"))
        });
    }

    /// The database on any of these nodes, tried one after the other.
    fn database(&self, nodes: &[usize]) -> Database {
        let hosts: Vec<&str> = nodes.iter().map(|at| self.hosts.nodes[*at].address.as_str()).collect();
        let conninfo = format!("host={} user=postgres dbname=postgres", hosts.join(","));
        Database { conninfo, password: String::new() }
    }
}
