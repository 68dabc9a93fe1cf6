//! `openmanage-sim mutations`: hunts for every deliberate bug, and tells which seed finds it.

use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only the mutation of that name
    #[arg(long)]
    only: Option<String>,
    /// How many seeds each may take
    #[arg(long, default_value_t = 300)]
    seeds: u64,
}

#[cfg(not(feature = "mutations"))]
pub(crate) fn all(arguments: &Arguments) -> ExitCode {
    let only = arguments.only.as_ref().map(|name| format!(" --only {name}")).unwrap_or_default();
    eprintln!("this build has no mutations in it; one that has:");
    eprintln!("    cargo run -p openmanage-sim --features mutations -- mutations --seeds {}{only}", arguments.seeds);
    ExitCode::FAILURE
}

#[cfg(feature = "mutations")]
pub(crate) fn all(arguments: &Arguments) -> ExitCode {
    let chosen = match arguments.only.as_ref().map(|name| name.parse()).transpose() {
        Ok(only) => only.map_or_else(|| om_sim::mutations::Mutation::ALL.to_vec(), |only| vec![only]),
        Err(names) => {
            eprintln!("there is no such mutation; there are {names}");
            return ExitCode::FAILURE;
        }
    };
    let next = std::sync::atomic::AtomicUsize::new(0);
    let missed = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    println!("{:<28} {:>29}  violation", "mutation", "found by");
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(mutation) = chosen.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let hunt = om_sim::mutations::hunt(*mutation, 1, arguments.seeds);
                    tell(&hunt);
                    missed.fetch_add(usize::from(hunt.found.is_none()), std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    let missed = missed.into_inner();
    println!("{} of {} mutations found", chosen.len() - missed, chosen.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Plants the mutation of that name in what this thread runs from now on.
#[cfg(feature = "mutations")]
pub(crate) fn plant(name: &str) -> anyhow::Result<()> {
    let mutation = name.parse().map_err(|names| anyhow::anyhow!("there is no mutation {name}; there are {names}"))?;
    om_sim::mutations::plant(Some(mutation));
    Ok(())
}

#[cfg(not(feature = "mutations"))]
pub(crate) fn plant(name: &str) -> anyhow::Result<()> {
    anyhow::bail!(
        "this build has no mutations in it: cargo run -p openmanage-sim --features mutations -- replay … --planted {name}"
    )
}

#[cfg(feature = "mutations")]
fn tell(hunt: &om_sim::mutations::Hunt) {
    match &hunt.found {
        Some((seed, violation)) => println!("{:<28} {seed:>29}  {violation}", hunt.mutation.name()),
        None => println!("{:<28} NOT FOUND after {}: {}", hunt.mutation.name(), hunt.tried, hunt.mutation.wrong()),
    }
}
