//! What the member tells of itself: kept up to date by the member's life, read by the socket.

use std::sync::{Mutex, MutexGuard, PoisonError};

use om_backend::member_channel::{MemberPhase, MemberStatus};
use om_engines::Health;

use crate::ports::Say;

/// The status, and the log beside it.
pub(crate) struct Board {
    status: Mutex<MemberStatus>,
    /// Why everything is stopped, while it is.
    paused: Mutex<Option<String>>,
    say: Say,
}

impl Board {
    /// Nothing is known yet.
    pub(crate) fn new(say: Say) -> Self {
        let status = MemberStatus {
            phase: MemberPhase::Starting,
            detail: "the member program has just started".into(),
            health: None,
            configuration: 0,
            restart_pending: false,
            starts: 0,
        };
        Self { status: Mutex::new(status), paused: Mutex::default(), say }
    }

    /// The status now. While everything is stopped, that is the news, and nobody knows how the server is.
    pub(crate) fn read(&self) -> MemberStatus {
        let status = self.lock().clone();
        match self.paused.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(detail) => MemberStatus { detail, health: None, ..status },
            None => status,
        }
    }

    /// Everything is stopped.
    pub(crate) fn pause(&self, why: &str) {
        let mut paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        if paused.is_none() {
            (self.say)(why);
            *paused = Some(why.to_owned());
        }
    }

    /// Everything goes on.
    pub(crate) fn resume(&self) {
        if self.paused.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            (self.say)("continued: the node's lease is back");
        }
    }

    /// Something for the log alone.
    pub(crate) fn say(&self, text: &str) {
        (self.say)(text);
    }

    /// The phase changes. What a probe found before says nothing about a server that is not simply running.
    pub(crate) fn enter(&self, phase: MemberPhase) {
        let mut status = self.lock();
        status.phase = phase;
        if phase != MemberPhase::Running {
            status.health = None;
        }
    }

    /// Something to tell: shown as the detail, and logged if it is news.
    pub(crate) fn tell(&self, text: impl Into<String>) {
        let text = text.into();
        let mut status = self.lock();
        if status.detail != text {
            (self.say)(&text);
            status.detail = text;
        }
    }

    /// A probe's finding; logged when its words change.
    pub(crate) fn found(&self, health: &Health) {
        let mut status = self.lock();
        let before = status.health.as_ref().map(|before| (before.healthy, before.role));
        if before != Some((health.healthy, health.role)) {
            (self.say)(&health.detail);
        }
        status.detail = health.detail.clone();
        status.health = Some(health.clone());
    }

    /// The server runs this configuration, up to what waits for a restart.
    pub(crate) fn configured(&self, configuration: u64, restart_pending: bool) {
        let mut status = self.lock();
        status.configuration = configuration;
        status.restart_pending = restart_pending;
    }

    /// The server was started once more.
    pub(crate) fn started(&self) {
        self.lock().starts += 1;
    }

    fn lock(&self) -> MutexGuard<'_, MemberStatus> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
