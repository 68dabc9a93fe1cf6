//! A name server, and whether what it answers may be answered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use om_backend::fake::FakeNames;
use om_backend::{NameService, Result};
use om_model::zone::Zone;
use om_model::{Epoch, MemberName, ServiceId};

use crate::ledger::Ledger;

/// A name server that is watched. Clones are the same.
#[derive(Clone)]
pub struct Names {
    inner: FakeNames,
    ledger: Ledger,
    answered: Arc<Mutex<BTreeMap<(ServiceId, MemberName), Epoch>>>,
}

impl Names {
    /// One that answers nothing yet.
    pub fn new(ledger: Ledger) -> Self {
        Self { inner: FakeNames::default(), ledger, answered: Arc::default() }
    }

    /// What it answers from now.
    pub fn zone(&self) -> Option<Zone> {
        self.inner.zone()
    }

    /// At one name server an answer of an epoch never follows one of a later; and only what was published is answered.
    fn check(&self) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, entry) in self.inner.zone().iter().flat_map(|zone| &zone.members) {
            let before = answered.entry((entry.service.clone(), name.clone())).or_default();
            if entry.epoch < *before {
                self.ledger.violated(&format!("{name} answers epoch {} after {before}", entry.epoch));
            }
            *before = entry.epoch;
            self.ledger.check_published(&entry.service, name, entry.epoch);
        }
    }
}

#[async_trait]
impl NameService for Names {
    async fn publish(&self, zone: &Zone) -> Result<()> {
        let done = self.inner.publish(zone).await;
        self.check();
        done
    }

    async fn withdraw(&self) -> Result<()> {
        self.inner.withdraw().await
    }
}
