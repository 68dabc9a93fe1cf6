//! Deliberate bugs, each hunted for until a seed finds it: what the simulator is worth.
//!
//! **Invariant:** a run with a mutation differs from the same seed's sound run only by what the mutation does; a seed on which the
//! sound code fails too finds nothing.

pub use om_model::mutation::Mutation;
pub use om_model::mutation::plant;

use crate::run::{Options, Outcome, run};
use crate::scenarios::{all, play};
use crate::storage::Kind;

/// With how many seeds each scenario is played where no seed of the common run finds a mutation.
const SCENARIO_SEEDS: u64 = 3;

/// What came of the hunt for one mutation.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The mutation.
    pub mutation: Mutation,
    /// How many seeds were tried.
    pub tried: u64,
    /// What found it (a seed, or a scenario), with the first violation of its run.
    pub found: Option<(String, String)>,
}

/// Runs `seeds` seeds from `from` with the mutation planted, until one of them finds it; then the scenarios.
pub fn hunt(mutation: Mutation, from: u64, seeds: u64) -> Hunt {
    let mut found = None;
    let mut tried = 0;
    for seed in from..from + seeds {
        tried += 1;
        if let Some(violation) = first_violation(seed, Some(mutation))
            && first_violation(seed, None).is_none()
        {
            found = Some((seed.to_string(), violation));
            break;
        }
    }
    Hunt { mutation, tried, found: found.or_else(|| by_scenario(mutation)) }
}

/// The scenario that finds it, if one does.
fn by_scenario(mutation: Mutation) -> Option<(String, String)> {
    let plays = all().flat_map(|scenario| [Kind::SharedFile, Kind::Nbd].map(|kind| (scenario, kind)));
    let mut plays = plays.flat_map(|(scenario, kind)| (1..=SCENARIO_SEEDS).map(move |seed| (scenario, kind, seed)));
    plays.find_map(|(scenario, kind, seed)| {
        let violation = under(Some(mutation), || play(scenario, kind, seed))?;
        let sound = under(None, || play(scenario, kind, seed)).is_none();
        sound.then(|| (scenario.name.to_owned(), violation))
    })
}

fn first_violation(seed: u64, mutation: Option<Mutation>) -> Option<String> {
    under(mutation, || run(&Options::new(seed)))
}

/// The first violation of a run with that mutation planted.
fn under(mutation: Option<Mutation>, run: impl FnOnce() -> Outcome) -> Option<String> {
    plant(mutation);
    let outcome = run();
    plant(None);
    outcome.violations.into_iter().next()
}
