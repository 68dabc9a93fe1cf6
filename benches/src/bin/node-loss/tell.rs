//! The page.

use anyhow::Result;
use om_benches::{Figures, Report};
use om_tests::fleet::Provider;

use crate::plain::{PeerRun, Setting};
use crate::run::{ADDRESS, CONTAINER, MOMENTS, NAME, Role, Run, WRITE};

/// Seconds until the container runs and the name answers: median and worst.
const AIM: (f64, f64) = (4.0, 6.0);
/// Seconds over what Swarm itself needs, where its leader is lost too.
const AIM_OVER_SWARM: f64 = 2.0;

/// All that was measured.
pub(crate) struct Measured {
    pub(crate) ours: Vec<Ours>,
    pub(crate) peers: Vec<Peer>,
}

/// One provider's runs.
pub(crate) struct Ours {
    pub(crate) provider: Provider,
    pub(crate) runs: Vec<Run>,
    pub(crate) failures: Vec<String>,
}

/// The peer's runs with one of its settings.
pub(crate) struct Peer {
    pub(crate) setting: Setting,
    pub(crate) runs: Vec<PeerRun>,
    pub(crate) failures: Vec<String>,
}

/// Whether the lost node was Swarm's leader too; the two are very different for Swarm, and told apart everywhere.
const LEADER: [(bool, &str); 2] = [(false, ""), (true, ", Swarm's leader lost too")];

/// Adds all of it to the page.
///
/// # Errors
/// None: figures are of runs that are there.
pub(crate) fn tell(report: &mut Report, measured: &Measured) -> Result<()> {
    report.say(&format!(
        "PostgreSQL with three members on three nodes, each a host of its own with a Docker engine, all in one Swarm, with etcd, \
         a server and an agent on every node. A client commits a row every 20 ms. Then the node that holds the primary \
         loses its power: its network and storage are gone at once, and what it had not flushed with them. Seconds from \
         there, median / worst. Lost: the servers declare the node lost (budget {:.1} s). Claimed, fenced, mounted and published: the \
         protocol's steps, as the control database sees them. Container runs: on the other node, by its engine. Address: \
         the member's address answers the client again. Name: both name servers that are left answer with it. First \
         write: the client's next acknowledged row; after a failure the client pauses 50 ms and gives a new connection up to 2 s.",
        om_control::Detection::default().budget.as_secs_f64()
    ));
    tell_moments(report, measured)?;
    tell_aim(report, measured)?;
    tell_peers(report, measured)?;
    tell_rows(report, measured);
    tell_failures(report, measured);
    Ok(())
}

fn cell(values: impl IntoIterator<Item = f64>) -> Result<String> {
    let figures = Figures::of(values)?;
    Ok(format!("{:.2} / {:.2}", figures.median(), figures.range().1))
}

fn of_leader(ours: &Ours, leader: bool) -> Vec<&Run> {
    ours.runs.iter().filter(|run| run.also.contains(&Role::Swarm) == leader).collect()
}

fn peers_of_leader(peer: &Peer, leader: bool) -> Vec<&PeerRun> {
    peer.runs.iter().filter(|run| run.leader == leader).collect()
}

fn tell_moments(report: &mut Report, measured: &Measured) -> Result<()> {
    let mut rows = Vec::new();
    for ours in &measured.ours {
        for (leader, words) in LEADER {
            let runs = of_leader(ours, leader);
            if runs.is_empty() {
                continue;
            }
            let mut row = vec![format!("{}{words}", ours.provider.as_str()), runs.len().to_string()];
            for moment in 0..MOMENTS.len() {
                row.push(cell(runs.iter().map(|run| run.after[moment]))?);
            }
            rows.push(row);
        }
    }
    for peer in &measured.peers {
        for (leader, words) in LEADER {
            let runs = peers_of_leader(peer, leader);
            if runs.is_empty() {
                continue;
            }
            let mut row = vec![format!("{}{words}", peer.setting), runs.len().to_string()];
            row.resize(2 + MOMENTS.len(), "–".to_owned());
            row[2 + CONTAINER] = cell(runs.iter().map(|run| run.container))?;
            row[2 + WRITE] = cell(runs.iter().map(|run| run.write))?;
            rows.push(row);
        }
    }
    report.table(&[&["seconds, median / worst", "runs"], &MOMENTS[..]].concat(), &rows);
    Ok(())
}

/// Seconds until the container ran and the name answered at its address.
fn back(run: &Run) -> f64 {
    run.after[CONTAINER].max(run.after[ADDRESS]).max(run.after[NAME])
}

