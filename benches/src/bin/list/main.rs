//! Listing and getting services over the HTTP API while there are 10,000 of them; beside the same pages from etcd, and
//! from the same SQLite file without any server.
//!
//! The real `openmanage up` runs on core 0 and the one client, on one connection, on core 1. The records are written into
//! the database while the server is down, as the control code writes them (service, its identity, three members, three
//! volumes); the services are stopped ones, since running ones would need 30,000 containers.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod peers;
mod records;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use om_benches::http::Client;
use om_benches::{Figures, Report, machine, process};
use om_tests::World;
use serde_json::Value;

/// What a page of 100 may take, in milliseconds.
const AIM: f64 = 20.0;
const SERVICES: usize = 10_000;
const PAGE: usize = 100;

#[derive(Parser)]
#[command(about = "Measures listings and gets with 10,000 services")]
struct Options {
    /// How long each case runs, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::need_release_program()?;
    let mut report = Report::begin("list", "Listing 10,000 services");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut world = World::start();
    world.stop_server();
    let database = world.state.join("controldb.sqlite");
    runtime.block_on(records::fill(&database, SERVICES))?;
    world.start_server();
    machine::pin_process(world.server_pid(), 0)?;
    machine::pin_here(1)?;
    let period = Duration::from_secs(options.seconds);
    // What the server does by itself with so many services, while nobody asks.
    let before = process::processor_time(world.server_pid())?;
    std::thread::sleep(period);
    let spent = process::processor_time(world.server_pid())? - before;
    let idle = 100.0 * spent.as_secs_f64() / period.as_secs_f64();
    let (pages, gets) = ours(&world, period)?;
    let resident = process::usage(world.server_pid())?.resident as f64 / 1e6;
    let sqlite = peers::sqlite(&database, period)?;
    let etcd = runtime.block_on(peers::etcd(&world.state, &database, period))?;
    tell(&mut report, &Measured { pages, gets, sqlite, etcd, idle, resident })?;
    report.print()
}

/// Times of pages and gets over the API, in milliseconds.
fn ours(world: &World, period: Duration) -> Result<(Figures, Figures)> {
    let token = std::fs::read_to_string(world.token_file()).context("cannot read the token")?;
    let mut client = Client::connect(&format!("127.0.0.1:{}", world.port()), token.trim())?;
    let mut ask = |path: &str| {
        let began = Instant::now();
        let body = client.call("GET", path, "")?;
        Ok::<_, anyhow::Error>((began.elapsed(), body))
    };
    let (mut pages, mut gets) = (Vec::new(), Vec::new());
    let began = Instant::now();
    while began.elapsed() < period {
        let (mut seen, mut after) = (0, None::<String>);
        loop {
            let cursor = after.map(|name| format!("&after={name}")).unwrap_or_default();
            let (took, body) = ask(&format!("/v1/services?limit={PAGE}{cursor}"))?;
            pages.push(took);
            let page: Value = serde_json::from_str(&body)?;
            seen += page["items"].as_array().map_or(0, Vec::len);
            after = page["next"].as_str().map(str::to_owned);
            if after.is_none() {
                break;
            }
        }
        ensure!(seen == SERVICES, "the pages hold {seen} services");
    }
    let began = Instant::now();
    while began.elapsed() < period {
        // 7919 has no factor in common with 10,000, so that all services come by.
        let name = records::name(gets.len() * 7919 % SERVICES);
        let (took, body) = ask(&format!("/v1/services/{name}"))?;
        ensure!(body.contains(&name), "the answer is another service: {body}");
        gets.push(took);
    }
    Ok((Figures::millis(pages)?, Figures::millis(gets)?))
}

struct Measured {
    pages: Figures,
    gets: Figures,
    sqlite: Figures,
    etcd: Figures,
    /// Per cent of a core that the server used while nobody asked.
    idle: f64,
    /// Megabytes.
    resident: f64,
}

fn tell(report: &mut Report, measured: &Measured) -> Result<()> {
    let Measured { pages, gets, sqlite, etcd, idle, resident } = measured;
    let verdict = if pages.percentile(99) <= AIM { "reached" } else { "**missed**" };
    report.say(
        "The real server over its built-in database with 10,000 services, 30,000 members and 30,000 volumes, written \
         into the database directly, as the control code writes them (the services are stopped ones). One client walks \
         the whole listing in pages of 100 over one connection, again and again, then gets single services. Server on \
         core 0, client on core 1. Peers: the same records in etcd 3.4 (Debian), on core 0, by its own protocol; and \
         SQLite alone: the same query on the same file in the client's own process, no server, no JSON.",
    );
    report.say(&format!(
        "Aim: a page within {AIM:.0} ms. Measured: {:.2} ms at the 99th percentile: {verdict}.",
        pages.percentile(99)
    ));
    let row = |name: &str, figures: &Figures| {
        let ratio = if name.starts_with("get") { "–".to_owned() } else { ratio(figures, pages) };
        let (_, most) = figures.range();
        let [p50, p99] = [50, 99].map(|percent| format!("{:.3}", figures.percentile(percent)));
        vec![name.to_owned(), figures.count().to_string(), p50, p99, format!("{most:.1}"), ratio]
    };
    report.table(
        &["one client", "calls", "p50, ms", "p99, ms", "max, ms", "our page ÷ this (p50)"],
        &[
            row("page of 100 of 10,000 over the API", pages),
            row("the same records from etcd", etcd),
            row("the same query on SQLite alone", sqlite),
            row("get of one service over the API", gets),
        ],
    );
    report.say(&format!(
        "With these records, and nobody asking, the server used {idle:.1} % of a core; after the run it had \
         {resident:.0} MB resident."
    ));
    Ok(())
}

fn ratio(of: &Figures, pages: &Figures) -> String {
    format!("{:.2}", pages.median() / of.median())
}
