//! What an idle OpenManage costs: memory and processor time of the one `openmanage up` process while a service of three
//! members runs and nobody asks for anything; beside dockerd's and containerd's in the same minute.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use om_benches::process::{self, Usage};
use om_benches::{Report, machine};
use om_tests::World;

/// Aims: resident memory in megabytes, and per cent of one core.
const AIM_MEMORY: f64 = 30.0;
const AIM_PROCESSOR: f64 = 1.0;
/// What creating the service stirred up comes to rest.
const SETTLE: Duration = Duration::from_secs(15);
const SERVICE: &str = "orders";

#[derive(Parser)]
#[command(about = "Measures the idle server with a service of three members")]
struct Options {
    /// For how long, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// Processes of one name, over the period.
struct Cost {
    name: &'static str,
    after: Usage,
    /// Per cent of one core.
    processor: f64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::need_release_program()?;
    let mut report = Report::begin("idle", "An idle OpenManage");
    let world = World::start();
    world.create(SERVICE, 3);
    world.healthy(SERVICE, 3);
    std::thread::sleep(SETTLE);
    let costs = measure(&world, Duration::from_secs(options.seconds))?;
    world.call(&["delete", SERVICE, "--delete-volumes", "--yes"]).ok();
    tell(&mut report, &costs, options.seconds);
    report.print()
}

fn measure(world: &World, period: Duration) -> Result<Vec<Cost>> {
    let only = |name: &str| process::named(name).first().copied().with_context(|| format!("no process {name}"));
    let processes = [
        ("`openmanage up`: server, agent, name server", world.server_pid()),
        ("`dockerd`", only("dockerd")?),
        ("`containerd`", only("containerd")?),
    ];
    let began = Instant::now();
    let before = processes.map(|(_, pid)| process::usage(pid));
    std::thread::sleep(period);
    let mut costs = Vec::new();
    for ((name, pid), before) in processes.into_iter().zip(before) {
        let after = process::usage(pid)?;
        let spent = after.processor.saturating_sub(before?.processor);
        costs.push(Cost { name, after, processor: 100.0 * spent.as_secs_f64() / began.elapsed().as_secs_f64() });
    }
    Ok(costs)
}

fn tell(report: &mut Report, costs: &[Cost], seconds: u64) {
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let ours = &costs[0];
    let verdict = |reached: bool| if reached { "reached" } else { "**missed**" };
    let memory = megabytes(ours.after.resident);
    report.say(&format!(
        "One process serves the API, DNS and the volume plugin and looks after one PostgreSQL service of three members. \
         Nobody asks for anything for {seconds} s. Other containers may run on the same engine; dockerd and containerd \
         are there without us too, and are no peers, only a measure."
    ));
    report.say(&format!(
        "Aims: at most {AIM_MEMORY:.0} MB resident: measured {memory:.1} MB, {}; less than {AIM_PROCESSOR:.0} % of a core: \
         measured {:.2} %, {}.",
        verdict(memory <= AIM_MEMORY),
        ours.processor,
        verdict(ours.processor < AIM_PROCESSOR)
    ));
    let row = |cost: &Cost| {
        let memory = megabytes(cost.after.resident);
        let own = megabytes(cost.after.anonymous);
        let ratio = memory / megabytes(ours.after.resident);
        vec![
            cost.name.to_owned(),
            format!("{memory:.1}"),
            format!("{own:.1}"),
            format!("{:.2}", cost.processor),
            format!("{ratio:.2}"),
        ]
    };
    let columns = ["process", "resident, MB", "of it allocated, MB", "processor, % of a core", "resident ÷ ours"];
    report.table(&columns, &costs.iter().map(row).collect::<Vec<_>>());
}
