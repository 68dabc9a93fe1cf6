//! What the fleet's servers say, and waiting for it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::roles::SERVER_STATE;
use super::{Fleet, HEALTHY_WITHIN, SERVICE};
use crate::eventually;
use crate::runner::Scene;
use crate::testbed::Host;

/// How long the servers may say "in a moment".
const A_MOMENT: Duration = Duration::from_secs(20);

impl Fleet {
    /// The nodes whose servers may be asked: with power, and not cut off.
    fn asked(&self) -> impl Iterator<Item = &Host> {
        let away = self.away().clone();
        let there = move |(at, node): &(usize, &Host)| !away.contains(at) && node.has_power();
        self.hosts.nodes.iter().enumerate().filter(there).map(|(_, node)| node)
    }

    /// Starts Docker engines that crashed again, as their systemd units say (`Restart=always`): swarmkit of Docker 20.10 has
    /// a race on which the leader's engine ends.
    fn revive_engines(&self) {
        for node in self.hosts.nodes.iter().filter(|node| node.engine_crashed()) {
            println!("dockerd of {} crashed and is started again", node.name);
            node.start_docker();
        }
    }

    /// Calls the command line on the first node whose server does the call.
    ///
    /// # Errors
    /// What the last one said.
    pub fn try_call(&self, arguments: &[&str]) -> Result<String, String> {
        self.revive_engines();
        let mut last = Err("no node has power".to_owned());
        for node in self.asked() {
            last = node.run(&[&[&self.binary, "--state", SERVER_STATE][..], arguments].concat());
            // A server that is away, or that this node cannot reach, is no answer.
            match &last {
                Err(said) if said.contains("cannot be reached") || said.contains("cannot reach") => {}
                _ => return last,
            }
        }
        last
    }

