//! What must be so once nothing goes wrong any more: every operation has ended, every service is as it is wanted, and
//! nothing is left over.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use om_backend::Host;
use om_control::ControlError;
use om_controldb::{ControlDb, Key, PAGE_MAX};
use om_model::{MemberRecord, NodeId, Phase, ServiceRecord, VolumeId, VolumeRecord};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Fleet;
use crate::machine::{INTERFACE, Role};
use crate::records::MOUNTS;
use crate::weather::Rates;

/// How long it may take until all is well.
const PATIENCE: Duration = Duration::from_secs(2400);
/// How long it may take until nothing is a lost node's any more.
const RECOVERED_WITHIN: Duration = Duration::from_secs(900);
/// How long all has to stay well.
const STEADY: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Deserialize)]
struct Envelope<T> {
    record: T,
}

impl Fleet {
    /// Nothing goes wrong from now on, and what is broken is mended.
    pub fn calm(self: &Arc<Self>) {
        self.env.note(|| "calm".to_owned());
        self.env.weather.set(Rates::CALM);
        self.net.mend();
        self.storage.fill(false);
        for machine in self.town.machines() {
            machine.clock.set_wall(0);
            self.power_on(&machine);
            for role in Role::ALL {
                match machine.process(role) {
                    Some(process) => process.go_on(),
                    None => self.begin(role, &machine),
                }
            }
            machine.containers().iter().for_each(|container| container.process().go_on());
        }
    }

    /// All is calm but for one machine, which stays off: its members are recovered elsewhere.
    pub async fn lose_one(self: &Arc<Self>) {
        let machines = self.town.machines();
        let Some(gone) = self.env.chance().pick(&machines).cloned() else { return };
        self.env.fault(|| format!("{}: off for good", gone.id));
        self.power_off(&gone);
        let until = self.env.now() + RECOVERED_WITHIN;
        while let Some(why) = self.stranded(&gone.id).await {
            if self.env.now() >= until {
                let within = RECOVERED_WITHIN.as_secs();
                self.ledger.violated(&format!("not recovered from a lost node after {within} s: {why}"));
                break;
            }
            self.retry_attended().await;
            self.env.sleep(LOOK_EVERY).await;
        }
        self.power_on(&gone);
    }

    /// A member of a service with nothing else to do that is to run, and is still that node's.
    async fn stranded(&self, gone: &NodeId) -> Option<String> {
        let services: Vec<ServiceRecord> = self.all("services/").await;
        let members: Vec<MemberRecord> = self.all("members/").await;
        let run = |service: &&ServiceRecord| service.phase == Phase::Active && service.queue.is_empty();
        let of = |service: &ServiceRecord, member: &&MemberRecord| member.service == service.id;
        let mut running = services.iter().filter(run);
        let its = running.find_map(|service| {
            members.iter().filter(|member| of(service, member)).find(|member| member.place() == Some(gone))
        });
        its.map(|member| format!("{} is still meant for {gone}", member.name))
    }

    /// Waits until all is well and stays so; what is not after a long time is a violation.
    pub async fn settle(self: &Arc<Self>) {
        let until = self.env.now() + PATIENCE;
        let mut well_since = None;
        loop {
            self.retry_attended().await;
            match self.unsettled().await {
                None => {
                    let since = *well_since.get_or_insert(self.env.now());
                    if self.env.now().saturating_sub(since) >= STEADY {
                        break;
                    }
                }
                Some(why) => {
                    well_since = None;
                    if self.env.now() >= until {
                        return self.ledger.violated(&format!("not settled after {} s: {why}", PATIENCE.as_secs()));
                    }
                }
            }
            self.env.sleep(LOOK_EVERY).await;
        }
        for id in self.storage.volumes() {
            self.ledger.check_rows(&self.storage, &id);
        }
        if let Some(wrong) = self.audit().await {
            self.ledger.violated(&wrong);
        }
        if let Some(left) = self.left_over().await {
            self.ledger.violated(&format!("left over: {left}"));
        }
    }

    /// Somebody looks at what needs attention: nothing is wrong any more, so it is tried again.
    async fn retry_attended(self: &Arc<Self>) {
        let attended = std::mem::take(&mut self.progress().attention);
        for id in attended {
            let machines = self.town.machines();
            let Some(server) = machines.iter().find_map(|machine| machine.server()) else { continue };
            let retried = server.service.retry(&id).await;
            self.env.note(|| format!("user: retry of {id}: {}", if retried.is_ok() { "accepted" } else { "refused" }));
            match retried {
                Ok(_) => {
                    let fleet = self.clone();
                    self.env.beside(async move { fleet.follow_again(&id).await });
                }
                // The server that worked on it is not done with it yet.
                Err(ControlError::Unavailable(_)) => self.progress().attention.push(id),
                Err(_) => {}
            }
        }
    }

    /// All records of a kind, read past all faults.
    pub(crate) async fn all<T: DeserializeOwned>(&self, prefix: &str) -> Vec<T> {
        let Ok(prefix) = Key::new(prefix) else { return Vec::new() };
        let page = self.records.db().list(&prefix, None, PAGE_MAX).await;
        let entries = page.map(|page| page.entries).unwrap_or_default();
        let read = |value: &[u8]| serde_json::from_slice::<Envelope<T>>(value).ok().map(|envelope| envelope.record);
        entries.iter().filter_map(|entry| read(&entry.value)).collect()
    }

