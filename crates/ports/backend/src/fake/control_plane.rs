//! The servers as an agent sees them, in memory: real bindings, no database, and a switch for their absence.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use om_engines::MemberConfig;
use om_model::{
    Binding, ByteSize, Epoch, Incarnation, MemberName, NodeId, Proof, Roster, ServiceId, Timestamp, VolumeId,
};

use super::host::give_way;
use crate::control_plane::{ControlPlane, Grant, GrantedVolume, MountName, NodeOrders, NodeReport};
use crate::error::{ErrorKind, PortError, Result};

type Key = (ServiceId, MemberName);

/// The servers. Clones are the same servers. Every call gives way before and after its effect.
#[derive(Clone, Default)]
pub struct FakeControlPlane {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    down: bool,
    members: BTreeMap<Key, Member>,
    roster: Roster,
    proofs: Vec<(MemberName, Epoch, Proof)>,
    reports: u32,
}

struct Member {
    config: MemberConfig,
    binding: Binding,
    volumes: Vec<GrantedVolume>,
}

impl FakeControlPlane {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// Adds a member with the volumes that its configuration names, never formatted, held by nobody.
    pub fn add(&self, config: MemberConfig) {
        let volume = |(role, size): (_, ByteSize)| GrantedVolume {
            id: VolumeId { service: config.service_id.clone(), member: config.member.clone(), role },
            size,
            formatted: false,
        };
        let volumes = config.volumes.each().map(volume).collect();
        let key = (config.service_id.clone(), config.member.clone());
        self.state().members.insert(key, Member { config, binding: Binding::default(), volumes });
    }

    /// Nobody answers any more, or everybody does again.
    pub fn set_down(&self, down: bool) {
        self.state().down = down;
    }

    /// Tells the agents of this roster from now on.
    pub fn set_roster(&self, roster: Roster) {
        self.state().roster = roster;
    }

    /// Every proof that was reported, in order.
    pub fn proofs(&self) -> Vec<(MemberName, Epoch, Proof)> {
        self.state().proofs.clone()
    }

    /// How many reports were answered.
    pub fn times_reported(&self) -> u32 {
        self.state().reports
    }

    /// The service was deleted, and this member with it.
    pub fn forget(&self, service: &ServiceId, member: &MemberName) {
        self.state().members.remove(&(service.clone(), member.clone()));
    }

    /// Changes a member's binding as a server would.
    ///
    /// # Panics
    /// If there is no such member.
    pub fn with_binding<T>(
        &self,
        service: &ServiceId,
        member: &MemberName,
        change: impl FnOnce(&mut Binding) -> T,
    ) -> T {
        let mut state = self.state();
        change(&mut state.members.get_mut(&(service.clone(), member.clone())).expect("the member was added").binding)
    }

    fn reach(&self, action: &str) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.down {
            return Err(PortError::new(ErrorKind::Unavailable, action, "the servers", "none of them answers"));
        }
        Ok(state)
    }
}

impl State {
    fn member(&mut self, action: &str, service: &ServiceId, member: &MemberName) -> Result<&mut Member> {
        let missing =
            || PortError::new(ErrorKind::NotFound, action, format!("member {member}"), "there is no such member");
        self.members.get_mut(&(service.clone(), member.clone())).ok_or_else(missing)
    }

    /// The member that a name without one means: one already held here and not mounted, else a free one.
    fn choose(&self, name: &MountName, node: &NodeId, mounted_here: &[MemberName]) -> Option<MemberName> {
        let of_service = || {
            let members = self.members.iter().filter(|((service, _), _)| *service == name.service);
            members.filter(|((_, member), _)| !mounted_here.contains(member))
        };
        let held = of_service().find(|(_, m)| m.binding.holder.as_ref().is_some_and(|holder| holder.node == *node));
        let chosen = held.or_else(|| of_service().find(|(_, m)| m.binding.holder.is_none()));
        chosen.map(|((_, member), _)| member.clone())
    }
}

