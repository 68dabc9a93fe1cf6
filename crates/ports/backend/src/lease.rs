//! Leases of nodes, voted on by agents (design §5): needed where the storage cannot cut a holder off at once.
//!
//! A node holds its lease while a majority of the roster's agents promised it, each for one term. The holder counts a term
//! from before it asked, a voter from when it was asked, both by CLOCK_BOOTTIME: the holder's end always comes first, as
//! long as no two clocks drift apart by more than [`DRIFT_MAX`] of a term.
//!
//! Who needs a holder's lease to end *bars* it at a majority of voters and asks until, in one round of answers, none of that
//! majority has a promise left that still runs. At that moment the holder's lease has lapsed: every majority that could
//! have prolonged it has one of these voters in it. A bar lasts for a while only: a node that is back is to hold leases
//! again. What it held before it finds out from a server, which it has to ask after every lapse; the epoch was raised
//! before the bar.
//!
//! Rosters change by one node at a time, and only once a majority knows the last: majorities of neighbouring rosters have a
//! voter in common, those of others need not. So whoever asks says by which roster, and a voter that knows a newer one
//! refuses: whatever is two behind is refused by somebody of each of its majorities. What was promised before that was
//! promised before the newest roster was made: who bars waits until it has known its roster for a term.
//!
//! **Invariant:** an agent that has started anew does not know what it said before. For a whole term it answers a bar as if
//! it had promised a term just before; and it promises nothing until no round of answers to a bar from before can still
//! be under way ([`promises_after`]). That is short, so that agents may be restarted, even all at once, without a lapse.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use om_model::{Incarnation, NodeId};

use crate::error::Result;

/// The bound on clock drift that the protocol assumes: two clocks of the cluster measure the same span of time within this
/// share of it, in thousandths. (Quartz is within 0.1; this allows for a clock that is being slewed.)
pub const DRIFT_MAX: u32 = 10;

/// How long, in a round, answers to a bar are waited for. Later ones do not count.
pub fn bar_answers_within(term: Duration) -> Duration {
    term / 4
}

/// How long after its start a voter promises nothing: longer than a round of answers to a bar.
pub fn promises_after(term: Duration) -> Duration {
    term / 3
}

/// How long a bar lasts: longer than any promise from before it and a round.
pub fn bar_lasts(term: Duration) -> Duration {
    term * 2
}

/// An agent as a voter on leases.
#[async_trait]
pub trait Voter: Send + Sync {
    /// Promises `holder`, in its life `life`, to grant its lease to nobody's disadvantage for `term` from now: until then
    /// [`Self::bar`] says so. [`ErrorKind::Refused`](crate::ErrorKind) while that life is barred, if the voter has
    /// just started ([`promises_after`]), or if it knows a roster newer than revision `roster`, by which it is asked, or none:
    /// who is refused may learn more from a server.
    async fn renew(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<()>;

    /// Promises `life` of `holder` nothing for a while ([`bar_lasts`]), and tells how long the last promise still runs (zero: none does). A
    /// voter that started less than `term` ago answers as if it had promised just before it ended.
    /// [`ErrorKind::Refused`](crate::ErrorKind) if it knows a roster newer than revision `roster`, or none.
    async fn bar(&self, holder: &NodeId, life: &Incarnation, roster: u64, term: Duration) -> Result<Duration>;
}

/// The voters, by where their agents answer.
pub trait Voters: Send + Sync {
    /// The agent of `node`, which answers at `at`.
    fn voter(&self, node: &NodeId, at: SocketAddr) -> Arc<dyn Voter>;
}

/// Asks nodes for signs of life.
#[async_trait]
pub trait Prober: Send + Sync {
    /// True as soon as the kernel of the machine with `address` gives a sign of life, be it an echo or any answer, an
    /// acceptance or a refusal, at the agent's port; false after `within`. That the agent itself answers is not needed:
    /// one that is stopped or ended is not a lost node.
    async fn alive(&self, address: IpAddr, agent: SocketAddr, within: Duration) -> bool;
}
