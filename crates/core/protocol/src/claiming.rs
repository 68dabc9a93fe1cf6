//! Steps 1 and 4, and the servers' choice of a node.
//!
//! **Invariant:** claims and publications are decided by [`om_model::Binding`]; only planted faults go around it.

use om_model::{Epoch, Timestamp};

use crate::fault::Fault;
use crate::protocol::{Protocol, only_if};
use crate::record::{Record, incarnation, node_id};
use crate::set::Set;
use crate::state::{State, Turn};

impl Protocol {
    /// Servers may be wrong about who is lost. Where the storage cuts off at once, another node may be chosen at any time;
    /// else whenever the holder is silent, be it only cut off or paused. One choice is made good, or its node fails, before
    /// the next.
    pub(crate) fn assign(&self, state: &mut State, node: u8) -> Option<()> {
        only_if(state.servers && state.record.epoch < self.epochs)?;
        let holder = state.record.holder.map(|life| life.node);
        only_if(holder != Some(node))?;
        let silent = |node: u8| {
            let node = &state.nodes[usize::from(node)];
            !node.power || !node.linked || node.paused
        };
        only_if(!self.leases() || holder.is_none_or(silent))?;
        let settled = |chosen: u8| holder == Some(chosen) || silent(chosen);
        only_if(holder.is_none() || state.record.assigned.is_none_or(settled))?;
        state.record.assigned = Some(node);
        Some(())
    }

    pub(crate) fn claim(&self, state: &mut State, node: u8) -> Option<()> {
        let here = state.nodes[usize::from(node)];
        only_if(state.online(node) && here.turn.is_none())?;
        let before = state.record;
        let told = before.assigned == Some(node);
        if self.breaks(Fault::StrayEvicts) {
            state.record.assigned = Some(node);
        }
        let life = state.life(node);
        state.record.decide(|binding| binding.claim(&node_id(node), &incarnation(life), Timestamp::default())).ok()?;
        let epoch = state.record.epoch;
        only_if(epoch <= self.epochs && here.mount.is_none_or(|mount| mount.epoch != epoch))?;
        only_if(epoch > here.renounced || self.breaks(Fault::MountAfterRelease))?;
        if epoch > before.epoch {
            state.holders[usize::from(epoch)] = Some(life);
            let other = before.holder.is_some_and(|holder| holder.node != node);
            state.seen.evicted |= other && !told;
        }
        if self.breaks(Fault::FencesOnlyLast) {
            keep_last(&mut state.record);
        }
        if self.breaks(Fault::PublishBeforeFence) {
            state.record.published = true;
        }
        let unfenced = (0u8..).zip(state.record.unfenced).filter(|(_, former)| former.is_some());
        let turn = Turn {
            epoch,
            unfenced: unfenced.fold(Set::default(), |all, (epoch, _)| all.with(epoch)),
            fenced: Set::default(),
        };
        state.nodes[usize::from(node)].turn = Some(turn);
        Some(())
    }

    pub(crate) fn publish(&self, state: &mut State, node: u8) -> Option<()> {
        let mount = state.nodes[usize::from(node)].mount?;
        only_if(state.online(node) && !mount.over)?;
        only_if(state.record.decide(|binding| binding.publish(Epoch::new(mount.epoch.into()))))
    }
}

fn keep_last(record: &mut Record) {
    let last = record.unfenced.iter().rposition(Option::is_some);
    for (epoch, former) in record.unfenced.iter_mut().enumerate() {
        if Some(epoch) != last {
            *former = None;
        }
    }
}
