//! What befalls machines, processes and ways: drawn one after another, each for a while.

use std::sync::Arc;
use std::time::Duration;

use om_model::NodeId;

use super::Fleet;
use crate::machine::{Machine, Role};
use crate::storage::Kind;

/// Between two mishaps.
const BETWEEN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(20));

/// How much longer than usual a slow disk takes, at most.
const SLOW_DISK: Duration = Duration::from_secs(3);

/// A mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mishap {
    /// A machine loses its power, and gets it again.
    PowerOff,
    /// A machine is cut off from the others; it reaches the storage.
    CutOff,
    /// A machine is cut off from the others and the storage.
    CutOffAll,
    /// What a machine sends does not arrive; it hears the others.
    Mute,
    /// A machine does not hear the others; they hear it.
    Deaf,
    /// A machine does not reach the storage.
    NoStorage,
    /// Packets of a machine are lost.
    Loss,
    /// A process ends.
    Crash(Role),
    /// A process is stopped, and goes on.
    Stop(Role),
    /// A container's processes are killed.
    Kill,
    /// A machine's clock on the wall is set.
    Jump,
    /// The orchestrator is late with a machine's tasks.
    Late,
    /// The orchestrator forgets what a deployment is to do.
    Forget,
    /// The orchestrator starts a second container for a member, perhaps on another machine.
    Stray,
    /// All servers are stopped.
    NoServers,
    /// A whole machine stands still, and goes on.
    Hang,
    /// A machine's packets are late; then it is cut off.
    Slow,
    /// A machine is cut off from the others while its agent stands still.
    Forsaken,
    /// A machine has its lease from one voter only; it is cut off, and that voter begins anew.
    Amnesia,
    /// A machine that has just claimed loses its power before it has fenced the one before.
    Chased,
    /// A machine is cut off, and when it is back no server answers.
    Unheard,
    /// The storage is slow, for every machine.
    SlowStorage,
    /// The storage has no room left.
    Full,
    /// Where a member has just been given up, a container of it is started again, and what machines say is late.
    Haunted,
}

impl Mishap {
    /// Those that are several things at once, or wait for the worst moment.
    const ADVERSE: [Self; 6] = [Self::Slow, Self::Forsaken, Self::Amnesia, Self::Chased, Self::Unheard, Self::Haunted];

    /// All of them, with how often each comes.
    pub const ALL: [(Self, u32); 30] = [
        (Self::PowerOff, 12),
        (Self::CutOff, 8),
        (Self::CutOffAll, 8),
        (Self::Mute, 4),
        (Self::Deaf, 4),
        (Self::NoStorage, 6),
        (Self::Loss, 3),
        (Self::Crash(Role::Agent), 6),
        (Self::Crash(Role::Server), 6),
        (Self::Crash(Role::Docker), 4),
        (Self::Stop(Role::Agent), 4),
        (Self::Stop(Role::Server), 4),
        (Self::Stop(Role::Docker), 3),
        (Self::Kill, 6),
        (Self::Jump, 3),
        (Self::Late, 4),
        (Self::Forget, 3),
        (Self::Stray, 5),
        (Self::NoServers, 3),
        (Self::Hang, 3),
        (Self::Slow, 5),
        (Self::Unheard, 4),
        (Self::Haunted, 4),
        (Self::SlowStorage, 3),
        (Self::Full, 3),
        (Self::Forsaken, 4),
        (Self::Amnesia, 3),
        (Self::Chased, 4),
        // Twice as likely together as alone.
        (Self::PowerOff, 4),
        (Self::CutOffAll, 4),
    ];
}

impl Fleet {
    /// One mishap after another, until then.
    pub async fn mishaps(self: Arc<Self>, until: Duration) {
        let weighted = Mishap::ALL.map(|(mishap, weight)| (mishap, weight * self.weight(mishap)));
        let total: u32 = weighted.iter().map(|(_, weight)| weight).sum();
        loop {
            self.env.sleep(self.env.between(BETWEEN.0, BETWEEN.1)).await;
            if self.env.now() >= until {
                return;
            }
            let mut drawn = self.env.chance().below(total as usize) as u32;
            let chosen = weighted.iter().find(|(_, weight)| {
                let hit = drawn < *weight;
                drawn = drawn.saturating_sub(*weight);
                hit
            });
            let machines = self.town.machines();
            if let (Some((mishap, _)), Some(machine)) = (chosen, self.env.chance().pick(&machines)) {
                let length = self.length();
                self.env.beside(self.clone().befall(*mishap, machine.clone(), length));
            }
        }
    }

    /// In a hasty cluster the worst moments are worth waiting for.
    fn weight(&self, mishap: Mishap) -> u32 {
        let hasty = self.size.budget < self.size.lease;
        if hasty && Mishap::ADVERSE.contains(&mishap) { 6 } else { 1 }
    }

    /// How long a mishap lasts: mostly about as long as what watches for it is patient, now and then much longer.
    fn length(&self) -> Duration {
        let longest = [500, 4_000, 4_000, 15_000, 60_000][self.env.chance().below(5)];
        self.env.between(Duration::from_millis(50), Duration::from_millis(longest))
    }

