//! What this name server has answered so far, so that it never answers of an earlier holder again.
//!
//! **Invariant:** for a member of a service (by the service's uuid) the epoch of what is answered never goes back.

use std::collections::BTreeMap;

use om_model::zone::{Zone, ZoneMember};
use om_model::{MemberName, ServiceId};

#[cfg(test)]
mod tests;

/// The highest entry seen of every member. It keeps members that are no longer in the zone: some hundred bytes each, for
/// as long as the process runs.
#[derive(Debug, Default)]
pub(crate) struct Epochs {
    highest: BTreeMap<(ServiceId, MemberName), ZoneMember>,
}

impl Epochs {
    /// Puts the higher entry, known or new, into `zone` for each of its members, and learns what is new. At the same
    /// epoch the zone's entry counts: a holder may change its address.
    pub(crate) fn advance(&mut self, zone: &mut Zone) {
        for (name, entry) in &mut zone.members {
            let key = (entry.service.clone(), name.clone());
            match self.highest.get(&key) {
                Some(known) if known.epoch > entry.epoch => {
                    tracing::warn!(member = %name, stale = %entry.epoch, kept = %known.epoch, "stale entry in the zone");
                    *entry = known.clone();
                }
                _ => {
                    self.highest.insert(key, entry.clone());
                }
            }
        }
    }
}
