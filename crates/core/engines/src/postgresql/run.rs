//! Starting and stopping the server on a complete cluster, and making a running server take up its configuration.

use std::time::Duration;

use super::layout::{self, CONFIG, HBA, IDENT, LOCK, PASSFILE, RENDERED, REPLICATOR, SOCKET_DIR};
use super::state::State;
use super::{cluster, remote, render};
use crate::machine::Signal;
use crate::member::{CONTROL_DIR, DATA_MOUNT, MemberConfig, SECRETS_DIR, TLS_CA, TLS_CERT, TLS_KEY};
use crate::script::Hands;

/// How long each way of stopping may take; together less than [`STOP_WITHIN`].
const STOPS: [(Signal, Duration); 3] = [
    (Signal::Interrupt, Duration::from_secs(22)),
    (Signal::Quit, Duration::from_secs(4)),
    (Signal::Kill, Duration::from_secs(2)),
];
/// How long a graceful stop may take.
pub(super) const STOP_WITHIN: Duration = Duration::from_secs(30);
/// A standby's server that ends while starting is given this many starts before its cluster is taken to be broken.
const STARTS_OF_A_STANDBY: u32 = 2;
/// How often a server that is coming up is looked at.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);
/// A standby that comes up asks its primary about its slot every so many looks.
const LOOKS_PER_QUESTION: u32 = 300;

/// From whatever the volume holds to a running server.
pub(super) async fn start(hands: Hands, config: MemberConfig) -> Result<(), String> {
    prepare(&hands, &config).await?;
    let mut state = cluster::ensure(&hands, &config).await?;
    let mut failures = 0;
    loop {
        configure(&hands, &config).await?;
        hands.report("starting PostgreSQL").await;
        hands.start_server(&layout::server(&config)).await?;
        match await_up(&hands, &config).await? {
            Up::Answers => break,
            Up::CannotFollow(reason) => {
                hands.report(format!("{reason}: copying the database anew")).await;
                stop(hands.clone()).await?;
                state = cluster::seed(&hands, &config).await?;
            }
            Up::Ended => {
                failures += 1;
                if failures >= STARTS_OF_A_STANDBY || config.is_primary() {
                    state = reseed_broken(&hands, &config, &state).await?;
                }
            }
        }
    }
    if config.is_primary() {
        provide_for_standbys(&hands, &config).await?;
    }
    if let State::Seeded { system } = state {
        State::Proven { system }.write(&hands).await?;
    }
    Ok(())
}

/// What became of a server that was started.
enum Up {
    Answers,
    Ended,
    /// A standby that needs log which its primary no longer has.
    CannotFollow(String),
}

/// Waits as long as the server recovers; that may take hours, and is told.
async fn await_up(hands: &Hands, config: &MemberConfig) -> Result<Up, String> {
    let mut said = String::new();
    for look in 1u32.. {
        let reason = match not_yet(hands).await? {
            Some(reason) => reason,
            None => match hands.query("SELECT 1").await {
                Ok(_) => return Ok(Up::Answers),
                Err(reason) => reason,
            },
        };
        if hands.exited(LOOK_AGAIN_AFTER).await? {
            return Ok(Up::Ended);
        }
        if look.is_multiple_of(10) && reason != said {
            hands.report(format!("PostgreSQL is starting: {reason}")).await;
            said = reason;
        }
        if look.is_multiple_of(LOOKS_PER_QUESTION) && !config.is_primary() {
            let slot = remote::view(hands, config).await.ok().and_then(|view| view.slot);
            if slot.is_some_and(|slot| slot.lost) {
                return Ok(Up::CannotFollow("the primary no longer has the log that this standby needs".into()));
            }
        }
    }
    Ok(Up::Ended)
}

/// Why the server takes no connections yet, by its own lock file: asking it would only fill its log with refusals.
async fn not_yet(hands: &Hands) -> Result<Option<String>, String> {
    let lock = hands.read(LOCK).await?.unwrap_or_default();
    Ok(match lock.lines().nth(7).map(str::trim) {
        Some("starting") => Some("it recovers".into()),
        Some("standby") => Some("it replays the primary's log up to a consistent point".into()),
        _ => None,
    })
}

/// The server ended while starting, and not for the first time. A standby's cluster is only a copy: if the server once
/// ran on it, the configuration can be read and the primary of the same cluster is there, the copy is made anew.
async fn reseed_broken(hands: &Hands, config: &MemberConfig, state: &State) -> Result<State, String> {
    let ended = "PostgreSQL ended while starting; its log, just above, says why";
    let State::Proven { system } = state else {
        return Err(ended.into());
    };
    if config.is_primary() || !cluster::configuration_is_readable(hands, config).await? {
        return Err(ended.into());
    }
    let theirs = remote::view(hands, config).await.map_err(|reason| format!("{ended} (primary: {reason})"))?.system;
    if theirs != *system {
        return Err(foreign(&theirs, system));
    }
    hands.report("PostgreSQL does not start on this standby's data: copying the database anew").await;
    cluster::seed(hands, config).await
}