impl Member {
    fn grant(&self) -> Grant {
        let mut config = self.config.clone();
        config.epoch = self.binding.epoch;
        Grant {
            member: self.config.member.clone(),
            epoch: self.binding.epoch,
            volumes: self.volumes.clone(),
            config,
            secrets: vec![("password".to_owned(), b"hidden".to_vec())],
            unfenced: self.binding.unfenced.clone(),
        }
    }
}

#[async_trait]
impl ControlPlane for FakeControlPlane {
    async fn knows(&self, name: &MountName) -> Result<bool> {
        give_way().await;
        let state = self.reach("ask")?;
        let known = |(key, member): (&Key, &Member)| {
            key.0 == name.service
                && name.member.as_ref().is_none_or(|named| *named == key.1)
                && member.volumes.iter().any(|volume| volume.id.role == name.role)
        };
        Ok(state.members.iter().any(known))
    }

    async fn claim(
        &self,
        name: &MountName,
        node: &NodeId,
        incarnation: &Incarnation,
        mounted_here: &[MemberName],
    ) -> Result<Grant> {
        give_way().await;
        let granted = {
            let mut state = self.reach("claim")?;
            let chosen = name.member.clone().or_else(|| state.choose(name, node, mounted_here)).ok_or_else(|| {
                PortError::new(ErrorKind::Refused, "claim", format!("a member for {name}"), "none of them is free")
            })?;
            let member = state.member("claim", &name.service, &chosen)?;
            let refuse =
                |detail: String| PortError::new(ErrorKind::Refused, "claim", format!("member {chosen}"), detail);
            let claimed = member.binding.claim(node, incarnation, Timestamp::from_millis(0));
            claimed.map_err(|held| refuse(held.to_string()))?;
            member.grant()
        };
        give_way().await;
        Ok(granted)
    }

    async fn formatted(&self, volume: &VolumeId) -> Result<()> {
        give_way().await;
        {
            let mut state = self.reach("record")?;
            let member = state.member("record", &volume.service, &volume.member)?;
            member.volumes.iter_mut().filter(|known| known.id == *volume).for_each(|known| known.formatted = true);
        }
        give_way().await;
        Ok(())
    }

    async fn fenced(&self, service: &ServiceId, member: &MemberName, epoch: Epoch, proof: Proof) -> Result<()> {
        give_way().await;
        {
            let mut state = self.reach("fence")?;
            state.member("fence", service, member)?.binding.fenced(epoch);
            state.proofs.push((member.clone(), epoch, proof));
        }
        give_way().await;
        Ok(())
    }

    async fn report(&self, report: &NodeReport) -> Result<NodeOrders> {
        give_way().await;
        let mut state = self.reach("report")?;
        let mut over = report.held.clone();
        over.retain(|held| {
            let known = state.member("report", &held.service, &held.member);
            known.map_or(true, |known| known.binding.epoch > held.epoch)
        });
        state.reports += 1;
        Ok(NodeOrders { roster: state.roster.clone(), over })
    }

    async fn publish(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        give_way().await;
        let published = self.reach("publish")?.member("publish", service, member)?.binding.publish(epoch);
        give_way().await;
        let moved_on =
            || PortError::new(ErrorKind::Refused, "publish", format!("member {member}"), "the epoch has moved on");
        if published { Ok(()) } else { Err(moved_on()) }
    }

    async fn released(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<()> {
        give_way().await;
        self.reach("release")?.member("release", service, member)?.binding.release(epoch);
        give_way().await;
        Ok(())
    }

    async fn refresh(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) -> Result<Grant> {
        give_way().await;
        let mut state = self.reach("refresh")?;
        let found = state.member("refresh", service, member)?;
        if found.binding.epoch != epoch {
            return Err(PortError::new(
                ErrorKind::Refused,
                "refresh",
                format!("member {member}"),
                "the epoch has moved on",
            ));
        }
        found.config.configuration += 1;
        Ok(found.grant())
    }
}
