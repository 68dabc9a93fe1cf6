//! The roster as this agent knows it: who watches, who votes.
//!
//! It is kept in a small file, so that an agent that is restarted while no server answers goes on renewing its lease. That
//! file need not be true: a roster only says whom to ask, and voters that know a newer one refuse (see
//! [`om_backend::lease`]).
//!
//! **Invariant:** a roster is used, and said to be known, only once it is on disk: an agent never falls back behind what
//! it told the servers. Revisions never go down.

use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::host::ControlFile;
use om_backend::{ErrorKind, PortError, Result};
use om_model::{Roster, RosterNode};

use crate::agent::Agent;

const FILE: &str = "roster.json";

/// The roster in use.
#[derive(Clone, Default)]
pub(crate) struct Current {
    pub(crate) roster: Roster,
    /// Since when, by this agent's knowledge: at the latest since it started.
    pub(crate) since: Duration,
}

impl Agent {
    pub(crate) fn roster(&self) -> Roster {
        self.current_roster().roster.clone()
    }

    pub(crate) fn current_roster(&self) -> MutexGuard<'_, Current> {
        self.known.roster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every node of the roster but this one.
    pub(crate) fn peers_of_roster(&self) -> Vec<RosterNode> {
        let own = self.ports.host.node();
        self.roster().nodes.into_iter().filter(|node| node.id != own).collect()
    }

    fn roster_file(&self) -> PathBuf {
        self.settings.state.join(FILE)
    }

    /// Takes up the roster that an agent before this one knew.
    pub(crate) async fn recall_roster(&self) {
        let read = self.ports.host.read_file(&self.roster_file()).await;
        match read.map(|text| text.map(|text| serde_json::from_slice::<Roster>(&text))) {
            Ok(Some(Ok(roster))) => self.use_roster(roster),
            Ok(Some(Err(error))) => tracing::warn!(%error, file = %self.roster_file().display(), "no roster in it"),
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the roster of before is not known"),
        }
    }

    /// Takes over the servers' roster, if it is news.
    pub(crate) async fn take_roster(&self, roster: Roster) -> Result<()> {
        let _one_after_another = self.known.taking_roster.lock().await;
        let present = self.roster();
        if roster == present || roster.revision < present.revision {
            return Ok(());
        }
        let content =
            serde_json::to_vec(&roster).map_err(|error| PortError::new(ErrorKind::Invalid, "keep", FILE, error))?;
        let file = ControlFile { path: FILE.to_owned(), content, mode: 0o600 };
        self.ports.host.write_files(&self.settings.state, &[file]).await?;
        tracing::info!(revision = roster.revision, nodes = roster.nodes.len(), "a new roster");
        self.use_roster(roster);
        Ok(())
    }

    fn use_roster(&self, roster: Roster) {
        let mut current = self.current_roster();
        if roster.revision >= current.roster.revision {
            *current = Current { roster, since: self.now() };
        }
    }
}
