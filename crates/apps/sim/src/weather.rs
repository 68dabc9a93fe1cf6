//! The weather: what goes wrong at single steps, how often, and where it has hit.
//!
//! A step is a call of a port by one kind of process, for example `agent host.mount`. At each passage the [`Weather`] draws
//! whether the process ends there, the call fails before or after its effect, or is late. Rare steps are hit more often than
//! frequent ones, so that none is left out; [`Coverage`] counts what was hit.
//!
//! A scenario can also say beforehand what is to go wrong at which passage: [`Plans`].
//!
//! **Invariant:** in calm weather nothing is drawn, and nothing goes wrong but what was planned.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_backend::Clock;
use om_backend::faulty::{Faults, Moment};

use crate::chance::Chance;
pub use crate::coverage::{Coverage, Fault, Hits};
use crate::env::{Env, give_way};
use crate::planned::Plans;

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

/// The weather. Clones are the same weather.
#[derive(Clone)]
pub struct Weather {
    state: Arc<Mutex<State>>,
    chance: Arc<Chance>,
    plans: Plans,
}

struct State {
    rates: Rates,
    coverage: Coverage,
    /// How many claims were won.
    claims: u64,
    /// The name of the step that is passed: made for every passage, so it has its place.
    step: String,
}

impl Weather {
    /// Calm weather, its chance from `seed`.
    pub fn new(seed: u64) -> Self {
        let state = State { rates: Rates::CALM, coverage: Coverage::default(), claims: 0, step: String::new() };
        Self { state: Arc::new(Mutex::new(state)), chance: Arc::new(Chance::new(seed)), plans: Plans::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on so often.
    pub fn set(&self, rates: Rates) {
        self.lock().rates = rates;
    }

    /// What a scenario has planned.
    pub fn plans(&self) -> &Plans {
        &self.plans
    }

    /// What was passed and hit so far.
    pub fn coverage(&self) -> Coverage {
        self.lock().coverage.clone()
    }

    /// The weather's own chance: what else is drawn does not depend on how many steps there were.
    pub fn chance(&self) -> &Chance {
        &self.chance
    }

    /// Counts what befell a machine, a process or a way.
    pub fn befell(&self, mishap: String) {
        *self.lock().coverage.mishaps.entry(mishap).or_default() += 1;
    }

    /// A claim was won.
    pub fn note_claim(&self) {
        self.lock().claims += 1;
    }

    /// How many claims were won so far.
    pub fn claims(&self) -> u64 {
        self.lock().claims
    }

    /// Whether a request is carried out twice.
    pub fn repeats(&self) -> bool {
        let rate = self.lock().rates.repeat;
        let repeats = rate > 0 && self.chance.permille() < rate;
        if repeats {
            self.befell("Repeat".to_owned());
        }
        repeats
    }

    /// What goes wrong at this passage, if anything.
    fn draw(&self, kind: &str, call: &str, moment: Moment) -> Option<Fault> {
        let mut state = self.lock();
        let State { rates, coverage, step, .. } = &mut *state;
        if *rates == Rates::CALM {
            return None;
        }
        write_step(step, kind, call);
        if !coverage.steps.contains_key(step.as_str()) {
            coverage.steps.insert(step.clone(), Hits::default());
        }
        let hits = coverage.steps.get_mut(step.as_str())?;
        if moment == Moment::Before {
            hits.passed += 1;
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

/// Writes the step of a call: its name without its subject, but for the kind of record.
fn write_step(step: &mut String, kind: &str, call: &str) {
    let (call, subject) = call.split_once(' ').unwrap_or((call, ""));
    step.clear();
    [kind, " ", call].into_iter().for_each(|part| step.push_str(part));
    if call.starts_with("db.")
        && let Some((records, _)) = subject.split_once('/')
    {
        [" ", records].into_iter().for_each(|part| step.push_str(part));
    }
}

#[async_trait]
impl Faults for Steps {
    async fn at(&self, moment: Moment, call: &str) -> Option<String> {
        give_way().await;
        if self.env.trace.tells_calls() {
            self.env.note(|| format!("{} {}: {moment:?} {call}", self.kind, self.name));
        }
        let drawn = self.env.weather.draw(self.kind, call, moment).map(|fault| (fault, None));
        let planned = self.env.weather.plans.due(self.kind, &self.name, moment, call);
        let (fault, late) = planned.map(|(fault, late)| (fault, Some(late))).or(drawn)?;
        self.env.fault(|| format!("{} {}: {fault:?} at {call}", self.kind, self.name));
        match fault {
            Fault::CrashBefore | Fault::CrashAfter => {
                (self.end)();
                std::future::pending().await
            }
            Fault::FailBefore | Fault::FailAfter => Some("injected fault".to_owned()),
            Fault::Delay => {
                // Mostly short, now and then longer than anybody is patient.
                let drawn = || {
                    let scale = if self.env.weather.chance().permille() < 100 { 40_000 } else { 1_500 };
                    Duration::from_millis(self.env.weather.chance().number() % scale)
                };
                self.env.executor.sleep(late.unwrap_or_else(drawn)).await;
                None
            }
        }
    }
}
