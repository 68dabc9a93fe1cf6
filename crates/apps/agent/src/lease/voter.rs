//! Promising other nodes their leases. In memory: see [`om_backend::lease`] for why that is enough.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::lease::{bar_lasts, promises_after};
use om_backend::{Clock, ErrorKind, PortError, Result, Voter};
use om_model::mutation::{Mutation, planted};
use om_model::{Incarnation, NodeId};

use crate::agent::Agent;
use crate::roster::Current;

/// What this agent promised, since it started.
pub(crate) struct Promises {
    clock: Arc<dyn Clock>,
    started: Duration,
    lives: Mutex<BTreeMap<(NodeId, Incarnation), Word>>,
}

/// What one life of a node was told.
#[derive(Default)]
struct Word {
    /// The end of the last promise.
    promised: Duration,
    /// Until then it is promised nothing.
    barred: Duration,
}

impl Promises {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let started = if planted(Mutation::VoterForgets) { Duration::ZERO } else { clock.monotonic() };
        Self { started, clock, lives: Mutex::default() }
    }

    /// Lets `say` read and change the word given to a life; words that have run out are forgotten.
    fn with_word<T>(&self, holder: &NodeId, life: &Incarnation, say: impl FnOnce(&mut Word, Duration) -> T) -> T {
        let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, or an older "now" could follow a newer one.
        let now = self.clock.monotonic();
        lives.retain(|_, word| word.promised > now || word.barred > now);
        say(lives.entry((holder.clone(), life.clone())).or_default(), now)
    }

    pub(super) fn renew(&self, holder: &NodeId, life: &Incarnation, term: Duration) -> Result<()> {
        let refuse = |detail: &str| {
            Err(PortError::new(ErrorKind::Refused, "renew", format!("the lease of node {holder}"), detail))
        };
        self.with_word(holder, life, |word, now| {
            if now < self.started + promises_after(term) {
                return refuse("this agent has just started and may have barred it before");
            }
            if now < word.barred {
                return refuse("another node waits for it to end");
            }
            word.promised = word.promised.max(now + term);
            Ok(())
        })
    }

    pub(super) fn bar(&self, holder: &NodeId, life: &Incarnation, term: Duration) -> Duration {
        self.with_word(holder, life, |word, now| {
            word.barred = word.barred.max(now + bar_lasts(term));
            // What was promised before this agent started is not known: at most a term, just before that.
            word.promised.max(self.started + term).saturating_sub(now)
        })
    }
}

impl Agent {
    /// Votes are given only to those whose roster is no older than ours. The roster does not change while the result is
    /// held: once this agent has said that it knows a roster, nobody is promised anything by an older one.
    fn vote_by(&self, roster: u64, action: &str, holder: &NodeId) -> Result<MutexGuard<'_, Current>> {
        let known = self.current_roster();
        let detail = match known.roster.revision {
            0 => "this agent does not know the roster yet".to_owned(),
            revision if revision > roster => {
                format!("your roster is over: this agent knows {revision}, and not {roster}")
            }
            // Behind ours or the same. If this agent is behind, its next report brings the new one.
            _ => return Ok(known),
        };
        Err(PortError::new(ErrorKind::Refused, action, format!("the lease of node {holder}"), detail)
            .advise("a server tells the present roster"))
    }
}

#[async_trait]
impl Voter for Agent {
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()> {
        let known = self.vote_by(roster, "renew", holder)?;
        let promised = self.known.promises.renew(holder, life, term);
        drop(known);
        promised
    }

    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration> {
        let known = self.vote_by(roster, "bar", holder)?;
        let left = self.known.promises.bar(holder, life, term);
        drop(known);
        Ok(left)
    }
}
