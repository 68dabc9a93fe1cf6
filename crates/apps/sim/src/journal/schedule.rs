//! What of a journal can be done again, and when.
//!
//! Events tell of what servers saw and did. What made them do it is concluded: a node that was lost and came back in a new life
//! had no power meanwhile, one that came back in the same life was cut off; a container that was gone was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use om_model::{ByteSize, MemberName, ServiceName};
use om_planning::{Change, VolumeFate};

use super::{Entry, Journal};
use crate::fleet::users::create;

/// The machines join first.
const BEGIN: Duration = Duration::from_secs(6);
/// So long before it is noticed a node is lost, and a container gone.
const NOTICED_AFTER: Duration = Duration::from_millis(3_500);
/// So long after it has power, or is reached again, a node is noticed.
const BACK_BEFORE: Duration = Duration::from_millis(1_500);
/// A node that came back in a new life, and was never missed, was without power so long.
const SHORT: Duration = Duration::from_secs(2);
/// After the last event.
const TAIL: Duration = Duration::from_secs(10);

/// One thing that is done again.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// A user asks for a change.
    Change(ServiceName, Box<Change>),
    /// A node has no power, or is cut off, for so long.
    NodeAway {
        /// Which, as the journal has it.
        node: String,
        /// What was on it.
        held: Vec<MemberName>,
        /// True: no power. False: cut off.
        power: bool,
        /// For so long.
        length: Duration,
    },
    /// A member's container is killed.
    Kill(MemberName),
    /// An operator has a node emptied, or filled again.
    Drain(String, bool),
    /// An operator says that a node is off.
    VouchOff(String),
}

/// What is done again, and when; and what cannot be.
#[derive(Clone, Debug, Default)]
pub struct Schedule {
    /// When, after the start; and what.
    pub acts: Vec<(Duration, Act)>,
    /// The journal's nodes, in the order in which it names them.
    pub nodes: Vec<String>,
    /// What cannot be done again.
    pub left_out: Vec<String>,
    last: Duration,
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "What is done again, of what the journal tells:")?;
        for (at, act) in &self.acts {
            writeln!(f, "{:>10.1} s  {act:?}", at.as_secs_f64())?;
        }
        for left_out in &self.left_out {
            writeln!(f, "  left out: {left_out}")?;
        }
        Ok(())
    }
}

impl Schedule {
    /// How long it takes.
    pub fn length(&self) -> Duration {
        let away = |(at, act): &(Duration, Act)| match act {
            Act::NodeAway { length, .. } => *at + *length,
            _ => *at,
        };
        self.acts.iter().map(away).max().unwrap_or_default().max(self.last) + TAIL
    }

    pub(super) fn of(journal: &Journal) -> Self {
        let mut schedule = Self::default();
        let mut places: BTreeMap<String, String> = BTreeMap::new();
        for (index, (at, entry)) in journal.entries.iter().enumerate() {
            let at = BEGIN + Duration::from_millis(*at);
            schedule.last = at;
            match entry.kind.as_str() {
                "operation-accepted" => schedule.operation(journal, at, entry),
                "node-changed" => schedule.node(&journal.entries[index..], at, entry, &places),
                "repaired" => schedule.repair(at, entry),
                "bound" => schedule.bound(entry, &mut places),
                "operation-step" | "operation-ended" | "member-changed" | "secret-shown" => {}
                other => schedule.left_out.push(format!("an event of a kind that is not known: {other}")),
            }
        }
        schedule.acts.sort_by_key(|(at, _)| *at);
        schedule
    }

    fn knows(&mut self, node: &str) {
        if !self.nodes.iter().any(|known| known == node) {
            self.nodes.push(node.to_owned());
        }
    }

    fn operation(&mut self, journal: &Journal, at: Duration, entry: &Entry) {
        let kind = entry.message.split(' ').next().unwrap_or_default();
        if kind == "recover" {
            // The servers do that by themselves.
            return;
        }
        let steps: Vec<&Entry> = journal.entries.iter().map(|(_, entry)| entry).collect();
        let steps = steps.into_iter().filter(|step| step.kind == "operation-step" && step.operation == entry.operation);
        let steps: Vec<&Entry> = steps.collect();
        let service = entry.service.as_deref().and_then(|name| name.parse::<ServiceName>().ok());
        match (service, change(kind, &steps, self.acts.len())) {
            (Some(service), Some(change)) => self.acts.push((at, Act::Change(service, Box::new(change)))),
            _ => self.left_out.push(format!("{}: what it was to change is not told", entry.message)),
        }
    }

