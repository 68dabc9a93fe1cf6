//! What the world promised and what was broken: acknowledged rows, and every invariant that did not hold.
//!
//! **Invariant:** what is written down as violated stays so; a run with one violation has failed, whatever follows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use om_model::{Epoch, MemberName, ServiceId, VolumeId};

use crate::env::Env;
use crate::storage::Storage;

/// The ledger. Clones are the same.
#[derive(Clone)]
pub struct Ledger {
    env: Env,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Rows that clients were told are safe, by the volume they are on.
    acknowledged: BTreeMap<VolumeId, BTreeSet<u64>>,
    /// Under which epochs each member was ever published.
    published: BTreeSet<(ServiceId, MemberName, Epoch)>,
    violations: Vec<String>,
    rows: u64,
}

impl Ledger {
    /// Nothing promised yet.
    pub fn new(env: Env) -> Self {
        Self { env, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a line to the trace.
    pub fn note(&self, text: impl FnOnce() -> String) {
        self.env.note(text);
    }

    /// An invariant does not hold.
    pub fn violated(&self, what: &str) {
        self.env.note(|| format!("VIOLATED: {what}"));
        self.lock().violations.push(what.to_owned());
    }

    /// What did not hold.
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// How many rows were acknowledged.
    pub fn rows(&self) -> u64 {
        self.lock().rows
    }

    /// A client was told that a row is safe: it must be where the next holder looks.
    pub fn acknowledge(&self, storage: &Storage, volume: &VolumeId, row: u64) {
        {
            let mut state = self.lock();
            state.acknowledged.entry(volume.clone()).or_default().insert(row);
            state.rows += 1;
        }
        let there = storage.present(volume).is_some_and(|content| content.rows.contains(&row));
        if !there {
            self.violated(&format!("row {row} was acknowledged, and is not in the present content of {volume}"));
        }
    }

    /// Every acknowledged row is in the present content.
    pub fn check_rows(&self, storage: &Storage, volume: &VolumeId) {
        let Some(content) = storage.present(volume) else { return };
        let missing = {
            let state = self.lock();
            let promised = state.acknowledged.get(volume);
            promised.and_then(|rows| rows.difference(&content.rows).next().copied())
        };
        if let Some(row) = missing {
            self.violated(&format!("acknowledged row {row} is gone from {volume}"));
        }
    }

    /// A member has another holder.
    pub fn claimed(&self) {
        self.env.weather.note_claim();
    }

    /// A member's binding says that its name may answer.
    pub fn published(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) {
        self.lock().published.insert((service.clone(), member.clone(), epoch));
    }

    /// A name server answers with a member under that epoch: it must have been published so.
    pub fn check_published(&self, service: &ServiceId, member: &MemberName, epoch: Epoch) {
        let known = self.lock().published.contains(&(service.clone(), member.clone(), epoch));
        if !known {
            self.violated(&format!("{member} is answered for under epoch {epoch}, which was never published"));
        }
    }

    /// The volume was deleted, as asked: its rows with it.
    pub fn deleted(&self, volume: &VolumeId) {
        self.lock().acknowledged.remove(volume);
    }

    /// Volumes on which rows were acknowledged.
    pub fn volumes(&self) -> Vec<VolumeId> {
        self.lock().acknowledged.keys().cloned().collect()
    }
}
