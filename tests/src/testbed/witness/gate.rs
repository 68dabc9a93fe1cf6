//! The way between a host and its storage: open, cut, or gone with the host's power.
//!
//! **Invariant:** an operation runs while the gate is open and never after [`Gate::shut`] or [`Gate::power_off`] returned.

use std::sync::{Arc, Mutex, RwLock};

use super::files::Open;

/// An operation of a host on its way to the storage.
pub(super) struct Operation {
    /// Performs it and answers; or, if the storage is gone, answers that it failed.
    pub(super) run: Box<dyn FnOnce(bool) + Send>,
    /// What stays on its way if the host dies meanwhile.
    pub(super) late: Option<Late>,
}

/// A write that may be performed after its host's death.
#[derive(Clone)]
pub(super) struct Late {
    pub(super) open: Arc<Open>,
    pub(super) offset: u64,
    pub(super) data: Arc<[u8]>,
}

enum State {
    Open,
    /// Nothing passes; whether writes outlive the host.
    Shut {
        hold: bool,
    },
    /// The host has no power.
    Gone,
}

pub(super) struct Gate {
    state: RwLock<State>,
    waiting: Mutex<Vec<Operation>>,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self { state: RwLock::new(State::Open), waiting: Mutex::default() }
    }

    /// Performs an operation now, later or not at all.
    pub(super) fn pass(&self, operation: Operation) {
        // The lock is held while the operation runs, so that who shuts the gate waits for it.
        let state = self.state.read().expect("no panic while held");
        match *state {
            State::Open => (operation.run)(true),
            State::Shut { .. } => self.waiting.lock().expect("no panic while held").push(operation),
            State::Gone => (operation.run)(false),
        }
    }

    pub(super) fn shut(&self, hold: bool) {
        let mut state = self.state.write().expect("no panic while held");
        if !matches!(*state, State::Gone) {
            *state = State::Shut { hold };
        }
    }

    pub(super) fn open(&self) {
        let mut state = self.state.write().expect("no panic while held");
        if !matches!(*state, State::Gone) {
            *state = State::Open;
            for operation in self.take() {
                (operation.run)(true);
            }
        }
    }

    /// Fails all that waits and all that comes. Yields the writes that were held.
    pub(super) fn power_off(&self) -> Vec<Late> {
        let mut state = self.state.write().expect("no panic while held");
        let hold = matches!(*state, State::Shut { hold: true });
        *state = State::Gone;
        let mut late = Vec::new();
        for operation in self.take() {
            late.extend(operation.late.filter(|_| hold));
            (operation.run)(false);
        }
        late
    }

    fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut self.waiting.lock().expect("no panic while held"))
    }
}
