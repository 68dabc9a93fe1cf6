//! What happened, a line each, in order: to be read, and to be compared.
//!
//! **Invariant:** a line says nothing that differs between two runs of one seed.

use std::hash::Hasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Before what goes wrong.
pub(crate) const FAULT: char = '!';

/// The lines. Clones share them.
#[derive(Clone, Default)]
pub struct Trace {
    state: Arc<Mutex<State>>,
    calls: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    lines: Vec<String>,
    fingerprint: Fnv,
}

impl Trace {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on there is a line for every call, too.
    pub fn tell_calls(&self) {
        self.calls.store(true, Ordering::Relaxed);
    }

    /// Whether there is to be a line for every call.
    pub fn tells_calls(&self) -> bool {
        self.calls.load(Ordering::Relaxed)
    }

    /// Adds a line about something that happens.
    pub fn add(&self, at: Duration, text: &str) {
        self.push(at, ' ', text);
    }

    /// Adds a line about something that goes wrong.
    pub fn fault(&self, at: Duration, text: &str) {
        self.push(at, FAULT, text);
    }

    fn push(&self, at: Duration, mark: char, text: &str) {
        let line = format!("{:>10.4} {mark}{text}", at.as_secs_f64());
        let mut state = self.lock();
        state.fingerprint.write(line.as_bytes());
        state.lines.push(line);
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// A number that two different traces hardly have in common.
    pub fn fingerprint(&self) -> u64 {
        self.lock().fingerprint.finish()
    }
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits: the same on every machine, which the standard library's hasher does not promise.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
