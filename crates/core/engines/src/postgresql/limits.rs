//! Limits that a standby must not have lower than its primary, or it refuses to serve reads (the server's manual, "Hot
//! Standby, Administrator's Overview").
//!
//! A raised limit therefore goes to the standbys first, a lowered one to the primary first. Compared are the values in
//! force, computed ones and the server's own defaults included, not what the user wrote.

use om_model::{FieldError, ServiceSpec};

use super::{tuning, units};

/// The limits, and what the server takes when nobody sets them.
const LIMITS: [(&str, f64); 5] = [
    ("max_connections", 100.0),
    ("max_worker_processes", 8.0),
    ("max_wal_senders", 10.0),
    ("max_prepared_transactions", 0.0),
    ("max_locks_per_transaction", 64.0),
];

/// Which limits a change moves, and which way.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Moves {
    /// Limits that are lower afterwards.
    pub(super) lowered: Vec<&'static str>,
    /// Limits that are higher afterwards.
    pub(super) raised: Vec<&'static str>,
}

impl Moves {
    /// What the change from `old` to `new` moves.
    pub(super) fn between(old: &ServiceSpec, new: &ServiceSpec) -> Self {
        let values = |spec: &ServiceSpec| tuning::effective(&spec.resources, &spec.volumes, &spec.settings);
        let (before, after) = (values(old), values(new));
        let mut moves = Self::default();
        for (name, default) in LIMITS {
            let of = |values: &std::collections::BTreeMap<String, String>| {
                values.get(name).and_then(|value| units::parse(value, "")).unwrap_or(default)
            };
            if of(&after) < of(&before) {
                moves.lowered.push(name);
            } else if of(&after) > of(&before) {
                moves.raised.push(name);
            }
        }
        moves
    }

    /// Why the change cannot be made at once, if no order of members is right for all of it.
    pub(super) fn conflict(&self) -> Option<FieldError> {
        let (lowered, raised) = (self.lowered.first()?, self.raised.first()?);
        Some(FieldError::new(
            format!("settings.{lowered}"),
            format!(
                "is lowered while {raised} is raised: a standby must have no less than the primary, so the primary has \
                 to take up the one first and the standbys the other"
            ),
            "two changes: first what is raised, then what is lowered",
        ))
    }
}
