//! What a standby asks its primary, over TLS as the replication role.

use std::time::Duration;

use super::layout;
use crate::member::MemberConfig;
use crate::script::Hands;

const ASK_WITHIN: Duration = Duration::from_secs(20);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The primary as this standby sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrimaryView {
    /// The system identifier of its cluster.
    pub system: String,
    /// This standby's slot there, if it exists.
    pub slot: Option<SlotView>,
}

/// A replication slot on the primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SlotView {
    /// True if the log it needs has been removed: whoever reads from it cannot go on.
    pub lost: bool,
    /// True while somebody reads from it.
    pub active: bool,
}

/// Asks the primary; fails while it does not answer.
pub(super) async fn view(hands: &Hands, config: &MemberConfig) -> Result<PrimaryView, String> {
    let slot = layout::slot(&config.member);
    let about_slot = format!(
        "SELECT 'slot', coalesce(wal_status, '') = 'lost', active FROM pg_replication_slots WHERE slot_name = '{slot}'"
    );
    let lines = ask(hands, config, &["IDENTIFY_SYSTEM", &about_slot]).await?;
    let mut lines = lines.lines();
    let system = lines.next().and_then(|line| line.split('|').next()).unwrap_or_default().trim().to_owned();
    if system.is_empty() {
        return Err("the primary did not tell its system identifier".into());
    }
    let slot = lines.find_map(|line| {
        let columns: Vec<_> = line.split('|').collect();
        (columns.len() == 3 && columns[0] == "slot")
            .then(|| SlotView { lost: columns[1] == "t", active: columns[2] == "t" })
    });
    Ok(PrimaryView { system, slot })
}

/// Waits until the primary answers.
pub(super) async fn await_primary(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let name = &layout::primary(config)?.name;
    let mut said = String::new();
    while let Err(reason) = view(hands, config).await {
        // Said once per reason: this may go on for hours.
        if reason != said {
            hands.report(format!("waiting for the primary {name}: {reason}")).await;
            said = reason;
        }
        hands.pause(ASK_AGAIN_AFTER).await;
    }
    Ok(())
}

/// Makes this standby's slot anew on the primary, keeping the log from now on.
pub(super) async fn renew_slot(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    let slot = layout::slot(&config.member);
    let drop = format!(
        "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active"
    );
    ask(hands, config, &[&drop, &make_slot(&slot)]).await.map(|_| ())
}

/// Makes this standby's slot on the primary if it is not there.
pub(super) async fn ensure_slot(hands: &Hands, config: &MemberConfig) -> Result<(), String> {
    ask(hands, config, &[&make_slot(&layout::slot(&config.member))]).await.map(|_| ())
}

fn make_slot(slot: &str) -> String {
    format!(
        "SELECT pg_create_physical_replication_slot('{slot}', true) \
         WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '{slot}')"
    )
}

async fn ask(hands: &Hands, config: &MemberConfig, statements: &[&str]) -> Result<String, String> {
    let target = format!("{} dbname=postgres replication=database", layout::conninfo(config, layout::primary(config)?));
    let mut arguments = vec!["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-d", &target];
    for statement in statements {
        arguments.extend(["-c", statement]);
    }
    let ran = hands.run(&layout::program(config, "psql", &arguments), ASK_WITHIN).await?;
    match ran.code {
        0 => Ok(ran.stdout),
        _ => Err(ran.stderr.lines().next().unwrap_or("psql failed and did not say why").trim().to_owned()),
    }
}
