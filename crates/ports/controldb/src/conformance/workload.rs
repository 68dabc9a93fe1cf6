//! Concurrent clients that do random things to few keys and record what they saw.
//!
//! Main pieces: [`Workload`] (seed and sizes), [`Workload::clients`] (one future per client, for a runtime of the
//! caller's choice) and [`Workload::run`] (all of them in one task).

use std::sync::Arc;

use futures::future::{BoxFuture, join_all};

use super::history::{Action, History, Operation, Outcome, Recorder, ValueId, breathe};
use super::random::Random;
use crate::{ControlDb, Entry, Error, ErrorKind, Key, Result, Revision};

const FOLDER: &str = "workload/";

/// How much of what.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    /// Names the choices of all clients exactly.
    pub seed: u64,
    /// Clients at once.
    pub clients: usize,
    /// Calls of each.
    pub operations: usize,
    /// Keys they share, at least one.
    pub keys: usize,
}

impl Workload {
    /// One future per client. Joined or spawned, each gives what its client saw.
    pub fn clients(&self, db: &Arc<dyn ControlDb>) -> Vec<BoxFuture<'static, Vec<Operation>>> {
        let recorder = Arc::new(Recorder::default());
        let client = |number| {
            let mut client = Client::new(self, number, db.clone(), recorder.clone());
            let calls = self.operations;
            let work: BoxFuture<'static, Vec<Operation>> = Box::pin(async move {
                for _ in 0..calls {
                    client.one_call().await;
                }
                client.list().await;
                client.seen
            });
            work
        };
        (0..self.clients).map(client).collect()
    }

    /// Runs all clients in this task.
    pub async fn run(&self, db: Arc<dyn ControlDb>) -> History {
        History { operations: join_all(self.clients(&db)).await.concat() }
    }
}

struct Client {
    number: usize,
    db: Arc<dyn ControlDb>,
    recorder: Arc<Recorder>,
    random: Random,
    keys: Vec<Key>,
    /// The revision each key was last seen at.
    revisions: Vec<Option<Revision>>,
    writes: u32,
    seen: Vec<Operation>,
}

impl Client {
    fn new(workload: &Workload, number: usize, db: Arc<dyn ControlDb>, recorder: Arc<Recorder>) -> Self {
        let keys = (0..workload.keys).map(|key| Key::new(format!("{FOLDER}{key}")).expect("a good key")).collect();
        let random = Random::new(workload.seed.wrapping_mul(1 << 20).wrapping_add(number as u64));
        let revisions = vec![None; workload.keys];
        Self { number, db, recorder, random, keys, revisions, writes: 0, seen: Vec::new() }
    }

    async fn one_call(&mut self) {
        let which = self.random.below(self.keys.len() as u64) as usize;
        let choice = self.random.below(100);
        match (choice, self.revisions[which].clone()) {
            (0..10, _) => self.list().await,
            (10..55, None) => self.create(which).await,
            (10..15, Some(_)) => self.create(which).await,
            (15..60, Some(expected)) => self.update(which, expected).await,
            (60..75, Some(expected)) => self.delete(which, expected).await,
            _ => self.get(which).await,
        }
    }

    async fn get(&mut self, which: usize) {
        let key = self.keys[which].clone();
        let (db, invoked) = (self.db.clone(), self.begin().await);
        let result = db.get(&key).await;
        let returned = self.end().await;
        match result {
            Ok(found) => self.read(which, found.as_ref(), invoked, returned),
            Err(error) => expect_unavailable(&error),
        }
    }

    async fn list(&mut self) {
        let prefix = Key::new(FOLDER).expect("a good key");
        let (db, invoked) = (self.db.clone(), self.begin().await);
        let result = db.list(&prefix, None, self.keys.len()).await;
        let returned = self.end().await;
        match result {
            Ok(page) => {
                for which in 0..self.keys.len() {
                    let found = page.entries.iter().find(|entry| entry.key == self.keys[which]);
                    self.read(which, found, invoked, returned);
                }
            }
            Err(error) => expect_unavailable(&error),
        }
    }

    async fn create(&mut self, which: usize) {
        let (key, value) = (self.keys[which].clone(), self.new_value());
        let (db, invoked) = (self.db.clone(), self.begin().await);
        let result = db.create(&key, &value.to_be_bytes()).await;
        self.wrote(which, Action::Create(value), result.map(Some), invoked).await;
    }

    async fn update(&mut self, which: usize, expected: Revision) {
        let (key, value) = (self.keys[which].clone(), self.new_value());
        let (db, invoked) = (self.db.clone(), self.begin().await);
        let result = db.update(&key, &expected, &value.to_be_bytes()).await;
        self.wrote(which, Action::Update(expected, value), result.map(Some), invoked).await;
    }

    async fn delete(&mut self, which: usize, expected: Revision) {
        let key = self.keys[which].clone();
        let (db, invoked) = (self.db.clone(), self.begin().await);
        let result = db.delete(&key, &expected).await;
        self.wrote(which, Action::Delete(expected), result.map(|()| None), invoked).await;
    }

    fn read(&mut self, which: usize, found: Option<&Entry>, invoked: u64, returned: u64) {
        self.revisions[which] = found.map(|entry| entry.revision.clone());
        let outcome = match found {
            // A value that nobody wrote becomes 0, which nobody writes: the checker will say so.
            Some(entry) => {
                let bytes = <[u8; 8]>::try_from(&entry.value[..]).unwrap_or_default();
                Outcome::Found(ValueId::from_be_bytes(bytes), entry.revision.clone())
            }
            None => Outcome::Absent,
        };
        self.record(which, Action::Read, outcome, invoked, returned);
    }

    async fn wrote(&mut self, which: usize, action: Action, result: Result<Option<Revision>>, invoked: u64) {
        let returned = self.end().await;
        let outcome = match result {
            Ok(revision) => {
                self.revisions[which].clone_from(&revision);
                revision.map_or(Outcome::Deleted, Outcome::Written)
            }
            Err(error) if error.is_conflict() => {
                // Now and then the revision is kept: using an old one again is a test of its own.
                if self.random.below(4) > 0 {
                    self.revisions[which] = None;
                }
                Outcome::Conflict
            }
            Err(error) => {
                expect_unavailable(&error);
                Outcome::Unknown
            }
        };
        self.record(which, action, outcome, invoked, returned);
    }

    fn record(&mut self, which: usize, action: Action, outcome: Outcome, invoked: u64, returned: u64) {
        let key = self.keys[which].clone();
        self.seen.push(Operation { client: self.number, key, action, outcome, invoked, returned });
    }

    /// Never 0, and never the same twice in a workload.
    fn new_value(&mut self) -> ValueId {
        self.writes += 1;
        (self.number as u64) << 32 | u64::from(self.writes)
    }

    async fn begin(&mut self) -> u64 {
        let tick = self.recorder.tick();
        self.pause().await;
        tick
    }

    async fn end(&mut self) -> u64 {
        self.pause().await;
        self.recorder.tick()
    }

    async fn pause(&mut self) {
        for _ in 0..self.random.below(4) {
            breathe().await;
        }
    }
}

fn expect_unavailable(error: &Error) {
    assert_eq!(error.kind, ErrorKind::Unavailable, "only a lost backend may fail a good call: {error}");
}
