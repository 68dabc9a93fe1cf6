//! A fake name service: keeps the last zone, and the highest epoch of each member that it ever answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use om_model::zone::{Zone, ZoneMember};
use om_model::{MemberName, ServiceId};

use crate::error::Result;
use crate::names::NameService;

/// The fake. Clones share the zone.
#[derive(Clone, Default)]
pub struct FakeNames {
    zone: Arc<Mutex<Option<Zone>>>,
    /// Also of members that are not in the zone any more: an old zone may come late.
    highest: Arc<Mutex<BTreeMap<(ServiceId, MemberName), ZoneMember>>>,
}

impl FakeNames {
    /// The zone as it is answered from now.
    pub fn zone(&self) -> Option<Zone> {
        self.zone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl NameService for FakeNames {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        let mut kept = self.zone.lock().unwrap_or_else(PoisonError::into_inner);
        let mut highest = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = zone.clone();
        for (name, entry) in &mut next.members {
            let known = highest.entry((entry.service.clone(), name.clone())).or_insert_with(|| entry.clone());
            if entry.epoch < known.epoch {
                *entry = known.clone();
            } else {
                *known = entry.clone();
            }
        }
        *kept = Some(next);
        Ok(())
    }

    async fn withdraw(&self) -> Result<()> {
        *self.zone.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
