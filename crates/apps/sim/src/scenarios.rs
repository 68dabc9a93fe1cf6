//! Scenarios by name: what befalls a cluster, told beforehand, and what must be so at the moments that matter.
//!
//! A [`Scenario`] is played on a [`Stage`]: a whole cluster in calm weather, with clients that write rows all the time. What
//! must always hold is checked all the time, as in every run; a scenario adds what must hold in its case: who moves, who is left
//! alone, within which time. Afterwards everything is mended, and all must be well again with nothing left over. Where each comes
//! from is in `docs/scenarios.md`.
//!
//! **Invariant:** what a scenario has planned comes: one whose fault was never met has failed.

mod intermediate;
mod leadership;
mod moments;
mod node_loss;
mod operator_loss;
mod partitions;
mod recovery;
mod requests;
mod stage;
mod stale_reads;
mod volumes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;

use crate::env::Env;
use crate::executor::Ended;
use crate::fleet::{Fleet, Size};
use crate::run::Outcome;
use crate::storage::Kind;

pub use stage::Stage;

/// Longer than any scenario.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);

/// A case that is told beforehand.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What happens, and what must be so.
    pub about: &'static str,
    /// Where others have it.
    pub source: &'static str,
    /// How large its cluster is, and how hasty; without, as users have it.
    pub size: Option<Size>,
    /// Plays it, up to where all is mended.
    pub run: fn(Stage) -> BoxFuture<'static, ()>,
}

/// The scenarios of a theme: each a function, by its name, with what it is about and where others have it.
macro_rules! scenarios {
    ($($name:ident: $about:literal, $source:literal;)*) => { super::scenarios! { None; $($name: $about, $source;)* } };
    ($size:expr; $($name:ident: $about:literal, $source:literal;)*) => {
        pub(super) const ALL: &[super::Scenario] = &[$(super::Scenario {
            name: stringify!($name),
            about: $about,
            source: $source,
            size: $size,
            run: |stage| Box::pin($name(stage)),
        }),*];
    };
}
use scenarios;

/// Every theme with its scenarios.
pub const THEMES: &[(&str, &[Scenario])] = &[
    ("leadership", leadership::ALL),
    ("operator_loss", operator_loss::ALL),
    ("node_loss", node_loss::ALL),
    ("partitions", partitions::ALL),
    ("recovery", recovery::ALL),
    ("intermediate", intermediate::ALL),
    ("stale_reads", stale_reads::ALL),
    ("volumes", volumes::ALL),
    ("requests", requests::ALL),
    ("moments", moments::ALL),
];

/// Every scenario.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    THEMES.iter().flat_map(|(_, scenarios)| scenarios.iter())
}

/// Plays a scenario to its end, on volumes of that kind, with all chance from `seed`.
pub fn play(scenario: &Scenario, kind: Kind, seed: u64) -> Outcome {
    let env = Env::new(seed);
    let fleet = Fleet::new(&env, kind, scenario.size.unwrap_or_default());
    env.note(|| format!("scenario {}, {kind:?}, seed {seed}", scenario.name));
    env.beside(fleet.clone().writers(Duration::MAX));
    let done = Arc::new(AtomicBool::new(false));
    let (told, stage, run) = (done.clone(), Stage::new(fleet.clone()), scenario.run);
    env.beside(async move {
        run(stage.clone()).await;
        stage.close().await;
        told.store(true, Ordering::SeqCst);
    });
    let broken = || !fleet.ledger.violations().is_empty();
    let ended = env.executor.run_until(PATIENCE, || done.load(Ordering::SeqCst) || broken());
    if ended != Ended::Reached {
        fleet.ledger.violated(&format!("the scenario did not come to its end: {ended:?}"));
    }
    let outcome = Outcome::of(seed, &fleet);
    fleet.clear();
    outcome
}