    fn node(&mut self, rest: &[(u64, Entry)], at: Duration, entry: &Entry, places: &BTreeMap<String, String>) {
        let message = entry.message.as_str();
        let word_after_node = message.split(' ').skip_while(|word| *word != "node").nth(1);
        let Some(node) = word_after_node.map(str::to_owned) else {
            return self.left_out.push(message.to_owned());
        };
        self.knows(&node);
        if message.contains("is lost") {
            self.acts.push(away(rest, at, &node, places));
        } else if message.contains("in a new life") {
            let missed = self.acts.iter().any(|(from, act)| match act {
                Act::NodeAway { node: of, length, .. } => *of == node && *from + *length + NOTICED_AFTER * 2 >= at,
                _ => false,
            });
            if !missed {
                let held = held(places, &node);
                let act = Act::NodeAway { node, held, power: true, length: SHORT };
                self.acts.push((at.saturating_sub(SHORT + BACK_BEFORE), act));
            }
        } else if message.ends_with("is drained") {
            self.acts.push((at, Act::Drain(node, true)));
        } else if message.ends_with("takes members again") {
            self.acts.push((at, Act::Drain(node, false)));
        } else if message.starts_with("an operator said") {
            self.acts.push((at, Act::VouchOff(node)));
        } else if !(message.ends_with("joined") || message.ends_with("is back")) {
            self.left_out.push(message.to_owned());
        }
    }

    fn repair(&mut self, at: Duration, entry: &Entry) {
        let member = entry.member.as_ref().and_then(|member| member.parse::<MemberName>().ok());
        match member {
            Some(member) if entry.message.contains("was started") => {
                self.acts.push((at.saturating_sub(NOTICED_AFTER), Act::Kill(member)));
            }
            // A former container was removed: that follows from what befell its node.
            _ => {}
        }
    }

    fn bound(&mut self, entry: &Entry, places: &mut BTreeMap<String, String>) {
        let held = entry.message.split_once(" is held by node ").and_then(|(_, rest)| rest.split(' ').next());
        if let (Some(member), Some(node)) = (&entry.member, held) {
            self.knows(node);
            places.insert(member.clone(), node.to_owned());
        }
    }
}

fn held(places: &BTreeMap<String, String>, node: &str) -> Vec<MemberName> {
    places.iter().filter(|(_, place)| *place == node).filter_map(|(member, _)| member.parse().ok()).collect()
}

/// What made a node be missed, from what is told of it until it is back.
fn away(rest: &[(u64, Entry)], at: Duration, node: &str, places: &BTreeMap<String, String>) -> (Duration, Act) {
    let lost = rest[0].0;
    let about = |entry: &Entry, what: &str| entry.message.starts_with(&format!("node {node} {what}"));
    let back = rest.iter().find(|(_, entry)| about(entry, "is back")).map(|(at, _)| *at);
    let end = back.unwrap_or_else(|| rest.last().map_or(lost, |(at, _)| *at));
    let until = Duration::from_millis(end + 2_000);
    let mut meanwhile = rest.iter().take_while(|(at, _)| Duration::from_millis(*at) <= until);
    let power = meanwhile.any(|(_, entry)| about(entry, "came back in a new life"));
    let from = at.saturating_sub(NOTICED_AFTER);
    let length = (NOTICED_AFTER + Duration::from_millis(end - lost)).saturating_sub(BACK_BEFORE).max(SHORT * 2);
    (from, Act::NodeAway { node: node.to_owned(), held: held(places, node), power, length })
}

/// What an operation changed, from its kind and its steps; events do not tell it in full.
fn change(kind: &str, steps: &[&Entry], number: usize) -> Option<Change> {
    let members: BTreeSet<&str> = steps.iter().filter_map(|step| step.member.as_deref()).collect();
    let one = || members.first().filter(|_| members.len() == 1).and_then(|member| member.parse().ok());
    let tells = |word: &str| steps.iter().any(|step| step.message.contains(word));
    let setting = |name: &str, value: String| {
        let settings = BTreeMap::from([(name.to_owned(), Some(value))]);
        Change::Configure { settings, options: BTreeMap::new() }
    };
    let number = u64::try_from(number).unwrap_or(0);
    Some(match kind {
        "create" => create(u16::try_from(members.len()).ok().filter(|count| *count > 0)?),
        "delete" => {
            let volumes = if tells("keep ") { VolumeFate::Keep } else { VolumeFate::Delete };
            Change::Delete { volumes }
        }
        "stop" => Change::Stop,
        "start" => Change::Start,
        "restart" => Change::Restart { member: one() },
        "configure" if tells("restart ") => setting("max_connections", format!("{}", 20 + number % 80)),
        "configure" => setting("work_mem", format!("{}MB", 4 + number % 60)),
        "grow" => Change::Grow { data: ByteSize::gib(2 + number), journal: None },
        "move" => Change::Move { member: one()?, to: None },
        _ => return None,
    })
}
