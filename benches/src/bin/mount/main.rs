//! The volume plugin against Docker's own local driver: how long the engine takes to start the same sleeping container
//! with no volume, with a local volume, and with a member's volume (an ext4 image of its own, with the control tmpfs).
//!
//! The three are started in turn, `--rounds` times. Then the plugin is asked alone, as the engine asks it, and the parts
//! of its work that are programs of their own are run on the same image, to show what the time goes into.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use om_benches::containers::{self, Containers};
use om_benches::{Figures, Report, http, machine};
use om_tests::{World, docker};

/// What the plugin may add to a start, in milliseconds.
const AIM: f64 = 20.0;
const SERVICE: &str = "orders";

#[derive(Parser)]
#[command(about = "Compares starting a container on a member's volume with Docker's own volumes")]
struct Options {
    /// How often each container is started.
    #[arg(long, default_value_t = 30)]
    rounds: usize,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::need_release_program()?;
    let mut report = Report::begin("mount", "Mounting: our volume plugin against Docker's local driver");
    let world = World::start();
    let volume = stopped_member(&world)?;
    let containers = Containers::begin();
    let starts = starts(&world, &volume, &containers, options.rounds)?;
    drop(containers);
    let parts = parts(&world, &volume, options.rounds)?;
    // A name that Docker has seen stays in its list until it is told to forget it.
    let _ = docker::docker(&["volume", "rm", &volume]);
    world.call(&["delete", SERVICE, "--delete-volumes", "--yes"]).ok();
    tell(&mut report, &starts, &parts)?;
    report.print()
}

/// A service of one member, created (so that its volume has a real database on it) and stopped. The volume's name.
fn stopped_member(world: &World) -> Result<String> {
    world.create(SERVICE, 1);
    world.healthy(SERVICE, 1);
    world.call(&["stop", SERVICE]).ok();
    let service = world.json(&["get", SERVICE]);
    let id = service["id"].as_str().context("the service has no id")?;
    Ok(format!("{id}_{SERVICE}-0"))
}

fn driver(world: &World) -> String {
    format!("openmanage-{}", world.cluster)
}

/// Times to start, in milliseconds.
struct Starts {
    without: Figures,
    local: Figures,
    ours: Figures,
    /// Ours less local, of each round: what the machine does beside hits both.
    over: Figures,
}

fn starts(world: &World, volume: &str, containers: &Containers, rounds: usize) -> Result<Starts> {
    // Without a name and a driver it is a volume of Docker's local driver that goes with its container.
    let on_local = "type=volume,target=/volume";
    let on_ours = format!("type=volume,volume-driver={},source={volume},target=/volume", driver(world));
    let three = [
        containers.sleeper(&[])?,
        containers.sleeper(&["--mount", on_local])?,
        containers.sleeper(&["--mount", &on_ours])?,
    ];
    let mut took: [Vec<Duration>; 3] = Default::default();
    for round in 0..=rounds {
        for (container, took) in three.iter().zip(&mut took) {
            let time = containers::start(container)?;
            containers::stop(container)?;
            // The first round warms up.
            if round > 0 {
                took.push(time);
            }
        }
    }
    let over = took[2].iter().zip(&took[1]).map(|(ours, local)| (ours.as_secs_f64() - local.as_secs_f64()) * 1000.0);
    let over = Figures::of(over)?;
    let [without, local, ours] = took.map(Figures::millis);
    Ok(Starts { without: without?, local: local?, ours: ours?, over })
}

/// What the plugin's work consists of.
fn parts(world: &World, volume: &str, rounds: usize) -> Result<Vec<(&'static str, Figures)>> {
    let socket = PathBuf::from(format!("/run/docker/plugins/{}.sock", driver(world)));
    let image = world.state.join("volumes").join(format!("{volume}.img"));
    let (mut get, mut mount, mut unmount, mut check) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let request = serde_json::json!({ "Name": volume, "ID": format!("bench-{round}") }).to_string();
        for (call, took) in [("Get", &mut get), ("Mount", &mut mount), ("Unmount", &mut unmount)] {
            let began = Instant::now();
            http::once(&socket, "POST", &format!("/VolumeDriver.{call}"), &request)?;
            took.push(began.elapsed());
        }
        let began = Instant::now();
        let checked = Command::new("e2fsck").arg("-p").arg(&image).stdout(Stdio::null()).status();
        ensure!(checked.context("cannot run e2fsck")?.success(), "e2fsck found the volume damaged");
        check.push(began.elapsed());
    }
    Ok(vec![
        ("the plugin's answer to Get", Figures::millis(get)?),
        ("the plugin's answer to Mount", Figures::millis(mount)?),
        ("the plugin's answer to Unmount", Figures::millis(unmount)?),
        ("for comparison: `e2fsck -p` on the clean, unmounted image", Figures::millis(check)?),
    ])
}

fn tell(report: &mut Report, starts: &Starts, parts: &[(&'static str, Figures)]) -> Result<()> {
    let base = starts.local.median();
    let row = |name: &str, figures: &Figures| {
        let (median, p95) = (figures.median(), figures.percentile(95));
        let over = format!("{:+.1}", median - base);
        vec![name.to_owned(), format!("{median:.1}"), format!("{p95:.1}"), over, format!("{:.3}", median / base)]
    };
    let over = starts.over.median();
    let verdict = if over <= AIM { "reached" } else { "**missed**" };
    report.say(&format!(
        "How long the Docker engine takes to start the same container (`sleep`, no network) {} times each, in turn. \
         Local: a volume of Docker's own driver, a directory. Ours: a member's volume: an ext4 image behind a loop \
         device, with the control tmpfs, the member's configuration and secrets, and the member program in it; claimed \
         and published through the control database.",
        starts.ours.count()
    ));
    report.say(&format!("Aim: at most {AIM:.0} ms over the local driver. Measured: {over:.1} ms (median of the differences between the two of \
         each round): {verdict}."));
    let columns = ["start of a container", "median, ms", "p95, ms", "over local, ms", "ratio to local"];
    report.table(
        &columns,
        &[
            row("no volume", &starts.without),
            row("a volume of Docker's local driver", &starts.local),
            row("a member's volume through our plugin", &starts.ours),
        ],
    );
    report.say("The plugin alone, on the same volume:");
    let part = |(name, figures): &(&str, Figures)| {
        vec![(*name).to_owned(), format!("{:.2}", figures.median()), format!("{:.2}", figures.percentile(95))]
    };
    report.table(&["call", "median, ms", "p95, ms"], &parts.iter().map(part).collect::<Vec<_>>());
    Ok(())
}
