//! Runs cases one after the other and reports them as cargo's own harness does, so that its summary can be read alike.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::World;

/// What cases are tried on, one after the other.
pub trait Scene {
    /// Sets it up.
    fn start() -> Self;

    /// Tells what it looks like now, after a failure.
    fn describe(&self);
}

/// A case: a sentence as a name, and what it does. A panic is a failure.
pub struct Case<S = World> {
    /// What holds, for example `a_killed_primary_comes_back_with_its_name_address_and_data`.
    pub name: &'static str,
    /// Finds out whether it holds.
    pub run: fn(&mut S),
}

/// The case that is the function named.
#[macro_export]
macro_rules! case {
    ($($path:ident)::+) => {
        $crate::Case { name: $crate::runner::last(stringify!($($path)::+)), run: $($path)::+ }
    };
}

/// The last part of a path; for [`case!`].
pub fn last(path: &'static str) -> &'static str {
    path.rsplit(':').next().unwrap_or(path).trim()
}

/// Runs those of `cases` whose names contain a word of the command line (all without one), in order, against one world;
/// then `finally`, whose cases end the world and look at what is left.
pub fn run<S: Scene>(cases: &[Case<S>], finally: &[Case<S>]) -> ExitCode {
    let filters: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.is_empty() && !word.starts_with('-')).collect();
    let wanted =
        |case: &&Case<S>| filters.is_empty() || filters.iter().any(|filter| case.name.contains(filter.as_str()));
    let chosen: Vec<&Case<S>> = cases.iter().filter(wanted).collect();
    if std::env::args().any(|word| word == "--list") {
        chosen.iter().for_each(|case| println!("{}: test", case.name));
        return ExitCode::SUCCESS;
    }
    let left_out = cases.len() - chosen.len();
    println!("\nrunning {} tests", chosen.len() + if chosen.is_empty() { 0 } else { finally.len() });
    if chosen.is_empty() {
        return report(0, &[], left_out + finally.len());
    }
    let mut world = S::start();
    let mut failed = Vec::new();
    for case in &chosen {
        run_one(case, &mut world, &mut failed);
    }
    for case in finally {
        run_one(case, &mut world, &mut failed);
    }
    report(chosen.len() + finally.len() - failed.len(), &failed, left_out)
}

fn run_one<S: Scene>(case: &Case<S>, world: &mut S, failed: &mut Vec<&'static str>) {
    let began = Instant::now();
    print!("test {} ... ", case.name);
    // The name is shown while the case runs, so that a case that hangs is seen.
    let _ = std::io::stdout().flush();
    let held = catch_unwind(AssertUnwindSafe(|| (case.run)(world))).is_ok();
    println!("{} ({:.1} s)", if held { "ok" } else { "FAILED" }, began.elapsed().as_secs_f64());
    if !held {
        failed.push(case.name);
        world.describe();
    }
}

fn report(passed: usize, failed: &[&str], left_out: usize) -> ExitCode {
    if !failed.is_empty() {
        println!("\nfailures:");
        failed.iter().for_each(|name| println!("    {name}"));
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let count = failed.len();
    println!(
        "\ntest result: {word}. {passed} passed; {count} failed; 0 ignored; 0 measured; {left_out} filtered out\n"
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
