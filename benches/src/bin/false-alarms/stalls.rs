//! False alarms: a node's cable is pulled for less than the detection budget, again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use om_benches::fleets::interrupted;
use om_tests::eventually;
use om_tests::fleet::{Fleet, HEALTHY_WITHIN};

/// The detection budget of the cluster's servers, which are told no other.
pub(crate) fn budget() -> Duration {
    om_control::Detection::default().budget
}

/// Parts of the budget, in percent.
const PARTS: [u32; 3] = [25, 50, 75];
/// After a stall, until every agent hears the node again and no older answer counts any more.
const BETWEEN: Duration = Duration::from_millis(1200);
/// A node that was declared lost costs what follows from it, late too.
const AFTERMATH: Duration = Duration::from_secs(10);
/// What a server says when it declares a node lost, and an agent when its members pause.
const LOST: &str = " is lost: silent for ";
const LAPSED: &str = "the lease is not held";

/// What came of the stalls of one length.
#[derive(Clone, Copy, Default)]
pub(crate) struct Tally {
    /// How many there were.
    pub(crate) stalls: usize,
    /// How often a node was declared lost.
    pub(crate) lost: usize,
    /// How often a member got another holder.
    pub(crate) moves: u64,
    /// How often a node's lease lapsed, so that its databases paused.
    pub(crate) pauses: usize,
}

/// What came of all of them.
pub(crate) struct Stalls {
    /// By the part of the budget, in percent.
    pub(crate) tallies: [(u32, Tally); PARTS.len()],
    /// Whether there are leases at all.
    pub(crate) leases: bool,
}

impl Stalls {
    /// Nothing yet.
    pub(crate) fn none() -> Self {
        Self { tallies: PARTS.map(|part| (part, Tally::default())), leases: true }
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        self.tallies.iter().map(|(_, tally)| tally.stalls).sum()
    }

    /// Goes on until there were so many, the lengths in turn, and for each length the nodes in turn.
    ///
    /// # Panics
    /// If the cluster does not come back.
    pub(crate) fn inject(&mut self, fleet: &Fleet, count: usize) {
        self.leases = fleet.provider == om_tests::fleet::Provider::SharedFile;
        let mut logs = Logs::new(&fleet.hosts.logs());
        let mut epochs: u64 = epochs(fleet);
        let began = Instant::now();
        while self.count() < count && !interrupted() {
            let number = self.count();
            let (part, tally) = &mut self.tallies[number % PARTS.len()];
            let node = &fleet.hosts.nodes[number / PARTS.len() % fleet.hosts.nodes.len()];
            node.cut_link();
            std::thread::sleep(budget() * *part / 100);
            node.heal_link();
            std::thread::sleep(BETWEEN);
            let mut said = logs.new_lines(&[LOST, LAPSED]);
            if said[0] > 0 {
                std::thread::sleep(AFTERMATH);
                fleet.all_healthy();
                let more = logs.new_lines(&[LOST, LAPSED]);
                said.iter_mut().zip(more).for_each(|(said, more)| *said += more);
            }
            let now = self::epochs(fleet);
            tally.stalls += 1;
            tally.lost += said[0];
            tally.pauses += said[1];
            tally.moves += now - epochs;
            if said != [0, 0] || now != epochs {
                let words = format!("{} lost, {} moves, {} pauses", said[0], now - epochs, said[1]);
                eprintln!("stall {} of {count}, {part} % on {}: {words}", number + 1, node.name);
            } else if (number + 1).is_multiple_of(50) {
                eprintln!("stall {} of {count}, after {:.0} s", number + 1, began.elapsed().as_secs_f64());
            }
            epochs = now;
        }
        // A move that was decided last would show by now.
        fleet.all_healthy();
    }
}

/// All members' epochs together: rises by one with every move.
fn epochs(fleet: &Fleet) -> u64 {
    eventually(HEALTHY_WITHIN, "a server tells the members' epochs", || {
        let members = fleet.members()?;
        let epochs: Option<Vec<u64>> = members.iter().map(|member| member["epoch"].as_u64()).collect();
        epochs.map(|epochs| epochs.iter().sum()).ok_or_else(|| "no epoch".to_owned())
    })
}

/// The programs' logs, read as they grow.
struct Logs {
    folder: PathBuf,
    read: BTreeMap<PathBuf, usize>,
}

impl Logs {
    /// What is there by now is not looked at.
    fn new(folder: &Path) -> Self {
        let mut logs = Self { folder: folder.to_owned(), read: BTreeMap::new() };
        logs.new_lines(&[]);
        logs
    }

    /// How many new lines contain each of these words.
    fn new_lines<const N: usize>(&mut self, wanted: &[&str; N]) -> [usize; N] {
        let mut found = [0; N];
        for entry in std::fs::read_dir(&self.folder).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if !name.ends_with("-server.log") && !name.ends_with("-agent.log") {
                continue;
            }
            let content = std::fs::read(&path).unwrap_or_default();
            // A line that is not whole yet is for the next look.
            let end = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let from = self.read.insert(path, end).unwrap_or(0).min(end);
            for line in String::from_utf8_lossy(&content[from..end]).lines() {
                found.iter_mut().zip(wanted).for_each(|(found, word)| *found += usize::from(line.contains(word)));
            }
        }
        found
    }
}