    /// A mishap befalls a machine, for so long.
    pub async fn befall(self: Arc<Self>, mishap: Mishap, machine: Arc<Machine>, length: Duration) {
        self.env.fault(|| format!("{}: {mishap:?} for {:.2} s", machine.id, length.as_secs_f64()));
        if self.matters(mishap, &machine) {
            self.env.weather.befell(format!("{mishap:?}"));
        }
        match mishap {
            Mishap::PowerOff => {
                self.power_off(&machine);
                self.env.sleep(length).await;
                self.power_on(&machine);
            }
            Mishap::CutOff => self.cut(&self.others(&machine), &machine.id, (true, true), length).await,
            Mishap::CutOffAll => self.cut(&self.all_others(&machine), &machine.id, (true, true), length).await,
            Mishap::Mute => self.cut(&self.all_others(&machine), &machine.id, (false, true), length).await,
            Mishap::Deaf => self.cut(&self.all_others(&machine), &machine.id, (true, false), length).await,
            Mishap::NoStorage => self.cut(&[super::node("storage")], &machine.id, (true, true), length).await,
            Mishap::Loss => {
                self.net.lose(&machine.id, 300);
                self.env.sleep(length).await;
                self.net.lose(&machine.id, 0);
            }
            Mishap::Crash(role) => self.crash(role, &machine.id),
            Mishap::Stop(role) => self.stop(&machine, &[role], length).await,
            Mishap::Kill => {
                let containers = machine.containers();
                if let Some(container) = self.env.chance().pick(&containers) {
                    container.process().end();
                    machine.host.end_container(container.pid());
                }
            }
            Mishap::Jump => {
                let ahead = i64::from(self.env.chance().permille()) * 20_000 - 10_000_000;
                machine.clock.set_wall(ahead);
                self.env.sleep(length).await;
                machine.clock.set_wall(0);
            }
            Mishap::Late => self.swarm.is_late(&machine.id, length),
            Mishap::Forget => {
                let forgotten = self.swarm.forgets(self.env.chance().below(1000));
                self.env.note(|| format!("orchestrator: forgets {forgotten:?}"));
            }
            Mishap::Stray => self.stray(&machine, length),
            Mishap::NoServers => self.stop_servers(length).await,
            Mishap::Hang => self.hang(&machine, length).await,
            Mishap::Slow => self.slow_down(&machine, length).await,
            Mishap::Forsaken => self.forsake(&machine, length).await,
            Mishap::Amnesia => self.make_forget(&machine, length).await,
            Mishap::Chased => self.chase().await,
            Mishap::Unheard => self.return_unheard(&machine, length).await,
            Mishap::Haunted => self.haunt().await,
            Mishap::SlowStorage => {
                self.net.slow(&super::node("storage"), SLOW_DISK);
                self.env.sleep(length).await;
                self.net.slow(&super::node("storage"), Duration::ZERO);
            }
            Mishap::Full => {
                self.storage.fill(true);
                self.env.sleep(length).await;
                self.storage.fill(false);
            }
        }
    }

    /// Whether the mishap finds what it can befall.
    fn matters(&self, mishap: Mishap, machine: &Machine) -> bool {
        match mishap {
            Mishap::PowerOff => machine.is_on(),
            Mishap::Crash(role) | Mishap::Stop(role) => machine.process(role).is_some(),
            Mishap::Kill => !machine.containers().is_empty(),
            Mishap::Forget | Mishap::Stray => !self.swarm.deployments().is_empty(),
            Mishap::Hang => self.storage.kind() != Kind::SharedFile,
            _ => true,
        }
    }

    pub(super) fn others(&self, machine: &Machine) -> Vec<NodeId> {
        let machines = self.town.machines();
        machines.iter().map(|other| other.id.clone()).filter(|id| *id != machine.id).collect()
    }

    pub(super) fn all_others(&self, machine: &Machine) -> Vec<NodeId> {
        let mut others = self.others(machine);
        others.extend([super::node("storage"), self.client.clone()]);
        others
    }

    /// Cuts the ways to and from a machine, as told.
    pub(super) async fn cut(&self, others: &[NodeId], node: &NodeId, (to, from): (bool, bool), length: Duration) {
        let set = |cut: bool| {
            for other in others {
                if to {
                    self.net.cut(other, node, cut);
                }
                if from {
                    self.net.cut(node, other, cut);
                }
            }
        };
        set(true);
        self.env.sleep(length).await;
        set(false);
    }

    pub(super) async fn stop(&self, machine: &Machine, roles: &[Role], length: Duration) {
        let stopped: Vec<_> = roles.iter().filter_map(|role| machine.process(*role)).collect();
        stopped.iter().for_each(|process| process.stop());
        self.env.sleep(length).await;
        stopped.iter().filter(|process| process.is_alive()).for_each(|process| process.go_on());
    }

    /// The whole machine stands still: its processes, its containers, and what its kernel would answer.
    async fn hang(&self, machine: &Machine, length: Duration) {
        if self.storage.kind() == Kind::SharedFile {
            // Nothing defends a leased volume against a machine that stands still past its lease and goes on at once
            // (`docs/protocol.md`, finding 4): only its member's network filter could.
            return;
        }
        let mut stopped: Vec<_> = Role::ALL.into_iter().filter_map(|role| machine.process(role)).collect();
        stopped.extend(machine.containers().iter().map(|container| container.process().clone()));
        stopped.iter().for_each(|process| process.stop());
        self.cut(&self.all_others(machine), &machine.id, (true, true), length).await;
        stopped.iter().filter(|process| process.is_alive()).for_each(|process| process.go_on());
    }

    pub(super) async fn stop_servers(&self, length: Duration) {
        let machines = self.town.machines();
        let stops = machines.iter().map(|machine| self.stop(machine, &[Role::Server], length));
        futures::future::join_all(stops).await;
    }

    fn stray(&self, machine: &Machine, length: Duration) {
        let deployments = self.swarm.deployments();
        let (Some(spec), Some(engine)) = (self.env.chance().pick(&deployments), self.engine(&machine.id)) else {
            return;
        };
        self.env.note(|| format!("{}: a stray container of {}", machine.id, spec.name));
        engine.stray(crate::swarm::Task { number: 0, spec: spec.clone() }, length);
    }
}
