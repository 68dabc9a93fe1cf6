//! What a scenario says beforehand: which fault comes at which passage of which step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::faulty::Moment;

use crate::coverage::Fault;

/// What is to go wrong at certain passages of a step, whatever the weather.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The step: how its name with its subject begins, for example `server db.create members/`.
    pub step: String,
    /// In the process on this machine; in any if none is named.
    pub on: Option<String>,
    /// So many passages are left alone first.
    pub after: u32,
    /// So many are hit then.
    pub times: u32,
    /// By what.
    pub fault: Fault,
    /// How late a call is.
    pub late: Duration,
    /// How many were hit so far.
    pub hits: u32,
}

impl Planned {
    /// `fault` at the next passage of the step, in whichever process.
    pub fn next(step: &str, fault: Fault) -> Self {
        Self { step: step.to_owned(), on: None, after: 0, times: 1, fault, late: Duration::ZERO, hits: 0 }
    }

    fn is_due(&self, kind: &str, machine: &str, moment: Moment, call: &str) -> bool {
        let comes = match self.fault {
            Fault::CrashBefore | Fault::FailBefore | Fault::Delay => Moment::Before,
            Fault::CrashAfter | Fault::FailAfter => Moment::After,
        };
        let name = self.step.strip_prefix(kind).and_then(|step| step.strip_prefix(' '));
        self.times > 0
            && comes == moment
            && name.is_some_and(|name| call.starts_with(name))
            && self.on.as_deref().is_none_or(|on| on == machine)
    }
}

/// All that is planned. Clones are the same.
#[derive(Clone, Default)]
pub struct Plans(Arc<Mutex<Vec<Planned>>>);

impl Plans {
    fn lock(&self) -> MutexGuard<'_, Vec<Planned>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is to go wrong.
    pub fn add(&self, planned: Planned) {
        self.lock().push(planned);
    }

    /// Nothing is planned any more. Returns what was planned and never came.
    pub fn lift(&self) -> Vec<Planned> {
        std::mem::take(&mut *self.lock()).into_iter().filter(|planned| planned.hits == 0).collect()
    }

    /// What goes wrong at this moment of a call by the process of that kind on that machine.
    pub fn due(&self, kind: &str, machine: &str, moment: Moment, call: &str) -> Option<(Fault, Duration)> {
        let mut plans = self.lock();
        let planned = plans.iter_mut().find(|planned| planned.is_due(kind, machine, moment, call))?;
        if planned.after > 0 {
            planned.after -= 1;
            return None;
        }
        (planned.times, planned.hits) = (planned.times - 1, planned.hits + 1);
        Some((planned.fault, planned.late))
    }
}
