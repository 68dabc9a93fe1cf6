//! Journals of clusters are run again.

use std::path::PathBuf;
use std::time::Duration;

use om_sim::fleet::users::create;
use om_sim::fleet::{Mishap, node};
use om_sim::journal::{Act, Journal, Replay, replayed};
use om_sim::run::{Options, play};
use om_sim::storage::Kind;
use om_sim::weather::Rates;

fn is_well(replay: &Replay) {
    assert_eq!(replay.outcome.violations, Vec::<String>::new(), "{}", replay.comparison);
}

/// A simulated cluster's journal: a machine with a member loses its power, and gets it again.
fn simulated_journal(seed: u64, storage: Kind) -> Journal {
    let options =
        Options { storage: Some(storage), rates: Rates::CALM, storm: Duration::from_secs(70), ..Options::new(seed) };
    let outcome = play(&options, |fleet| {
        let fleet = fleet.clone();
        fleet.env.clone().beside(async move {
            fleet.env.sleep(Duration::from_secs(6)).await;
            fleet.carry(create(2), "create".to_owned()).await;
            fleet.env.sleep(Duration::from_secs(10)).await;
            let mut busy = fleet.town.machines().into_iter().filter(|machine| !machine.containers().is_empty());
            let machine = busy.next().or_else(|| fleet.town.machine(&node("n1"))).expect("three machines");
            fleet.clone().befall(Mishap::PowerOff, machine, Duration::from_secs(25)).await;
        });
    });
    assert_eq!(outcome.violations, Vec::<String>::new(), "the incident itself breaks nothing");
    Journal::noted(&outcome.events).expect("events")
}

#[test]
fn a_journal_that_the_simulator_wrote_is_run_again() {
    for storage in [Kind::SharedFile, Kind::Nbd] {
        let text = simulated_journal(11, storage).text();
        let journal = Journal::read(&text).expect("its own journal");
        let schedule = journal.schedule();
        let away = |(_, act): &(Duration, Act)| matches!(act, Act::NodeAway { power: true, .. });
        assert!(schedule.acts.iter().any(away), "no loss of power was concluded: {schedule}\n{text}");
        let replay = replayed(&journal, &Options { storage: Some(storage), ..Options::new(5) });
        is_well(&replay);
        assert!(!replay.comparison.recoveries().is_empty(), "nothing was recovered: {text}");
        assert!(replay.comparison.same_recoveries(), "{schedule}{}", replay.comparison);
        assert!(replay.outcome.rows > 0, "clients wrote nothing");
    }
}

#[test]
fn a_journal_runs_the_same_every_time() {
    let journal = simulated_journal(12, Kind::Nbd);
    let options = Options { storage: Some(Kind::Nbd), ..Options::new(7) };
    assert_eq!(replayed(&journal, &options).outcome.trace, replayed(&journal, &options).outcome.trace);
}

#[test]
fn every_committed_journal_is_run_again() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/journals");
    for file in std::fs::read_dir(folder).expect("the folder is there") {
        let path = file.expect("it can be read").path();
        if path.extension().is_none_or(|kind| kind != "jsonl") {
            continue;
        }
        let journal = Journal::read(&std::fs::read_to_string(&path).expect("text")).expect("a journal");
        for storage in [Kind::SharedFile, Kind::Nbd] {
            let replay = replayed(&journal, &Options { storage: Some(storage), ..Options::new(1) });
            println!("{} over {storage:?}\n{}", path.display(), replay.comparison);
            is_well(&replay);
            assert!(replay.comparison.same_recoveries(), "{}", replay.comparison);
        }
    }
}
