//! A fake name service: keeps the last zone, and checks that epochs never go back.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use om_model::zone::Zone;

use crate::error::Result;
use crate::names::NameService;

/// The fake. Clones share the zone.
#[derive(Clone, Default)]
pub struct FakeNames {
    zone: Arc<Mutex<Option<Zone>>>,
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
        let mut next = zone.clone();
        for (name, before) in kept.iter().flat_map(|zone| &zone.members) {
            if let Some(entry) = next.members.get_mut(name)
                && entry.service == before.service
                && entry.epoch < before.epoch
            {
                *entry = before.clone();
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
