//! What goes wrong, at which await.
//!
//! Every call of a port passes two moments, before and after its effect. Moments are numbered as they come; a [`Plan`]
//! says what happens at which number. Each moment also yields, so that other tasks may run in between.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use om_backend::faulty::{Faults, Moment};

/// What is to go wrong; `at` is the number of a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "said once, above")]
pub enum Plan {
    /// Nothing.
    #[default]
    Nothing,
    /// The process ends at this moment.
    Crash { at: usize },
    /// The call at this moment fails, once.
    Fail { at: usize },
    /// From this moment on, every call with the same name fails, until the fault is lifted.
    FailForGood { at: usize },
    /// Somebody cancels the operation at this moment, and the process ends so many moments later.
    Cancel { at: usize, crash_after: Option<usize> },
}

/// The script: counts moments, keeps the trace, makes the plan come true. Clones share it.
#[derive(Clone, Default)]
pub struct Script {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    plan: Plan,
    moments: usize,
    trace: Vec<String>,
    crashed: bool,
    cancelled: bool,
    broken_call: Option<String>,
    broke: Option<String>,
}

impl Script {
    /// A script with a plan.
    pub fn new(plan: Plan) -> Self {
        let script = Self::default();
        script.lock().plan = plan;
        script
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on with another plan, its moments counted from now, under the server that runs.
    pub fn begin(&self, plan: Plan) {
        *self.lock() = State { plan, ..State::default() };
    }

    /// How many moments there were.
    pub fn moments(&self) -> usize {
        self.lock().moments
    }

    /// What happened, a line per moment.
    pub fn trace(&self) -> Vec<String> {
        self.lock().trace.clone()
    }

    /// What went wrong, what came right after it, and what came last.
    pub fn story(&self) -> Vec<String> {
        let trace = self.trace();
        let fault = trace.iter().position(|line| !line.ends_with("Pass")).unwrap_or(0);
        let after = &trace[fault.saturating_sub(10)..trace.len().min(fault + 60)];
        let last = &trace[trace.len().saturating_sub(20)..];
        after.iter().chain(last).cloned().collect()
    }

    /// True once, after the plan ended the process.
    pub fn take_crash(&self) -> bool {
        std::mem::take(&mut self.lock().crashed)
    }

    /// True once, when the plan wants the operation cancelled.
    pub fn take_cancel(&self) -> bool {
        std::mem::take(&mut self.lock().cancelled)
    }

    /// The call that failed for good until it was lifted, if there was one.
    pub fn broken_call(&self) -> Option<String> {
        self.lock().broke.clone()
    }

    /// Lifts every fault still in force or to come.
    pub fn lift(&self) {
        let mut state = self.lock();
        state.plan = Plan::Nothing;
        state.broken_call = None;
    }

    /// Counts the moment and says what happens at it.
    fn decide(&self, moment: Moment, call: &str) -> Verdict {
        let mut state = self.lock();
        let number = state.moments;
        state.moments += 1;
        let verdict = state.verdict(number, call);
        state.trace.push(format!("{number} {moment:?} {call}: {verdict:?}"));
        match verdict {
            Verdict::Crash => state.crashed = true,
            Verdict::FailForGood => {
                state.broken_call = Some(call.to_owned());
                state.broke = Some(call.to_owned());
            }
            Verdict::Cancel => state.cancelled = true,
            Verdict::Pass | Verdict::Fail => {}
        }
        verdict
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Pass,
    Fail,
    FailForGood,
    Crash,
    Cancel,
}

impl State {
    fn verdict(&self, number: usize, call: &str) -> Verdict {
        if self.broken_call.as_deref() == Some(call) {
            return Verdict::Fail;
        }
        match self.plan {
            Plan::Crash { at } if number == at => Verdict::Crash,
            Plan::Fail { at } if number == at => Verdict::Fail,
            Plan::FailForGood { at } if number == at => Verdict::FailForGood,
            Plan::Cancel { at, .. } if number == at => Verdict::Cancel,
            Plan::Cancel { at, crash_after: Some(after) } if number == at + after => Verdict::Crash,
            _ => Verdict::Pass,
        }
    }
}

#[async_trait]
impl Faults for Script {
    async fn at(&self, moment: Moment, call: &str) -> Option<String> {
        yield_once().await;
        match self.decide(moment, call) {
            Verdict::Crash => std::future::pending().await,
            Verdict::Fail | Verdict::FailForGood => Some("injected fault".into()),
            Verdict::Pass | Verdict::Cancel => None,
        }
    }
}

async fn yield_once() {
    let mut yielded = false;
    std::future::poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
