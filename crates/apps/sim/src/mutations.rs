//! Deliberate bugs, each hunted for until a seed finds it: what the simulator is worth.
//!
//! **Invariant:** a run with a mutation differs from the same seed's sound run only by what the mutation does; a seed on which the
//! sound code fails too finds nothing.

pub use om_model::mutation::Mutation;
use om_model::mutation::plant;

use crate::run::{Options, run};

/// What came of the hunt for one mutation.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The mutation.
    pub mutation: Mutation,
    /// How many seeds were tried.
    pub tried: u64,
    /// The seed that found it, with the first violation of its run.
    pub found: Option<(u64, String)>,
}

/// Runs `seeds` seeds from `from` with the mutation planted, until one of them finds it.
pub fn hunt(mutation: Mutation, from: u64, seeds: u64) -> Hunt {
    let mut found = None;
    let mut tried = 0;
    for seed in from..from + seeds {
        tried += 1;
        if let Some(violation) = first_violation(seed, Some(mutation))
            && first_violation(seed, None).is_none()
        {
            found = Some((seed, violation));
            break;
        }
    }
    Hunt { mutation, tried, found }
}

fn first_violation(seed: u64, mutation: Option<Mutation>) -> Option<String> {
    plant(mutation);
    let outcome = run(&Options::new(seed));
    plant(None);
    outcome.violations.into_iter().next()
}
