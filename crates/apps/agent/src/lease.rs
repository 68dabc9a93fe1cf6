//! The node's lease (design §5), where the storage cannot cut a holder off at once: a majority of the roster's agents
//! promised it, each for one term.
//!
//! `holder` renews and enforces it, `voter` promises to others, `bar` makes sure that another's is over. [`Lease`] is how
//! it stands.
//!
//! A *spell* is a time without a lapse. Whoever wants another node's volumes raises the epoch, then bars its lease and waits
//! for it: so a lapse is the only sign a holder gets, and after one it cannot know what it still holds. **Invariant:** a
//! spell counts only once a server, asked after the spell began, has confirmed what is mounted; before that nothing is
//! thawed and no deadline written. Then whoever claims later finds the promises of this spell and waits for them.

mod bar;
mod holder;
mod voter;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::lease::DRIFT_MAX;
use om_model::mutation::{Mutation, planted};

pub(crate) use voter::Promises;

/// How the lease stands. Times are CLOCK_BOOTTIME.
pub(crate) struct Lease {
    term: Duration,
    standing: Mutex<Standing>,
}

#[derive(Default)]
struct Standing {
    /// The end of what was promised.
    until: Duration,
    /// Which spell: rises with every lapse.
    spell: u64,
    /// True until the lapse of a spell was noticed.
    running: bool,
    /// Whether this agent has renewed it ever.
    renewed: bool,
    /// Whether a server confirmed, during this spell, what is mounted.
    confirmed: bool,
    /// Mounts whose file systems are to be thawed; false while a freeze may still be under way in the kernel.
    frozen: BTreeMap<PathBuf, bool>,
}

impl Lease {
    pub(crate) fn new(term: Duration) -> Self {
        Self { term, standing: Mutex::default() }
    }

    /// Everybody who looks notices a lapse: whichever of the loops runs first after the agent was stopped.
    fn at(&self, now: Duration) -> MutexGuard<'_, Standing> {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if standing.running && now >= standing.until {
            standing.running = false;
            standing.confirmed = false;
            standing.spell += 1;
        }
        standing
    }

    /// A majority promised a term each when asked at `asked`. True if that is news: the first of a spell, or of this agent.
    fn extend(&self, asked: Duration, now: Duration) -> bool {
        let mut standing = self.at(now);
        let until = asked + self.term * (1000 - DRIFT_MAX) / 1000;
        if until > now {
            standing.until = standing.until.max(until);
            let known = standing.running && standing.renewed;
            (standing.running, standing.renewed) = (true, true);
            standing.confirmed |= planted(Mutation::UnconfirmedAfterLapse);
            return !known;
        }
        false
    }

    /// The agent before this one held it, confirmed, until then.
    fn resume(&self, until: Duration, now: Duration) {
        let mut standing = self.at(now);
        if until > now && !standing.running {
            // What is known to be frozen stays so: another mount's deadline may be ahead nevertheless.
            (standing.until, standing.running, standing.confirmed) = (until, true, true);
        }
    }

    /// The spell, if it is held but not confirmed.
    fn unconfirmed(&self, now: Duration) -> Option<u64> {
        let standing = self.at(now);
        (standing.running && !standing.confirmed).then_some(standing.spell)
    }

    /// A server, asked during that spell, confirmed what is mounted.
    fn confirm(&self, spell: u64, now: Duration) {
        let mut standing = self.at(now);
        standing.confirmed |= standing.running && standing.spell == spell;
    }

    /// The spell, if it is held and confirmed.
    pub(crate) fn spell(&self, now: Duration) -> Option<u64> {
        let standing = self.at(now);
        standing.confirmed.then_some(standing.spell)
    }

    /// When the processes of what is mounted have to stop, if the lease is held and confirmed.
    fn deadline(&self, now: Duration) -> Option<Duration> {
        let standing = self.at(now);
        standing.confirmed.then_some(standing.until)
    }

    #[cfg(test)]
    pub(crate) fn until(&self) -> Duration {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).until
    }

    /// A freeze begins, or (`done`) it has ended.
    fn note_frozen(&self, path: &Path, done: bool) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).frozen.insert(path.to_owned(), done);
    }

    fn note_thawed(&self, path: &Path) {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).frozen.remove(path);
    }

    /// Whether it has to be thawed; and if so, whether its freeze has ended.
    fn frozen(&self, path: &Path) -> Option<bool> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).frozen.get(path).copied()
    }
}

#[cfg(test)]
mod tests;
