//! Control database: the built-in store against etcd, in the same run, on the same disk.
//!
//! Measured are durable conditional updates of 100-byte values (one client; 16 clients, each on keys of its own), gets,
//! and pages of 100 out of 10,000 records: closed loops, each client with one call at a time. Both stores are used
//! through the same contract. etcd is a process of its own and has core 0 to itself; the built-in store shares core 1
//! with the clients.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod measure;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use om_benches::{Report, etcd, machine};
use om_controldb::{ControlDb, Key};
use om_sqlite::SqliteDb;

use crate::measure::Measured;

/// Records there are while gets and pages are measured.
const RECORDS: usize = 10_000;
/// Bytes of a value.
const VALUE: usize = 100;

#[derive(Parser)]
#[command(about = "Compares the built-in control database with etcd")]
struct Options {
    /// How long each case runs, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Where both stores keep their files: a directory on the disk to be measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
}

fn main() -> Result<()> {
    let options = Options::parse();
    machine::pin_here(1)?;
    // One thread for the clients, as they have one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(&options))
}

async fn compare(options: &Options) -> Result<()> {
    let report = Report::begin("controldb", "Control database: the built-in store against etcd");
    let directory = tempfile::Builder::new().prefix("controldb-bench-").tempdir_in(&options.directory)?;
    let built_in: Arc<dyn ControlDb> = Arc::new(SqliteDb::open(directory.path().join("control.db"))?);
    let (etcd, _server) = etcd::start(directory.path(), 0).await?;
    let period = Duration::from_secs(options.seconds);
    let mut rows = Vec::new();
    for clients in [1, 16] {
        let case = format!("durable update, {clients} client{}", if clients == 1 { "" } else { "s" });
        rows.push((case, updates(&built_in, clients, period).await?, updates(&etcd, clients, period).await?));
    }
    for store in [&built_in, &etcd] {
        measure::fill(store, RECORDS, VALUE).await?;
    }
    rows.push(("get, 1 client".to_owned(), gets(&built_in, period).await?, gets(&etcd, period).await?));
    let case = format!("page of 100 of {RECORDS}, 1 client");
    rows.push((case, pages(&built_in, period).await?, pages(&etcd, period).await?));
    tell(report, options.seconds, &rows)
}

/// Each client updates its own record, over and over, at the revision it got last.
async fn updates(store: &Arc<dyn ControlDb>, clients: usize, period: Duration) -> Result<Measured> {
    let client = |number: usize| {
        let store = store.clone();
        async move {
            let key = Key::new(format!("updates/{clients}/{number}"))?;
            let mut revision = store.create(&key, &[0; VALUE]).await?;
            measure::repeat(period, async |turn: usize| {
                revision = store.update(&key, &revision, &[turn as u8; VALUE]).await?;
                Ok(())
            })
            .await
        }
    };
    measure::together((0..clients).map(client), period).await
}

async fn gets(store: &Arc<dyn ControlDb>, period: Duration) -> Result<Measured> {
    let client = measure::repeat(period, async |turn: usize| {
        let found = store.get(&measure::record_key(turn * 7919 % RECORDS)?).await?;
        anyhow::ensure!(found.is_some_and(|entry| entry.value.len() == VALUE), "a record is missing");
        Ok(())
    });
    measure::together([client], period).await
}

async fn pages(store: &Arc<dyn ControlDb>, period: Duration) -> Result<Measured> {
    let prefix = Key::new(measure::RECORDS_FOLDER)?;
    let client = measure::repeat(period, async |turn: usize| {
        let after = measure::record_key(turn * 100 % (RECORDS - 101))?;
        let page = store.list(&prefix, Some(&after), 100).await?;
        anyhow::ensure!(page.entries.len() == 100, "a page of {}", page.entries.len());
        Ok(())
    });
    measure::together([client], period).await
}

fn tell(mut report: Report, seconds: u64, rows: &[(String, Measured, Measured)]) -> Result<()> {
    report.say(&format!(
        "Durable conditional updates of {VALUE}-byte values, gets, and pages of 100 out of {RECORDS} records, through the \
         same contract, in the same run and on the same disk; closed loops of {seconds} s a case. etcd 3.4 (Debian 12) as a \
         single server, its defaults, on core 0; the built-in store shares core 1 with the clients."
    ));
    let ahead = rows.iter().all(|(_, ours, etcd)| ours.rate() > etcd.rate());
    let verdict = if ahead { "reached" } else { "**missed**" };
    report.say(&format!("Aim: ahead of etcd in every case: {verdict}."));
    let row = |(case, ours, etcd): &(String, Measured, Measured)| {
        let cells = [ours.to_string(), etcd.to_string(), format!("{:.1}", ours.rate() / etcd.rate())];
        std::iter::once(case.clone()).chain(cells).collect()
    };
    let ours = ["case", "built-in: op/s", "p50", "p99"];
    let columns = [&ours[..], &["etcd: op/s", "p50", "p99", "built-in ÷ etcd"]].concat();
    report.table(&columns, &rows.iter().map(row).collect::<Vec<Vec<String>>>());
    report.print()
}
