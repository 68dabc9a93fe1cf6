//! Making a cluster where there is none: initialising on the primary, copying from it on a standby; and reading the
//! control data of the one that is there.

use std::collections::BTreeMap;
use std::time::Duration;

use super::layout::{self, CLUSTER, JOURNAL, STANDBY_SIGNAL, STATE, SUPERUSER};
use super::remote;
use super::state::State;
use crate::member::{JOURNAL_MOUNT, MemberConfig};
use crate::script::Hands;

/// Longest initialisation.
const INITIALISE_WITHIN: Duration = Duration::from_secs(600);
/// Longest copy: days, for volumes of terabytes; a dead connection is noticed in seconds.
const COPY_WITHIN: Duration = Duration::from_secs(7 * 24 * 3600);
/// Longest run of a program that only reads a file.
const LOOK_WITHIN: Duration = Duration::from_secs(30);

/// Brings the volume to a complete cluster, if it is not that already, and tells its state.
pub(super) async fn ensure(hands: &Hands, config: &MemberConfig) -> Result<State, String> {
    let state = State::read(hands).await?;
    let version = hands.read(&format!("{CLUSTER}/PG_VERSION")).await?;
    match (&state, version) {
        (State::Seeded { .. } | State::Proven { .. }, Some(version)) => {
            check_version(config, &version)?;
            check_role(hands, config).await?;
            Ok(state)
        }
        // A standby's cluster is a copy, and can be made again.
        (State::Seeded { .. } | State::Proven { .. }, None) if !config.is_primary() => seed(hands, config).await,
        (State::Seeded { .. } | State::Proven { .. }, None) => Err(format!(
            "{STATE} says that the cluster is complete, but {CLUSTER} holds none: nothing is initialised over lost data; \
             restore the volume, or remove {STATE} to begin with an empty database"
        )),
        (State::Absent, Some(version)) => {
            // Somebody else's complete cluster, put here by hand: taken as it is.
            check_version(config, &version)?;
            check_role(hands, config).await?;
            let state = State::Seeded { system: system_identifier(hands, config).await? };
            state.write(hands).await?;
            Ok(state)
        }
        (State::Absent, None) | (State::Seeding, _) if config.is_primary() => initialise(hands, config).await,
        (State::Absent, None) | (State::Seeding, _) => seed(hands, config).await,
    }
}

fn check_version(config: &MemberConfig, found: &str) -> Result<(), String> {
    if found.trim() == config.version {
        return Ok(());
    }
    Err(format!("the volume holds a cluster of PostgreSQL {}, not {}: use that version", found.trim(), config.version))
}

/// A cluster that followed a primary must not simply begin to accept writes: it may lack acknowledged ones.
async fn check_role(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let follows = hands.read(STANDBY_SIGNAL).await?.is_some();
    match (config.is_primary(), follows) {
        (true, true) => Err(format!(
            "{} is chosen as the primary, but its volume holds a standby's cluster: choose the former primary",
            config.member
        )),
        (false, false) => hands.write(STANDBY_SIGNAL, "", 0o600).await,
        _ => Ok(()),
    }
}

/// Makes an empty cluster. Called only if none was ever completed here.
async fn initialise(hands: &Hands, config: &MemberConfig) -> Result<State, String> {
    hands.report("initialising an empty database").await;
    clear(hands, config).await?;
    let password = MemberConfig::secret_path(SUPERUSER);
    hands.grant(&password, 0o640).await?;
    let pwfile = format!("--pwfile={password}");
    let waldir = format!("--waldir={JOURNAL}");
    let mut arguments = vec![
        "--pgdata",
        CLUSTER,
        "--username",
        SUPERUSER,
        &pwfile,
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=peer",
        "--auth-host=scram-sha-256",
    ];
    if config.volumes.journal.is_some() {
        arguments.push(&waldir);
    }
    let ran = hands.run(&layout::program(config, "initdb", &arguments), INITIALISE_WITHIN).await?;
    if ran.code != 0 {
        return Err(format!("initdb failed with code {}: {}", ran.code, ran.stderr.trim()));
    }
    complete(hands, config).await
}