/// The refusal to touch a standby's data when the primary's is of other origin.
pub(super) fn foreign(theirs: &str, ours: &str) -> String {
    format!(
        "the primary's cluster (system identifier {theirs}) is not the one this standby copied ({ours}): the standby's data \
         may be the only copy and is kept; restore the primary from it, or empty the standby's volume"
    )
}

/// Lets the server reach what it needs on the control tmpfs and the volumes, and nothing else.
async fn prepare(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let control = format!("{DATA_MOUNT}/{CONTROL_DIR}");
    hands.grant(DATA_MOUNT, 0o750).await?;
    hands.grant(&control, 0o710).await?;
    hands.grant(&format!("{control}/{SECRETS_DIR}"), 0o710).await?;
    for name in [TLS_KEY, TLS_CERT, TLS_CA] {
        hands.grant(&MemberConfig::secret_path(name), 0o640).await?;
    }
    hands.make_dir(RENDERED, 0o700).await?;
    hands.make_dir(SOCKET_DIR, 0o755).await?;
    if !config.is_primary() {
        hands.write(PASSFILE, render::passfile(&replicator_password(hands).await?), 0o600).await?;
    }
    Ok(())
}

async fn replicator_password(hands: &Hands) -> Result<String, String> {
    let path = MemberConfig::secret_path(REPLICATOR);
    let password = hands.read(&path).await?.ok_or_else(|| format!("the secret {path} is missing"))?;
    Ok(password.trim_end_matches(['\r', '\n']).to_owned())
}

/// Renders the configuration. Needs a complete cluster.
async fn configure(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let floors = cluster::floors(hands, config).await;
    hands.write(CONFIG, render::configuration(config, &floors)?, 0o600).await?;
    hands.write(HBA, render::access(), 0o600).await?;
    hands.write(IDENT, render::identities(), 0o600).await
}

/// On the primary: the role that standbys connect as, and a slot for each, no more and no less.
async fn provide_for_standbys(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let password = replicator_password(hands).await?.replace('\'', "''");
    let role = format!(
        "DO $openmanage$ BEGIN \
         IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{REPLICATOR}') THEN CREATE ROLE {REPLICATOR}; END IF; \
         ALTER ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD '{password}'; END $openmanage$"
    );
    hands.query(role).await.map_err(|reason| format!("cannot make the role {REPLICATOR}: {reason}"))?;
    let wanted: Vec<_> = config
        .peers
        .iter()
        .filter(|peer| peer.name != config.member)
        .map(|peer| format!("'{}'", layout::slot(&peer.name)))
        .collect();
    let stem = config.service.as_str().replace('-', "_");
    let wanted = format!("ARRAY[{}]::text[]", wanted.join(", "));
    let slots = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_type = 'physical' AND NOT active \
         AND slot_name ~ '^{stem}_[0-9]+$' AND slot_name <> ALL ({wanted}); \
         SELECT pg_create_physical_replication_slot(name, true) FROM unnest({wanted}) AS name \
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = name)"
    );
    hands.query(slots).await.map_err(|reason| format!("cannot make the replication slots: {reason}"))?;
    Ok(())
}

/// Takes up a changed configuration; true if part of it waits for a restart.
pub(super) async fn reload(hands: Hands, config: MemberConfig) -> Result<bool, String> {
    prepare(&hands, &config).await?;
    configure(&hands, &config).await?;
    let loaded = "SELECT pg_conf_load_time()::text";
    let before = hands.query(loaded).await?;
    hands.query("SELECT pg_reload_conf()").await?;
    for _ in 0..50 {
        if hands.query(loaded).await? != before {
            if config.is_primary() {
                provide_for_standbys(&hands, &config).await?;
            }
            let pending = hands.query("SELECT name FROM pg_settings WHERE pending_restart").await?;
            return Ok(!pending.is_empty());
        }
        hands.pause(LOOK_AGAIN_AFTER).await;
    }
    let refused = hands.query("SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL").await?;
    let refused: Vec<_> =
        refused.into_iter().map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(": ")).collect();
    Err(format!("PostgreSQL did not take up its configuration: {}", refused.join("; ")))
}

/// Ends the server: gracefully, then at the price of a recovery at the next start.
pub(super) async fn stop(hands: Hands) -> Result<(), String> {
    for (signal, patience) in STOPS {
        hands.signal(signal).await?;
        if hands.exited(patience).await? {
            return Ok(());
        }
    }
    Err(format!("PostgreSQL did not end within {} s, not even by SIGKILL: its storage may hang", STOP_WITHIN.as_secs()))
}
