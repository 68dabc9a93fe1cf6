//! The node's lease (design §5), enforced without the agent: past its end every process of the container but this one is
//! stopped, and continued when it is back. A false alarm so costs a pause, not a restart.
//!
//! The agent writes the deadline into the control folder, in milliseconds of CLOCK_BOOTTIME. Absent from the start, there
//! is no lease to keep; once seen, a deadline holds until a later one is read, also if the file vanishes or is torn.
//!
//! A lapse that this program slept through, frozen with its container, is one too: whatever was stopped from outside
//! meanwhile is continued.
//!
//! **Invariant:** past the deadline nothing of the engine runs and nothing is begun: [`Lease::enforce`] stops what there
//! is, [`Lease::held`] keeps back what is to come, and both go by the clock, not by one another.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::Clock;
use om_engines::member::{CONTROL_DIR, DATA_MOUNT, LEASE_FILE};
use om_model::mutation::{Mutation, planted};

use crate::board::Board;
use crate::ports::Ports;

/// How old the deadline that we know may be, and how often a node without its lease is stopped again.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How soon whoever waits for the lease notices that it is back.
const NOTICE_WITHIN: Duration = Duration::from_millis(20);

/// The lease as this member knows it.
#[derive(Default)]
pub(crate) struct Lease {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    deadline: Deadline,
    /// Since when everything is stopped.
    paused: Option<Duration>,
    /// How long it was, before.
    paused_for: Duration,
    changes: u64,
}

#[derive(Clone, Copy, Default)]
enum Deadline {
    /// Not looked at yet: nothing may begin.
    #[default]
    Unknown,
    /// There is no lease to keep.
    None,
    /// By CLOCK_BOOTTIME.
    At(Duration),
}

impl Deadline {
    fn is_over(self, now: Duration) -> bool {
        match self {
            Self::Unknown => true,
            Self::None => false,
            Self::At(end) => now > end && !planted(Mutation::RunsPastDeadline),
        }
    }
}

impl Lease {
    /// Enforces it, for ever.
    pub(crate) async fn enforce(&self, ports: &Ports, board: &Board) {
        loop {
            self.look(ports, board).await;
            let now = ports.clock.monotonic();
            let (deadline, paused) = (self.deadline(), self.lock().paused.is_some());
            let mut next = LOOK_EVERY;
            if deadline.is_over(now) {
                self.pause(now);
                board.pause("paused: the node's lease is over; everything here is stopped until it is back");
                // Again each time: somebody may have come in from outside.
                if let Err(error) = ports.processes.stop_all().await {
                    board.say(&error.to_string());
                }
            } else {
                if paused {
                    match ports.processes.continue_all().await {
                        Ok(()) => {
                            self.resume(ports.clock.monotonic());
                            board.resume();
                        }
                        Err(error) => board.say(&error.to_string()),
                    }
                }
                if let Deadline::At(end) = deadline {
                    // Just past it: at the deadline itself the lease still holds.
                    next = next.min(end.saturating_sub(now) + Duration::from_millis(1));
                }
            }
            ports.clock.sleep(next).await;
        }
    }

    /// Returns once the lease holds, and everything goes on.
    pub(crate) async fn held(&self, clock: &dyn Clock) {
        while !self.holds(clock) {
            clock.sleep(NOTICE_WITHIN).await;
        }
    }

    /// Sleeps for `length` without the time that was spent paused.
    pub(crate) async fn sleep(&self, clock: &dyn Clock, length: Duration) {
        let mut left = length;
        while !left.is_zero() {
            let before = self.paused_for(clock.monotonic());
            clock.sleep(left).await;
            left = self.paused_for(clock.monotonic()).saturating_sub(before);
        }
    }

    /// How often it was lost or came back: what was observed while this changed says nothing of the server.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    fn holds(&self, clock: &dyn Clock) -> bool {
        let known = self.lock();
        known.paused.is_none() && !known.deadline.is_over(clock.monotonic())
    }

    /// Reads the deadline. If the last one known ran out before, there was a lapse, though perhaps nobody here saw it: this
    /// program was frozen with everything else, and the agent has stopped the others from outside.
    async fn look(&self, ports: &Ports, board: &Board) {
        let path = format!("{DATA_MOUNT}/{CONTROL_DIR}/{LEASE_FILE}");
        let read = ports.files.read(&path).await;
        let now = ports.clock.monotonic();
        if let Deadline::At(last) = self.deadline()
            && now > last
        {
            self.pause(last);
        }
        let mut known = self.lock();
        match read.map(|text| text.map(|text| (text.trim().parse().map(Duration::from_millis), text))) {
            Ok(Some((Ok(end), _))) => known.deadline = Deadline::At(end),
            Ok(None) if matches!(known.deadline, Deadline::Unknown) => known.deadline = Deadline::None,
            Ok(None) => {}
            Ok(Some((Err(_), text))) => board.say(&format!("{path} is not understood: {text:?}")),
            Err(error) => board.say(&error.to_string()),
        }
    }

    fn deadline(&self) -> Deadline {
        self.lock().deadline
    }

    fn pause(&self, since: Duration) {
        let mut known = self.lock();
        if known.paused.is_none() {
            known.paused = Some(since);
            known.changes += 1;
        }
    }

    fn resume(&self, now: Duration) {
        let mut known = self.lock();
        if let Some(since) = known.paused.take() {
            known.paused_for += now.saturating_sub(since);
            known.changes += 1;
        }
    }

    /// How long everything was stopped, up to now.
    fn paused_for(&self, now: Duration) -> Duration {
        let known = self.lock();
        known.paused_for + known.paused.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