    /// Calls the command line; again, for a while, as long as it says that this is all there is to do.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn call(&self, arguments: &[&str]) -> String {
        let began = Instant::now();
        loop {
            match self.try_call(arguments) {
                Ok(printed) => return printed,
                Err(error) if error.contains("try again in a moment") && began.elapsed() < A_MOMENT => self.pass(1),
                Err(error) => panic!("openmanage {}: {error}", arguments.join(" ")),
            }
        }
    }

    /// Calls the command line for JSON.
    ///
    /// # Errors
    /// What it said instead.
    pub fn try_json(&self, arguments: &[&str]) -> Result<Value, String> {
        let printed = self.try_call(&[&["--output", "json"], arguments].concat())?;
        serde_json::from_str(&printed).map_err(|error| format!("no JSON ({error}): {printed}"))
    }

    /// Calls the command line for JSON.
    ///
    /// # Panics
    /// If it fails.
    #[track_caller]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.call(&[&["--output", "json"], arguments].concat());
        serde_json::from_str(&printed).unwrap_or_else(|error| panic!("no JSON ({error}): {printed}"))
    }

    /// The service's members as the servers see them.
    ///
    /// # Errors
    /// What was said instead.
    pub fn members(&self) -> Result<Vec<Value>, String> {
        Ok(self.try_json(&["members", SERVICE])?.as_array().cloned().unwrap_or_default())
    }

    /// The member with this index.
    ///
    /// # Panics
    /// If the servers do not tell.
    #[track_caller]
    pub fn member(&self, index: usize) -> Value {
        let members = self.members().unwrap_or_else(|error| panic!("members: {error}"));
        members.into_iter().nth(index).unwrap_or_else(|| panic!("no member {index}"))
    }

    /// The place of the node that holds a member.
    ///
    /// # Panics
    /// If none does.
    #[track_caller]
    pub fn holder(&self, index: usize) -> usize {
        let member = self.member(index);
        let name = member["node"].as_str().unwrap_or_else(|| panic!("nobody holds member {index}: {member}"));
        self.place(name)
    }

    /// The place of a node.
    ///
    /// # Panics
    /// If there is none of that name.
    #[track_caller]
    pub fn place(&self, node: &str) -> usize {
        self.hosts.nodes.iter().position(|host| host.name == node).unwrap_or_else(|| panic!("no node {node}"))
    }

    /// The member's epoch.
    ///
    /// # Panics
    /// If the servers do not tell.
    #[track_caller]
    pub fn epoch(&self, index: usize) -> u64 {
        self.member(index)["epoch"].as_u64().expect("an epoch")
    }

    /// Every member's epoch: unchanged, nothing was claimed anew.
    ///
    /// # Panics
    /// If the servers do not tell.
    #[track_caller]
    pub fn epochs(&self) -> Vec<u64> {
        let members = self.members().unwrap_or_else(|error| panic!("members: {error}"));
        members.iter().map(|member| member["epoch"].as_u64().expect("an epoch")).collect()
    }

    /// Every member's container.
    ///
    /// # Panics
    /// If the servers do not tell.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        let members = self.members().unwrap_or_else(|error| panic!("members: {error}"));
        members.iter().map(|member| member["container"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Waits until every member is healthy, and held by a node that is there.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn all_healthy(&self) {
        eventually(HEALTHY_WITHIN, "every member is healthy", || {
            let members = self.members()?;
            let sick: Vec<_> = members.iter().filter(|member| member["healthy"] != true).collect();
            if members.len() == 3 && sick.is_empty() { Ok(()) } else { Err(format!("{sick:?}")) }
        });
    }

    /// Waits until a member is held by another node than `former` and healthy there. Yields the place of that node.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn moved(&self, index: usize, former: usize) -> usize {
        eventually(HEALTHY_WITHIN, "the member has moved and is healthy", || {
            let members = self.members()?;
            let member = members.get(index).ok_or("no such member")?;
            let node = member["node"].as_str().unwrap_or_default();
            if node != self.hosts.nodes[former].name && member["healthy"] == true {
                Ok(self.place(node))
            } else {
                Err(member.to_string())
            }
        })
    }

    /// Gives every node power, heals every cut, starts every program that is missing, and waits until all members are
    /// healthy and spread over the nodes as far as they go.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn recover(&self) {
        self.hosts.heal_network();
        self.away().clear();
        for (at, node) in self.hosts.nodes.iter().enumerate() {
            if !node.has_power() {
                self.power_on(at);
                continue;
            }
            self.restart_missing(at);
        }
        let names: Vec<&str> = self.hosts.nodes.iter().map(|node| node.name.as_str()).collect();
        self.hosts.swarm_ready(&self.hosts.nodes[0], &names);
        eventually(HEALTHY_WITHIN, "every node is present", || {
            let nodes = self.try_json(&["node", "list"])?;
            let nodes = nodes.as_array().cloned().unwrap_or_default();
            let there = nodes.iter().filter(|node| node["condition"] == "present" && node["ready"] == true).count();
            crate::same(there, names.len())
        });
        self.all_healthy();
    }

    fn restart_missing(&self, at: usize) {
        let runs =
            |process: &mut Option<crate::testbed::Process>| process.as_mut().is_some_and(|process| process.runs());
        let (server, agent) = {
            let mut programs = self.programs();
            (runs(&mut programs[at].server), runs(&mut programs[at].agent))
        };
        if !agent {
            self.start_agent(at, None);
        }
        if !server {
            self.start_server(at);
        }
        if self.hosts.nodes[at].docker(&["version"]).is_err() {
            self.hosts.nodes[at].start_docker();
        }
    }

    /// Fails if the witness saw two writers.
    ///
    /// # Panics
    /// If it did.
    #[track_caller]
    pub fn one_writer(&self) {
        let mut overlaps = self.hosts.witness.overlaps();
        overlaps.extend(self.hosts.witness.epoch_overlaps(epoch_of_export));
        assert!(overlaps.is_empty(), "two writers:\n{}", overlaps.join("\n"));
    }

    /// Waits, for cases in which nothing is to happen.
    pub fn pass(&self, seconds: u64) {
        std::thread::sleep(Duration::from_secs(seconds));
    }

    /// Prints what a person would look at after a failure.
    pub fn show(&self) {
        println!("--- logs: {}", self.hosts.logs().display());
        for arguments in [&["node", "list"][..], &["members", SERVICE], &["operations", "list"], &["events"]] {
            let said = self.try_call(arguments).unwrap_or_else(|error| error);
            let lines: Vec<&str> = said.lines().collect();
            println!("--- {}\n{}", arguments.join(" "), lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}

/// The volume and the epoch that an export process of the storage serves, by its command line.
fn epoch_of_export(command: &str) -> Option<(String, u64)> {
    let (before, after) = command.split_once("--export-name")?;
    let _ = before;
    let name = after.trim_start_matches(['=', ' ', '\0']).split([' ', '\0']).next()?;
    let (volume, epoch) = name.rsplit_once(".e")?;
    Some((volume.to_owned(), epoch.parse().ok()?))
}

impl Scene for Fleet {
    fn start() -> Self {
        let provider = std::env::var("OPENMANAGE_PROVIDER").unwrap_or_default();
        Self::start(if provider == "nbd" { super::Provider::Nbd } else { super::Provider::SharedFile })
    }

    fn describe(&self) {
        self.hosts.keep_logs();
        self.show();
    }
}
