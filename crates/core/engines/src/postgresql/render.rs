//! The server's configuration files, whole, from what the member is told.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::layout::{self, CLUSTER, HBA, IDENT, PORT, REPLICATOR, SOCKET_DIR, SUPERUSER};
use super::tuning;
use crate::member::{MemberConfig, TLS_CA, TLS_CERT, TLS_KEY};

const HEADER: &str = "# Written by OpenManage at every start and every change of configuration: edits here are lost.\n";

/// `postgresql.conf`. Settings named in `floors` are at least that large: a standby refuses to run with less than its
/// primary had (see [`super::cluster::floors`]).
pub(super) fn configuration(config: &MemberConfig, floors: &BTreeMap<String, u64>) -> Result<String, String> {
    let mut settings = tuning::effective(&config.resources, &config.volumes, &config.settings);
    for (name, floor) in floors {
        let now = settings.get(name).and_then(|value| value.trim().parse().ok());
        if now.is_none_or(|now: u64| now < *floor) {
            settings.insert(name.clone(), floor.to_string());
        }
    }
    settings.extend(owned(config)?);
    let mut text = HEADER.to_owned();
    for (name, value) in &settings {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name} = {}", quoted(value));
    }
    Ok(text)
}

/// What the platform decides; a user's value for any of these was refused.
fn owned(config: &MemberConfig) -> Result<BTreeMap<String, String>, String> {
    let secret = MemberConfig::secret_path;
    let mut settings = vec![
        ("cluster_name", config.member.to_string()),
        ("data_directory", CLUSTER.into()),
        ("hba_file", HBA.into()),
        ("ident_file", IDENT.into()),
        ("listen_addresses", config.address.to_string()),
        ("port", PORT.to_string()),
        ("unix_socket_directories", SOCKET_DIR.into()),
        ("ssl", "on".into()),
        ("ssl_cert_file", secret(TLS_CERT)),
        ("ssl_key_file", secret(TLS_KEY)),
        ("ssl_ca_file", secret(TLS_CA)),
        ("ssl_min_protocol_version", "TLSv1.2".into()),
        ("password_encryption", "scram-sha-256".into()),
        ("log_destination", "stderr".into()),
        ("logging_collector", "off".into()),
        ("fsync", "on".into()),
        ("full_page_writes", "on".into()),
        ("hot_standby", "on".into()),
        ("restart_after_crash", "on".into()),
    ];
    if config.is_primary() {
        settings.push(("synchronous_standby_names", synchronous_names(config)));
    } else {
        settings.push(("primary_conninfo", layout::conninfo(config, layout::primary(config)?)));
        settings.push(("primary_slot_name", layout::slot(&config.member)));
        settings.push(("recovery_target_timeline", "latest".into()));
    }
    Ok(settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// Any one of the other members, if commits are to wait for one.
fn synchronous_names(config: &MemberConfig) -> String {
    let others: Vec<_> = config
        .peers
        .iter()
        .filter(|peer| peer.name != config.member)
        .map(|peer| format!("\"{}\"", peer.name))
        .collect();
    let wanted = config.options.get(super::SYNCHRONOUS).is_some_and(|value| value == "on");
    if wanted && !others.is_empty() { format!("ANY 1 ({})", others.join(", ")) } else { String::new() }
}

/// A value as the configuration file's grammar takes it.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}

/// `pg_hba.conf`: over the network nothing without TLS, and the replication role for replication only.
pub(super) fn access() -> String {
    format!(
        "{HEADER}\
         local   all          {SUPERUSER}  peer map=openmanage\n\
         local   all          all  scram-sha-256\n\
         hostssl replication  {REPLICATOR}  all  scram-sha-256\n\
         # Standbys ask about their slot on a replication connection to this database.\n\
         hostssl postgres     {REPLICATOR}  all  scram-sha-256\n\
         host    all          {REPLICATOR}  all  reject\n\
         host    replication  all  all  reject\n\
         hostssl all          all  all  scram-sha-256\n\
         host    all          all  all  reject\n"
    )
}

/// `pg_ident.conf`: who, over the unix socket, is the superuser without a password.
pub(super) fn identities() -> String {
    format!("{HEADER}openmanage  root  {SUPERUSER}\nopenmanage  {SUPERUSER}  {SUPERUSER}\n")
}

/// The password file of a standby's connections to the primary.
pub(super) fn passfile(password: &str) -> String {
    let escaped = password.trim_end_matches(['\r', '\n']).replace('\\', "\\\\").replace(':', "\\:");
    format!("*:*:*:{REPLICATOR}:{escaped}\n")
}
