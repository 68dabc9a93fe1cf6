//! Which epochs this node gave up.
//!
//! A server that asked for a release, or for a fence, writes it down only after it was told; until then a claim by this node
//! is still admitted under the same epoch. Mounted under that, it would be taken for gone. **Invariant:** once this agent,
//! or one before it in this life of the node, said that an epoch is given up, nothing is mounted under it again: the
//! servers are told once more, and a new epoch is claimed.
//!
//! No fact of the kernel shows what is *not* to be mounted any more, hence the file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use om_backend::host::ControlFile;
use om_backend::{ErrorKind, Grant, PortError, Result};
use om_model::mutation::{Mutation, planted};
use om_model::{Epoch, Incarnation, MemberName, ServiceId};
use serde::{Deserialize, Serialize};

use crate::agent::Agent;

const FILE: &str = "epochs.json";

/// What was granted and given up in one life of the node.
#[derive(Serialize, Deserialize)]
pub(crate) struct Epochs {
    life: Incarnation,
    members: BTreeMap<String, Entry>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The last epoch that this node was granted.
    granted: Epoch,
    /// The last that it gave up, with all before it.
    given_up: Epoch,
}

impl Agent {
    /// Notes what was granted. True if this node gave that epoch up before.
    pub(crate) async fn gave_up(&self, service: &ServiceId, grant: &Grant) -> Result<bool> {
        let entry = self
            .note_epochs(service, &grant.member, |entry| {
                entry.granted = entry.granted.max(grant.epoch);
            })
            .await?;
        Ok(grant.epoch <= entry.given_up && !planted(Mutation::GivenUpForgotten))
    }

    /// Everything up to `epoch` is given up; without one, everything granted so far. The caller has the member's lock.
    pub(crate) async fn give_up_epochs(
        &self,
        service: &ServiceId,
        member: &MemberName,
        epoch: Option<Epoch>,
    ) -> Result<()> {
        let noted = self.note_epochs(service, member, |entry| {
            entry.given_up = entry.given_up.max(epoch.unwrap_or(entry.granted));
        });
        noted.await.map(|_| ())
    }

    async fn note_epochs(
        &self,
        service: &ServiceId,
        member: &MemberName,
        note: impl FnOnce(&mut Entry) + Send,
    ) -> Result<Entry> {
        let mut known = self.known.epochs.lock().await;
        let epochs = match known.take() {
            Some(epochs) => known.insert(epochs),
            None => known.insert(self.recall_epochs().await?),
        };
        let key = format!("{service}_{member}");
        let before = epochs.members.get(&key).copied().unwrap_or_default();
        let mut entry = before;
        note(&mut entry);
        if entry != before {
            epochs.members.insert(key, entry);
            let content = serde_json::to_vec(epochs).map_err(|error| unusable(&error))?;
            let file = ControlFile { path: FILE.to_owned(), content, mode: 0o600 };
            if let Err(error) = self.ports.host.write_files(&self.settings.state, &[file]).await {
                // Read again next time: what is not on disk is not known.
                *known = None;
                return Err(error);
            }
        }
        Ok(entry)
    }

    async fn recall_epochs(&self) -> Result<Epochs> {
        let path: PathBuf = self.settings.state.join(FILE);
        let text = self.ports.host.read_file(&path).await?;
        let epochs: Option<Epochs> =
            text.map(|text| serde_json::from_slice(&text)).transpose().map_err(|error| unusable(&error))?;
        let life = self.ports.host.incarnation();
        // The epochs of an earlier life are over: no claim is admitted under them any more.
        let this_life = epochs.filter(|epochs| epochs.life == life);
        Ok(this_life.unwrap_or_else(|| Epochs { life, members: BTreeMap::new() }))
    }
}

fn unusable(error: &serde_json::Error) -> PortError {
    PortError::new(ErrorKind::Invalid, "use", format!("the agent's {FILE}"), error)
        .advise("it is written whole or not at all; if the disk lost it, remove it after a reboot of this node")
}
