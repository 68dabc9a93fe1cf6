//! The test kit: what every kind of operation must stand.
//!
//! A [`Case`] prepares a cluster and makes one change. The kit runs it once without faults to count its moments, then
//! once for every moment with the process ended there, the call failing there once, failing there for good, and the
//! operation cancelled there; and checks the invariants after each run.

use std::time::Duration;

use om_control::{ControlError, ServiceOperation, Submission};
use om_model::{OperationKind, OperationState, ServiceName};
use om_planning::Change;

use crate::check;
use crate::cluster::Cluster;
use crate::faults::{Plan, Script};

/// Long enough for the zone to be published and repairs to be made after an operation has ended.
const SETTLE: Duration = Duration::from_secs(90);
/// How often, and after how long each time, a retry is asked for again that comes too early.
const RETRIES: u32 = 20;
const AGAIN: Duration = Duration::from_secs(1);

/// One change, and what must be there before it.
pub struct Case {
    /// Its name, for failures.
    pub name: &'static str,
    /// Changes carried out without faults before.
    pub before: Vec<Change>,
    /// The change under test.
    pub change: Change,
    /// Checks the cluster after it succeeded.
    pub done: fn(&Cluster, &ServiceName),
    /// Checks the cluster after it was rolled back.
    pub undone: fn(&Cluster, &ServiceName),
}

/// What the kit ran, for the check that no kind and no step is left out.
#[derive(Default, Debug)]
pub struct Tally {
    /// Kinds of operations that were run.
    pub kinds: Vec<OperationKind>,
    /// Runs in all.
    pub runs: usize,
    /// Runs that ended rolled back.
    pub rolled_back: usize,
    /// Runs that needed attention, and then ended after a retry.
    pub attended: usize,
}

/// The service that all cases change.
pub fn subject() -> ServiceName {
    "orders".parse().expect("a service name")
}

impl Case {
    /// Runs the case under `plan`. Returns the cluster as it is then, the operation, and the trace.
    pub fn run(&self, seed: u64, plan: Plan) -> (Cluster, ServiceOperation) {
        let mut cluster = Cluster::new(seed);
        for change in &self.before {
            let operation = self.carry(&mut cluster, change.clone(), "before");
            assert_eq!(operation.state, OperationState::Succeeded, "{}: preparing: {:?}", self.name, operation.reason);
        }
        cluster.pass(SETTLE);
        cluster.with_script(plan);
        let operation = self.carry(&mut cluster, self.change.clone(), "under-test");
        (cluster, operation)
    }

    fn carry(&self, cluster: &mut Cluster, change: Change, key: &str) -> ServiceOperation {
        let key = format!("{key}-{}", change.kind());
        let submission = Submission { service: subject(), change, idempotency_key: Some(key), deadline: None };
        let accepted = cluster.submit(&submission).unwrap_or_else(|error| panic!("{}: refused: {error}", self.name));
        cluster.finish(&accepted.operation.id)
    }

    /// How many moments the change has when nothing goes wrong; and the trace of that run.
    pub fn moments(&self, seed: u64) -> (usize, Vec<String>) {
        let (cluster, operation) = self.run(seed, Plan::Nothing);
        assert_eq!(operation.state, OperationState::Succeeded, "{}: {:?}", self.name, operation.reason);
        (cluster.script.moments(), cluster.script.trace())
    }

    /// The whole kit on this case: the process is ended at every `crashes`th moment, and everything else is tried at every
    /// `others`th.
    pub fn stand(&self, seed: u64, crashes: usize, others: usize, tally: &mut Tally) {
        let (moments, trace) = self.moments(seed);
        tally.kinds.push(self.change.kind());
        for at in first_of_each_call(&trace) {
            self.stands(seed, Plan::FailForGood { at }, tally);
        }
        for at in (0..moments).step_by(crashes) {
            self.stands(seed, Plan::Crash { at }, tally);
        }
        for at in (0..moments).step_by(others) {
            self.stands(seed, Plan::Fail { at }, tally);
            self.stands(seed, Plan::Cancel { at, crash_after: None }, tally);
            self.stands(seed, Plan::Cancel { at, crash_after: Some(5 + at % 40) }, tally);
        }
    }

    /// One run: the operation ends, and what it leaves is right for the way it ended.
    pub fn stands(&self, seed: u64, plan: Plan, tally: &mut Tally) {
        let what = format!("{} with {plan:?} from seed {seed}", self.name);
        let (mut cluster, mut operation) = self.run(seed, plan.clone());
        tally.runs += 1;
        let broken = cluster.script.broken_call();
        let _told = Told { what: what.clone(), script: cluster.script.clone() };
        cluster.script.lift();
        if operation.state == OperationState::NeedsAttention {
            assert!(broken.is_some(), "{what}: needs attention without cause: {:?}", operation.reason);
            tally.attended += 1;
            operation = self.retry(&mut cluster, &operation);
        }
        cluster.pass(SETTLE);
        match operation.state {
            OperationState::Succeeded => (self.done)(&cluster, &subject()),
            OperationState::RolledBack => {
                let excused = broken.is_some() || matches!(plan, Plan::Cancel { .. });
                assert!(excused, "{what}: rolled back without cause: {:?}", operation.reason);
                tally.rolled_back += 1;
                (self.undone)(&cluster, &subject());
            }
            other => panic!("{what}: ended {other:?}: {:?}", operation.reason),
        }
    }

    fn retry(&self, cluster: &mut Cluster, operation: &ServiceOperation) -> ServiceOperation {
        for _ in 0..RETRIES {
            let id = operation.id.clone();
            let retried = cluster.request(move |control| {
                let id = id.clone();
                async move { control.retry(&id).await }
            });
            match retried {
                Ok(_) => return cluster.finish(&operation.id),
                // The server that worked on it is not done with it yet.
                Err(ControlError::Unavailable(_)) => cluster.pass(AGAIN),
                Err(error) => panic!("{}: retry refused: {error}", self.name),
            }
        }
        panic!("{}: retry refused for {RETRIES} times {AGAIN:?}", self.name);
    }
}

/// Tells what happened in a run whose check failed.
struct Told {
    what: String,
    script: Script,
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}: {:#?}", self.what, self.script.story());
        }
    }
}

/// The numbers of the moments at which each call is made first: a call that fails for good does so from there on.
fn first_of_each_call(trace: &[String]) -> Vec<usize> {
    let call = |line: &String| line.splitn(3, ' ').nth(2).map(str::to_owned);
    let mut seen = std::collections::BTreeSet::new();
    trace.iter().enumerate().filter(|(_, line)| seen.insert(call(line))).map(|(at, _)| at).collect()
}

/// For cases after which the service is there.
pub fn stands_there(cluster: &Cluster, name: &ServiceName) {
    check::keeps_its_promise(cluster, name);
}

/// For cases after which nothing is left.
pub fn is_gone(cluster: &Cluster, _name: &ServiceName) {
    check::nothing_left(cluster, &[]);
}