fn tell_aim(report: &mut Report, measured: &Measured) -> Result<()> {
    let verdict = |reached: bool| if reached { "reached" } else { "**missed**" };
    for ours in &measured.ours {
        let provider = ours.provider.as_str();
        let usual = of_leader(ours, false);
        if !usual.is_empty() {
            let figures = Figures::of(usual.into_iter().map(back))?;
            let (median, worst) = (figures.median(), figures.range().1);
            let reached = verdict(median <= AIM.0 && worst <= AIM.1);
            report.say(&format!(
                "Aim, `{provider}`: container running and name answering in at most {:.0} s (median) and {:.0} s (worst). \
                 Measured: {median:.2} s and {worst:.2} s: {reached}.",
                AIM.0, AIM.1
            ));
        }
        let swarms = measured.peers.iter().find(|peer| peer.setting == Setting::Fastest);
        let swarms = swarms.map(|peer| peers_of_leader(peer, true)).unwrap_or_default();
        let led = of_leader(ours, true);
        if !led.is_empty() && !swarms.is_empty() {
            let median = Figures::of(led.into_iter().map(back))?.median();
            let swarm = Figures::of(swarms.iter().map(|run| run.container))?.median();
            let reached = verdict(median <= swarm + AIM_OVER_SWARM);
            report.say(&format!(
                "Aim, `{provider}`, where the lost node was Swarm's leader too: at most {AIM_OVER_SWARM:.0} s over what Swarm \
                 itself needs (fastest settings, median {swarm:.2} s). Measured: {median:.2} s (median): {reached}."
            ));
        }
    }
    Ok(())
}

fn tell_peers(report: &mut Report, measured: &Measured) -> Result<()> {
    let mut rows = Vec::new();
    for ours in &measured.ours {
        for peer in &measured.peers {
            for (leader, words) in LEADER {
                let (own, theirs) = (of_leader(ours, leader), peers_of_leader(peer, leader));
                if own.is_empty() || theirs.is_empty() {
                    continue;
                }
                let ratio = |own: f64, theirs: f64| format!("{:.2}", own / theirs);
                let container = Figures::of(own.iter().map(|run| run.after[CONTAINER]))?.median();
                let write = Figures::of(own.iter().map(|run| run.after[WRITE]))?.median();
                rows.push(vec![
                    format!("{} to {}{words}", ours.provider.as_str(), peer.setting),
                    ratio(container, Figures::of(theirs.iter().map(|run| run.container))?.median()),
                    ratio(write, Figures::of(theirs.iter().map(|run| run.write))?.median()),
                ]);
            }
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    report.say(
        "The peer is the same PostgreSQL image as one service of plain Swarm in the same hosts, its data a folder on the \
         shared storage. **It fences nobody**: after a mere cut of the network two servers would write into that folder. Its \
         client asks only the nodes that are left. Fastest: heartbeat 1 s, restart delay 0. Ratios of the medians (below 1, we are faster):",
    );
    report.table(&["ratio", "container runs", "first write"], &rows);
    Ok(())
}

fn tell_rows(report: &mut Report, measured: &Measured) {
    for ours in measured.ours.iter().filter(|ours| !ours.runs.is_empty()) {
        let provider = ours.provider.as_str();
        let rows: usize = ours.runs.iter().map(|run| run.rows).sum();
        let count = |role: Role| ours.runs.iter().filter(|run| run.also.contains(&role)).count();
        let wrong: Vec<&str> = ours.runs.iter().filter_map(|run| run.wrong_rows.as_deref()).collect();
        let overlaps: Vec<&str> = ours.runs.iter().filter_map(|run| run.overlaps.as_deref()).collect();
        let none = |found: &[&str], what: &str| match found {
            [] => format!("no {what}"),
            some => format!("**{what}, in {} runs: {}**", some.len(), some.join("; ")),
        };
        let took = ours.runs.iter().map(|run| run.took.as_secs_f64()).sum::<f64>() / ours.runs.len() as f64;
        report.say(&format!(
            "`{provider}`: of {rows} acknowledged rows, {}; {}. The lost node was also Swarm's leader in {} of {} runs, \
             ran the leading server in {}, was etcd's leader in {}. A run takes {took:.0} s with what comes before and after.",
            none(&wrong, "row lost or there twice"),
            none(&overlaps, "two writers at a time"),
            count(Role::Swarm),
            ours.runs.len(),
            count(Role::Server),
            count(Role::Etcd),
        ));
    }
}

fn tell_failures(report: &mut Report, measured: &Measured) {
    let of_ours = measured.ours.iter().map(|ours| (ours.provider.as_str().to_owned(), &ours.failures));
    let of_peers = measured.peers.iter().map(|peer| (peer.setting.to_string(), &peer.failures));
    for (part, failures) in of_ours.chain(of_peers) {
        for failure in failures {
            let first = failure.lines().next().unwrap_or_default();
            report.say(&format!("**Not measured, {part}: a run did not come to its end: {first}**"));
        }
    }
}
