//! Which of several servers does the background work.
//!
//! One record names the leader. It is renewed by conditional updates; another server takes it over once its revision has
//! not changed for a whole term by that server's own monotonic clock. A leader that could not renew stops by its own
//! clock before that.
//!
//! **Invariant:** safety never rests on it. Two leaders at once would write under the same conditions as one: owner
//! generations, revisions, bindings. It only keeps servers from doing the same work twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use om_controldb::Revision;

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::Leader;

/// For so long a renewal counts.
const TERM: Duration = Duration::from_secs(2);
/// The leader stops so much before its term is over.
const MARGIN: Duration = Duration::from_millis(300);
const RENEW_EVERY: Duration = Duration::from_millis(500);
/// After a failure: less than the margin, so that a database that answers again at once costs nobody the lead.
const AGAIN: Duration = Duration::from_millis(100);
/// A renewal that takes longer is given up: whether it had its effect, the next look tells.
const WITHIN: Duration = Duration::from_millis(1200);
const RECORD: &str = "server";

/// What this process knows of who leads.
#[derive(Default)]
pub(crate) struct Leadership {
    /// Milliseconds of the monotonic clock until which this process leads.
    until: AtomicU64,
    /// This process, drawn when it first asks.
    process: OnceLock<String>,
    /// Another leader's revision, and since when it is the same.
    seen: Mutex<Option<(Revision, Duration)>>,
}

impl Control {
    /// Whether this process does the background work now.
    pub(crate) fn leads(&self) -> bool {
        let until = Duration::from_millis(self.leadership.until.load(Ordering::Relaxed));
        !self.settings.several_nodes || self.ports.runtime.clock.monotonic() < until
    }

    /// The server that leads, as the database has it; for people.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn leader(&self) -> Result<Option<String>, ControlError> {
        Ok(self.store.leaders.get(RECORD).await?.map(|stored| stored.value.server))
    }

    /// Leads, or waits until nobody does. Does not return.
    pub(crate) async fn keep_leading(self: Arc<Self>) {
        loop {
            let (began, led) = (self.ports.runtime.clock.monotonic(), self.leads());
            let looked = self.ports.runtime.within(WITHIN, self.lead_or_watch(began)).await;
            let pause = if matches!(looked, Some(Ok(_))) { RENEW_EVERY } else { AGAIN };
            match looked {
                Some(Ok(true)) => {
                    self.lead_until(began + TERM - MARGIN);
                    if !led {
                        tracing::info!(server = self.settings.server, "this server leads now");
                    }
                }
                Some(Ok(false)) => self.lead_until(Duration::ZERO),
                Some(Err(error)) => tracing::debug!(%error, "cannot see who leads; tried again soon"),
                None => tracing::debug!("the control database does not say in time who leads; tried again soon"),
            }
            self.ports.runtime.clock.sleep(pause).await;
        }
    }

    fn lead_until(&self, at: Duration) {
        self.leadership.until.store(u64::try_from(at.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Renews what is ours, takes what is nobody's; false while somebody else leads.
    async fn lead_or_watch(&self, now: Duration) -> om_controldb::Result<bool> {
        let process = self.leadership.process.get_or_init(|| self.ports.runtime.new_id());
        let ours = |renewals| Leader { server: self.settings.server.clone(), process: process.clone(), renewals };
        let won = |written: om_controldb::Result<_>| match written {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        };
        let Some(stored) = self.store.leaders.get(RECORD).await? else {
            return won(self.store.leaders.create(RECORD, &ours(0)).await);
        };
        if stored.value.process != *process && !self.is_over(&stored.revision, now) {
            return Ok(false);
        }
        won(self.store.leaders.update(&stored, &ours(stored.value.renewals + 1)).await)
    }

    /// Whether the record has been at this revision for a whole term.
    fn is_over(&self, revision: &Revision, now: Duration) -> bool {
        let mut seen = self.leadership.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((same, since)) if same == revision => now.saturating_sub(*since) >= TERM,
            _ => {
                *seen = Some((revision.clone(), now));
                false
            }
        }
    }
}