    /// What is not as it should be, if anything.
    pub(crate) async fn unsettled(&self) -> Option<String> {
        let services: Vec<ServiceRecord> = self.all("services/").await;
        let pending: Vec<serde_json::Value> = self.all("pending/").await;
        let members: Vec<MemberRecord> = self.all("members/").await;
        for service in &services {
            for member in members.iter().filter(|member| member.service == service.id && service.phase == Phase::Active)
            {
                if let Some(why) = self.ill(member).await {
                    return Some(format!("{}: {why}", member.name));
                }
            }
            if !service.queue.is_empty() || !service.recoveries.is_empty() {
                return Some(format!("{} has operations to do", service.name));
            }
            if matches!(service.phase, Phase::Creating | Phase::Deleting) {
                return Some(format!("{} is {}", service.name, service.phase.as_str()));
            }
        }
        if !pending.is_empty() {
            return Some(format!("operations are pending: {pending:?}"));
        }
        (self.progress().under_way > 0).then(|| "users still wait".to_owned())
    }

    /// Why a member that is to run is not well.
    async fn ill(&self, member: &MemberRecord) -> Option<String> {
        let Some(holder) = &member.binding.holder else { return Some("nobody holds it".to_owned()) };
        if !member.binding.unfenced.is_empty() {
            return Some(format!("former holders are not fenced: {:?}", member.binding.unfenced));
        }
        if !member.binding.published {
            return Some("it is not published".to_owned());
        }
        let of_it = |spec: &om_backend::DeploymentSpec| spec.service == member.service && spec.member == member.name;
        let deployments = self.swarm.deployments().into_iter().filter(of_it).count();
        if deployments != 1 {
            return Some(format!("it has {deployments} deployments"));
        }
        let Some(machine) = self.town.machine(&holder.node).filter(|machine| machine.is_on()) else {
            return Some(format!("held by {}, which is off", holder.node));
        };
        let mut running = Vec::new();
        for other in self.town.machines() {
            for container in other.containers() {
                let config = container.config().await;
                if config.is_some_and(|config| config.member == member.name && config.service_id == member.service) {
                    running.push((other.id.clone(), container));
                }
            }
        }
        match running.as_slice() {
            [(node, container)] if *node == holder.node => {
                if let Some(why) = container.why_not() {
                    return Some(format!("on {node}: {why}"));
                }
            }
            other => {
                let where_: Vec<_> = other.iter().map(|(node, _)| node.as_str()).collect();
                return Some(format!("held by {}, its containers are on {where_:?}", holder.node));
            }
        }
        let address = member.address?;
        for other in self.town.machines().into_iter().filter(|other| other.is_on()) {
            let has = other.host.addresses(INTERFACE).await.ok()?.contains(&address);
            if has != (other.id == machine.id) {
                return Some(format!("{address} is {}on {}", if has { "" } else { "not " }, other.id));
            }
            let Some(agent) = other.agent() else { return Some(format!("{} has no agent", other.id)) };
            let Some(zone) = agent.service.names.zone() else { return Some(format!("{} answers no names", other.id)) };
            let answered = zone.members.get(&member.name).map(|entry| (entry.epoch, entry.address));
            if answered != Some((member.binding.epoch, address)) {
                return Some(format!("{} answers {answered:?} for it", other.id));
            }
        }
        None
    }

    /// What belongs to nobody.
    async fn left_over(&self) -> Option<String> {
        let services: Vec<ServiceRecord> = self.all("services/").await;
        let members: Vec<MemberRecord> = self.all("members/").await;
        let known: BTreeSet<_> = services.iter().map(|service| service.id.clone()).collect();
        if let Some(member) = members.iter().find(|member| !known.contains(&member.service)) {
            return Some(format!("the record of {}", member.name));
        }
        let runs: BTreeSet<_> = services
            .iter()
            .filter(|service| service.phase == Phase::Active)
            .map(|service| service.id.clone())
            .collect();
        for spec in self.swarm.deployments() {
            if !known.contains(&spec.service) {
                return Some(format!("deployment {}", spec.name));
            }
        }
        let volumes: Vec<VolumeRecord> = self.all("volumes/").await;
        let kept: BTreeSet<_> =
            volumes.into_iter().filter(|volume| volume.kept_since.is_some()).map(|volume| volume.id).collect();
        for volume in self.storage.volumes() {
            if !known.contains(&volume.service) && !kept.contains(&volume) {
                return Some(format!("volume {volume}"));
            }
        }
        for machine in self.town.machines() {
            for mount in machine.host.mounts(std::path::Path::new(MOUNTS)).await.ok()? {
                let held = members.iter().any(|member| {
                    let volume = VolumeId {
                        service: member.service.clone(),
                        member: member.name.clone(),
                        role: om_model::VolumeRole::Data,
                    };
                    let path = format!("{MOUNTS}/{volume}.e{}", member.binding.epoch);
                    let here = member.binding.holder.as_ref().is_some_and(|holder| holder.node == machine.id);
                    here && mount.target.starts_with(path)
                });
                if !held {
                    return Some(format!("mount {} on {}", mount.target.display(), machine.id));
                }
            }
            for container in machine.containers() {
                let of_active = container.config().await.is_some_and(|config| runs.contains(&config.service_id));
                if !of_active {
                    return Some(format!("container {} on {}", container.pid(), machine.id));
                }
            }
        }
        None
    }
}
