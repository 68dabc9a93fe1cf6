//! A journal held against what the servers of the simulated cluster noted when it was run again.
//!
//! Both are told as words in order: of a service what became of its operations, of a member whom it was bound to and what was
//! repaired. Times and nodes differ, and repetitions may; how every recovery ended must not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{Entry, Journal};

/// What a service or a member has seen: in the journal, and simulated.
type Told = BTreeMap<String, (Vec<String>, Vec<String>)>;

/// The comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    told: Told,
    recoveries: (Vec<String>, Vec<String>),
}

/// What an event says about whom, in a word or two; nothing of what only follows from other events.
fn telling(entry: &Entry) -> Option<(String, String)> {
    match entry.kind.as_str() {
        "operation-ended" => {
            let service = entry.service.clone()?;
            let ended = entry.message.split(':').next()?.replacen(&format!(" {service}"), "", 1);
            Some((service, ended))
        }
        "bound" if entry.message.contains(" is held by ") => Some((entry.member.clone()?, "held".to_owned())),
        "bound" => Some((entry.member.clone()?, "given to another".to_owned())),
        "repaired" => Some((entry.member.clone()?, "repaired".to_owned())),
        _ => None,
    }
}

/// Which members were recovered, and how that ended.
fn recoveries(journal: &Journal) -> Vec<String> {
    let entries = || journal.entries.iter().map(|(_, entry)| entry);
    let ended = entries().filter(|entry| entry.kind == "operation-ended" && entry.message.starts_with("recover "));
    let told = ended.filter_map(|entry| {
        let (_, outcome) = telling(entry)?;
        let same = |other: &&Entry| other.operation == entry.operation && other.member.is_some();
        let member = entries().find(same).and_then(|other| other.member.as_deref()).unwrap_or("a member");
        Some(format!("{member}: {outcome}"))
    });
    told.collect::<BTreeSet<_>>().into_iter().collect()
}

impl Comparison {
    pub(super) fn of(journal: &Journal, simulated: Option<&Journal>) -> Self {
        let mut told = Told::new();
        for (who, what) in journal.entries.iter().filter_map(|(_, entry)| telling(entry)) {
            told.entry(who).or_default().0.push(what);
        }
        for (who, what) in simulated.iter().flat_map(|noted| &noted.entries).filter_map(|(_, entry)| telling(entry)) {
            told.entry(who).or_default().1.push(what);
        }
        for (real, again) in told.values_mut() {
            // An event that was noted twice tells nothing more.
            real.dedup();
            again.dedup();
        }
        Self { told, recoveries: (recoveries(journal), simulated.map(recoveries).unwrap_or_default()) }
    }

    /// Whether the same members were recovered, each with the same outcome.
    pub fn same_recoveries(&self) -> bool {
        self.recoveries.0 == self.recoveries.1
    }

    /// Which members were recovered, and how that ended; in the journal.
    pub fn recoveries(&self) -> &[String] {
        &self.recoveries.0
    }

    /// Services and members of which the same was told, in the same order; and those of which something else was.
    pub fn agreement(&self) -> (usize, usize) {
        let same = self.told.values().filter(|(real, again)| real == again).count();
        (same, self.told.len() - same)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The journal, and what simulated servers noted:")?;
        for (who, (real, again)) in &self.told {
            if real == again {
                writeln!(f, "  {who}: the same: {}", real.join(", "))?;
            } else {
                writeln!(f, "  {who}: journal:   {}\n  {who}: simulated: {}", real.join(", "), again.join(", "))?;
            }
        }
        let (real, again) = &self.recoveries;
        let verdict = if self.same_recoveries() { "the same" } else { "NOT the same" };
        writeln!(f, "  recoveries {verdict}: journal: [{}], simulated: [{}]", real.join(", "), again.join(", "))
    }
}
