//! Where faults have hit: of every step how often it was passed and interrupted, every mishap, and every kind of step that
//! operations are made of.
//!
//! **Invariant:** only what was passed while things went wrong counts: a step in calm weather had no chance to be hit.

use std::collections::BTreeMap;

use om_model::{StepRecord, StepState};
use om_planning::Step;

/// A step that was passed so often, and was never interrupted in one of the ways, is not there by chance: at the lowest rates
/// that is less likely than one in ten thousand.
pub const FLOOR: u64 = 400;

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

impl Fault {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::CrashBefore, Self::CrashAfter, Self::FailBefore, Self::FailAfter, Self::Delay];
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
    /// How often this fault hit.
    pub fn of(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    /// How often the process ended here.
    pub fn crashes(&self) -> u64 {
        self.of(Fault::CrashBefore) + self.of(Fault::CrashAfter)
    }
}

/// How often a kind of operation step was begun, was taken up again, and failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Begun.
    pub begun: u64,
    /// Taken up again: whoever carried it out ended within it, or just before it was noted.
    pub again: u64,
    /// Given up.
    pub failed: u64,
}

/// How often each step was passed, and how often each fault hit it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Calls of ports, by process and name.
    pub steps: BTreeMap<String, Hits>,
    /// What befell machines, processes and ways.
    pub mishaps: BTreeMap<String, u64>,
    /// Steps of operations by their kind.
    pub operations: BTreeMap<&'static str, Attempts>,
}

macro_rules! words {
    ($($kind:ident => $word:literal,)*) => {
        /// The kinds of steps that operations are made of.
        pub const OPERATION_STEPS: &[&str] = &[$($word),*];

        fn word(step: &Step) -> &'static str {
            match step {
                $(Step::$kind { .. } => $word,)*
            }
        }
    };
}

words! {
    AddMember => "add-member",
    AssignMember => "assign-member",
    RemoveFormer => "remove-former",
    MakeSecrets => "make-secrets",
    CreateVolume => "create-volume",
    CreateDeployment => "create-deployment",
    StartMember => "start-member",
    AwaitMember => "await-member",
    StopMember => "stop-member",
    RemoveDeployment => "remove-deployment",
    ReleaseMember => "release-member",
    KeepVolume => "keep-volume",
    DeleteVolume => "delete-volume",
    GrowVolume => "grow-volume",
    RemoveMember => "remove-member",
    RemoveSecrets => "remove-secrets",
    StoreSpec => "store-spec",
    ReloadMember => "reload-member",
    RestartMember => "restart-member",
    SetPhase => "set-phase",
    RemoveService => "remove-service",
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
        for (mishap, count) in &other.mishaps {
            *self.mishaps.entry(mishap.clone()).or_default() += count;
        }
        for (kind, attempts) in &other.operations {
            let mine = self.operations.entry(kind).or_default();
            mine.begun += attempts.begun;
            mine.again += attempts.again;
            mine.failed += attempts.failed;
        }
    }

    /// Counts a step of an operation, as its record has it in the end.
    pub fn count(&mut self, record: &StepRecord<Step>) {
        if record.attempts == 0 {
            return;
        }
        let mine = self.operations.entry(word(&record.step)).or_default();
        mine.begun += 1;
        mine.again += u64::from(record.attempts > 1);
        mine.failed += u64::from(record.state == StepState::Failed);
    }

    /// What was passed often enough and never interrupted in one of the ways; and what never came at all, of what must.
    pub fn gaps(&self, mishaps: &[String]) -> Vec<String> {
        let mut gaps = Vec::new();
        for (step, hits) in self.steps.iter().filter(|(_, hits)| hits.passed >= FLOOR) {
            for fault in Fault::ALL.into_iter().filter(|fault| hits.of(*fault) == 0) {
                gaps.push(format!("{step}: passed {} times, never {fault:?}", hits.passed));
            }
        }
        for mishap in mishaps.iter().filter(|mishap| !self.mishaps.contains_key(*mishap)) {
            gaps.push(format!("{mishap}: never happened"));
        }
        for kind in OPERATION_STEPS {
            match self.operations.get(kind) {
                None => gaps.push(format!("operation step {kind}: never begun")),
                Some(attempts) if attempts.again == 0 => {
                    gaps.push(format!("operation step {kind}: begun {} times, never interrupted", attempts.begun));
                }
                Some(_) => {}
            }
        }
        gaps
    }

    /// Steps that came too seldom for anything to be said about them, and were not interrupted in some way.
    pub fn seldom(&self) -> Vec<&str> {
        let spared = |hits: &Hits| Fault::ALL.iter().any(|fault| hits.of(*fault) == 0);
        let few = self.steps.iter().filter(|(_, hits)| hits.passed > 0 && hits.passed < FLOOR && spared(hits));
        few.map(|(step, _)| step.as_str()).collect()
    }

    /// All of it, to be read.
    pub fn table(&self) -> String {
        let mut text = String::new();
        let mut line = |args: std::fmt::Arguments<'_>| text += &format!("{args}\n");
        line(format_args!(
            "{:<44} {:>10} {:>9} {:>9} {:>9} {:>9} {:>7}",
            "step", "passed", "crash <", "crash >", "fail <", "fail >", "late"
        ));
        for (step, hits) in self.steps.iter().filter(|(_, hits)| hits.passed > 0) {
            let [before, after, failed, doubtful, late] = Fault::ALL.map(|fault| hits.of(fault));
            line(format_args!(
                "{step:<44} {:>10} {before:>9} {after:>9} {failed:>9} {doubtful:>9} {late:>7}",
                hits.passed
            ));
        }
        line(format_args!("\n{:<44} {:>10} {:>9} {:>9}", "step of operations", "begun", "again", "given up"));
        for (kind, attempts) in &self.operations {
            line(format_args!("{kind:<44} {:>10} {:>9} {:>9}", attempts.begun, attempts.again, attempts.failed));
        }
        line(format_args!("\n{:<44} {:>10}", "mishap", "times"));
        for (mishap, count) in &self.mishaps {
            line(format_args!("{mishap:<44} {count:>10}"));
        }
        text
    }
}
