//! The weather: what goes wrong at single steps, how often, and where it has hit.
//!
//! A step is a call of a port by one kind of process, for example `agent host.mount`. At each passage the [`Weather`] draws
//! whether the process ends there, the call fails before or after its effect, or is late. Rare steps are hit more often than
//! frequent ones, so that none is left out; [`Coverage`] counts.
//!
//! **Invariant:** in calm weather nothing is drawn and nothing goes wrong.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::Clock;
use om_backend::faulty::{Faults, Moment};

use crate::chance::Chance;
use crate::env::{Env, give_way};

/// How often what goes wrong at a step that is passed for the first time, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// The process ends.
    pub crash: u32,
    /// The call fails; after its effect, nobody knows that it had one.
    pub fail: u32,
    /// The call is late.
    pub delay: u32,
    /// A request is carried out twice.
    pub repeat: u32,
}

impl Rates {
    /// Nothing goes wrong.
    pub const CALM: Self = Self { crash: 0, fail: 0, delay: 0, repeat: 0 };
    /// The weather of a common run.
    pub const STORMY: Self = Self { crash: 25, fail: 40, delay: 40, repeat: 20 };
}

/// What went wrong at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The process ended before the effect.
    CrashBefore,
    /// The process ended after the effect.
    CrashAfter,
    /// The call failed before its effect.
    FailBefore,
    /// The call failed after its effect.
    FailAfter,
    /// The call was late.
    Delay,
}

/// How often each step was passed, and how often each fault hit it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// By step.
    pub steps: BTreeMap<String, Hits>,
}

/// One step's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Passages.
    pub passed: u64,
    /// Faults.
    pub faults: BTreeMap<Fault, u64>,
}

impl Hits {
    /// How often the process ended here.
    pub fn crashes(&self) -> u64 {
        let of = |fault| self.faults.get(&fault).copied().unwrap_or_default();
        of(Fault::CrashBefore) + of(Fault::CrashAfter)
    }
}

impl Coverage {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (step, hits) in &other.steps {
            let mine = self.steps.entry(step.clone()).or_default();
            mine.passed += hits.passed;
            for (fault, count) in &hits.faults {
                *mine.faults.entry(*fault).or_default() += count;
            }
        }
    }
}

/// The weather. Clones are the same weather.
#[derive(Clone)]
pub struct Weather {
    state: Arc<Mutex<State>>,
    chance: Arc<Chance>,
}

struct State {
    rates: Rates,
    coverage: Coverage,
}

impl Weather {
    /// Calm weather, its chance from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State { rates: Rates::CALM, coverage: Coverage::default() };
        Self { state: Arc::new(Mutex::new(state)), chance: Arc::new(Chance::new(seed)) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so often.
    pub fn set(&self, rates: Rates) {
        self.lock().rates = rates;
    }

    /// What was passed and hit so far.
    pub fn coverage(&self) -> Coverage {
        self.lock().coverage.clone()
    }

    /// The weather's own chance: what else is drawn does not depend on how many steps there were.
    pub fn chance(&self) -> &Chance {
        &self.chance
    }

    /// Whether a request is carried out twice.
    pub fn repeats(&self) -> bool {
        let rate = self.lock().rates.repeat;
        rate > 0 && self.chance.permille() < rate
    }

    fn draw(&self, step: &str, moment: Moment) -> Option<Fault> {
        let mut state = self.lock();
        let rates = state.rates;
        let hits = state.coverage.steps.entry(step.to_owned()).or_default();
        if moment == Moment::Before {
            hits.passed += 1;
        }
        if rates == Rates::CALM {
            return None;
        }
        // Of a step that is passed all the time, each passage is hit less often.
        let range = 1000 * (1 + hits.passed / 8);
        let drawn = self.chance.number() % range;
        let (crash, fail) = (u64::from(rates.crash), u64::from(rates.fail));
        let fault = match moment {
            _ if drawn >= crash + fail + u64::from(rates.delay) => return None,
            Moment::Before if drawn < crash => Fault::CrashBefore,
            Moment::After if drawn < crash => Fault::CrashAfter,
            Moment::Before if drawn < crash + fail => Fault::FailBefore,
            Moment::After if drawn < crash + fail => Fault::FailAfter,
            _ => Fault::Delay,
        };
        *hits.faults.entry(fault).or_default() += 1;
        Some(fault)
    }
}

/// The steps of one process.
pub struct Steps {
    env: Env,
    /// What kind of process, and which: `agent`, `n1`.
    kind: &'static str,
    name: String,
    /// Ends the process.
    end: Box<dyn Fn() + Send + Sync>,
}

impl Steps {
    /// The steps of the process `name` of that kind, which `end` ends.
    pub fn new(env: Env, kind: &'static str, name: &str, end: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { env, kind, name: name.to_owned(), end: Box::new(end) })
    }
}

/// The step of a call: its name without its subject, but for the kind of record.
fn step_of(kind: &str, call: &str) -> String {
    let (call, subject) = call.split_once(' ').unwrap_or((call, ""));
    match (call.starts_with("db."), subject.split_once('/')) {
        (true, Some((records, _))) => format!("{kind} {call} {records}"),
        _ => format!("{kind} {call}"),
    }
}

#[async_trait]
impl Faults for Steps {
    async fn at(&self, moment: Moment, call: &str) -> Option<String> {
        give_way().await;
        let fault = self.env.weather.draw(&step_of(self.kind, call), moment)?;
        self.env.note(|| format!("{} {}: {fault:?} at {call}", self.kind, self.name));
        match fault {
            Fault::CrashBefore | Fault::CrashAfter => {
                (self.end)();
                std::future::pending().await
            }
            Fault::FailBefore | Fault::FailAfter => Some("injected fault".to_owned()),
            Fault::Delay => {
                // Mostly short, now and then longer than anybody is patient.
                let scale = if self.env.weather.chance().permille() < 100 { 40_000 } else { 1_500 };
                let length = Duration::from_millis(self.env.weather.chance().number() % scale);
                self.env.executor.sleep(length).await;
                None
            }
        }
    }
}
