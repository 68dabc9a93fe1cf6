//! Control database: the built-in store against etcd, in the same run, on the same disk.
//!
//! Measured are durable conditional updates of 100-byte values (one client; 16 clients, each on keys of its own), gets,
//! and pages of 100 out of 10,000 records: closed loops, each client with one call at a time. Both stores are used
//! through the same contract. etcd is a process of its own and may have a core of its own (`--etcd-core`); the built-in
//! store shares the core of the clients. Pin these with `taskset -c 1 controldb --etcd-core 0`.
//!
//! Prints a Markdown table with operations a second, the median, the 99th percentile, and the ratio.

#![allow(clippy::disallowed_methods, reason = "a benchmark measures real time")]

mod measure;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use om_controldb::{ControlDb, Key};

use crate::measure::Measured;

/// Records there are while gets and pages are measured.
const RECORDS: usize = 10_000;
/// Bytes of a value.
const VALUE: usize = 100;

#[derive(Parser)]
#[command(about = "Compares the built-in control database with etcd")]
struct Options {
    /// How long each case runs, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Where both stores keep their files: a directory on the disk to be measured.
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// The processor etcd runs on (with `taskset`); by default any.
    #[arg(long)]
    etcd_core: Option<usize>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    // One thread for the clients, as they have one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(&options))
}

async fn compare(options: &Options) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("controldb-bench-").tempdir_in(&options.directory)?;
    let built_in = stores::built_in(directory.path())?;
    let (etcd, _server) = stores::etcd(directory.path(), options.etcd_core).await?;
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
    print(&rows);
    Ok(())
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

fn print(rows: &[(String, Measured, Measured)]) {
    println!("| case | built-in: op/s | p50 | p99 | etcd: op/s | p50 | p99 | built-in ÷ etcd |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|");
    for (case, ours, etcd) in rows {
        println!("| {case} | {ours} | {etcd} | {:.1} |", ours.rate() / etcd.rate());
    }
}
