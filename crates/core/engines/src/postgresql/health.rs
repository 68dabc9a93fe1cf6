//! Looking at the running server, and mending a standby that can no longer follow.

use std::time::Duration;

use super::state::State;
use super::{remote, run};
use crate::member::{Health, MemberConfig, Role};
use crate::script::Hands;

/// A standby that did not stream for this long is looked into.
pub(super) const LOOK_INTO_AFTER: Duration = Duration::from_secs(30);
/// How often, and at what distance, a standby must be found idle before its copy is given up.
const SAMPLES: u32 = 5;
const SAMPLE_EVERY: Duration = Duration::from_secs(3);

const PROBE: &str = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only'), \
     (SELECT status FROM pg_stat_wal_receiver), \
     CASE WHEN pg_is_in_recovery() THEN \
     (SELECT greatest(0, pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()))::bigint FROM pg_stat_wal_receiver) END, \
     (SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'), \
     (SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')), \
     current_setting('synchronous_standby_names')";

/// The role is the server's own word; a standby is healthy while it streams.
pub(super) async fn probe(hands: Hands, config: MemberConfig) -> Result<Health, String> {
    let rows = hands.query(PROBE).await?;
    let Some(row) = rows.first().filter(|row| row.len() == 7) else {
        return Err("PostgreSQL answered the probe with something else".into());
    };
    let text = |at: usize| row[at].as_deref().unwrap_or_default();
    if text(0) == "t" {
        Ok(standby(text(2), text(3), &config))
    } else {
        Ok(primary(text(1), text(4), text(5), text(6)))
    }
}

fn standby(receiver: &str, lag: &str, config: &MemberConfig) -> Health {
    let primary = config.primary.as_ref().map_or_else(|| "the primary".to_owned(), ToString::to_string);
    let healthy = receiver == "streaming" && !config.is_primary();
    let detail = match receiver {
        "streaming" => format!("streaming from {primary}"),
        "" => format!("not connected to {primary}"),
        other => format!("connecting to {primary} ({other})"),
    };
    Health { role: Some(Role::Standby), healthy, detail, lag_bytes: lag.parse().ok() }
}

fn primary(read_only: &str, streaming: &str, synchronous: &str, names: &str) -> Health {
    let healthy = read_only == "off";
    let detail = match (healthy, names.is_empty() || synchronous != "0") {
        (false, _) => "refuses writes: default_transaction_read_only is on".to_owned(),
        // Healthy all the same: it does its part, and standbys join only a primary that is up.
        (true, false) => "commits wait for a standby to follow (synchronous)".to_owned(),
        (true, true) => format!("accepts writes, {streaming} standbys streaming"),
    };
    Health { role: Some(Role::Primary), healthy, detail, lag_bytes: None }
}

/// Finds out for sure whether this standby can follow again by itself; if not, makes its copy anew.
pub(super) async fn mend(hands: Hands, config: MemberConfig) -> Result<(), String> {
    let Some(reason) = cannot_follow(&hands, &config).await? else {
        return Ok(());
    };
    hands.report(format!("{reason}: copying the database anew")).await;
    run::stop(hands.clone()).await?;
    State::Seeding.write(&hands).await?;
    run::start(hands, config).await
}

/// Why this standby can never follow again, if that is certain.
async fn cannot_follow(hands: &Hands, config: &MemberConfig) -> Result<Option<String>, String> {
    let ours = State::read(hands).await?.system().map(ToOwned::to_owned);
    let mut position = None;
    for _ in 0..SAMPLES {
        // A primary that is away explains everything.
        let Ok(view) = remote::view(hands, config).await else {
            return Ok(None);
        };
        if let Some(ours) = ours.as_deref().filter(|ours| **ours != view.system) {
            return Err(run::foreign(&view.system, ours));
        }
        match view.slot {
            None => return remote::ensure_slot(hands, config).await.map(|()| None),
            Some(slot) if slot.lost => {
                return Ok(Some("the primary no longer has the log that this standby needs".into()));
            }
            Some(slot) if slot.active => return Ok(None),
            Some(_) => {}
        }
        let now = local_position(hands).await?;
        if now.is_none() || position.as_ref().is_some_and(|before| *before != now) {
            return Ok(None);
        }
        position = Some(now);
        hands.pause(SAMPLE_EVERY).await;
    }
    Ok(Some("the primary is there, yet its log cannot be followed from where this standby is".into()))
}

/// How far the standby has replayed; `None` if it is connected to a primary after all.
async fn local_position(hands: &Hands) -> Result<Option<String>, String> {
    let rows = hands
        .query(
            "SELECT (SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming'), pg_last_wal_replay_lsn()",
        )
        .await?;
    let row = rows.into_iter().next().unwrap_or_default();
    let mut columns = row.into_iter().map(Option::unwrap_or_default);
    let streaming = columns.next().unwrap_or_default();
    Ok((streaming == "0").then(|| columns.next().unwrap_or_default()))
}