/// Copies the primary's cluster, once it answers. What was here is lost: callers make sure that it is only a copy.
pub(super) async fn seed(hands: &Hands, config: &MemberConfig) -> Result<State, String> {
    remote::await_primary(hands, config).await?;
    clear(hands, config).await?;
    remote::renew_slot(hands, config).await?;
    let primary = layout::primary(config)?;
    hands.report(format!("copying the database from {}", primary.name)).await;
    let (slot, conninfo) = (layout::slot(&config.member), layout::conninfo(config, primary));
    let waldir = format!("--waldir={JOURNAL}");
    let mut arguments = vec![
        "--pgdata",
        CLUSTER,
        "--dbname",
        &conninfo,
        "--slot",
        &slot,
        "--wal-method=stream",
        "--checkpoint=fast",
        "--no-password",
    ];
    if config.volumes.journal.is_some() {
        arguments.push(&waldir);
    }
    let ran = hands.run(&layout::program(config, "pg_basebackup", &arguments), COPY_WITHIN).await?;
    if ran.code != 0 {
        return Err(format!("copying from {} failed with code {}: {}", primary.name, ran.code, ran.stderr.trim()));
    }
    hands.write(STANDBY_SIGNAL, "", 0o600).await?;
    complete(hands, config).await
}

/// Notes that the cluster is worth nothing now, and makes room.
async fn clear(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    State::Seeding.write(hands).await?;
    hands.make_dir(CLUSTER, 0o700).await?;
    hands.empty_dir(CLUSTER).await?;
    if config.volumes.journal.is_some() {
        hands.grant(JOURNAL_MOUNT, 0o750).await?;
        hands.make_dir(JOURNAL, 0o700).await?;
        hands.empty_dir(JOURNAL).await?;
    }
    Ok(())
}

async fn complete(hands: &Hands, config: &MemberConfig) -> Result<State, String> {
    let state = State::Seeded { system: system_identifier(hands, config).await? };
    state.write(hands).await?;
    Ok(state)
}

/// The identifier that `initdb` gave the cluster and all its copies.
async fn system_identifier(hands: &Hands, config: &MemberConfig) -> Result<String, String> {
    let data = control_data(hands, config).await?;
    data.get("Database system identifier").cloned().ok_or_else(|| "pg_controldata tells no system identifier".into())
}

/// What `pg_controldata` tells, by its labels.
async fn control_data(hands: &Hands, config: &MemberConfig) -> Result<BTreeMap<String, String>, String> {
    let ran = hands.run(&layout::program(config, "pg_controldata", &["-D", CLUSTER]), LOOK_WITHIN).await?;
    if ran.code != 0 {
        return Err(format!("pg_controldata failed with code {}: {}", ran.code, ran.stderr.trim()));
    }
    // It warns of a broken control file, and prints the rubbish in it all the same.
    if ran.stderr.contains("CRC") || ran.stdout.contains("CRC checksum does not match") {
        return Err(format!("the cluster's control file is broken: {}", ran.stderr.trim()));
    }
    let pairs = ran.stdout.lines().filter_map(|line| line.split_once(':'));
    Ok(pairs.map(|(label, value)| (label.trim().to_owned(), value.trim().to_owned())).collect())
}

/// The least values of settings with which this cluster runs as a standby: what its primary had when it wrote what is to
/// be replayed. Empty on a primary; and where the control file cannot be read, which the server itself will find.
pub(super) async fn floors(hands: &Hands, config: &MemberConfig) -> BTreeMap<String, u64> {
    if config.is_primary() {
        return BTreeMap::new();
    }
    let data = control_data(hands, config).await.unwrap_or_default();
    let names = [
        ("max_connections setting", "max_connections"),
        ("max_worker_processes setting", "max_worker_processes"),
        ("max_wal_senders setting", "max_wal_senders"),
        ("max_prepared_xacts setting", "max_prepared_transactions"),
        ("max_locks_per_xact setting", "max_locks_per_transaction"),
    ];
    let floor = |label: &str| data.get(label).and_then(|value| value.parse().ok());
    names.into_iter().filter_map(|(label, name)| Some((name.to_owned(), floor(label)?))).collect()
}

/// True if the server can read its configuration: a failure to start is then not the configuration's.
pub(super) async fn configuration_is_readable(hands: &Hands, config: &MemberConfig) -> Result<bool, String> {
    let mut program = layout::server(config);
    program.argv.extend(["-C".to_owned(), "port".to_owned()]);
    Ok(hands.run(&program, LOOK_WITHIN).await?.code == 0)
}
