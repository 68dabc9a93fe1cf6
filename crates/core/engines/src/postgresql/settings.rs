//! The server's own settings: which there are, what a change of each needs, which values they take.
//!
//! Main pieces: [`find`] (one setting's row of the table), [`problem`] (why a user's value is refused). The table is
//! `settings.tsv`; names that the platform decides itself are in [`OWNED`], each with the reason.

use om_model::FieldError;

use super::units;
use crate::engine::ChangeClass;

const TABLE: &str = include_str!("settings.tsv");

/// Settings that the platform decides, and why.
const OWNED: &[(&[&str], &str)] = &[
    (
        &[
            "listen_addresses",
            "port",
            "unix_socket_directories",
            "unix_socket_group",
            "unix_socket_permissions",
            "bonjour",
            "bonjour_name",
        ],
        "the member's address is its identity",
    ),
    (
        &["data_directory", "hba_file", "ident_file", "external_pid_file", "cluster_name"],
        "the platform lays out the member's volume",
    ),
    (
        &[
            "ssl",
            "ssl_cert_file",
            "ssl_key_file",
            "ssl_ca_file",
            "ssl_crl_file",
            "ssl_crl_dir",
            "ssl_min_protocol_version",
            "ssl_max_protocol_version",
            "ssl_passphrase_command",
            "ssl_passphrase_command_supports_reload",
            "ssl_dh_params_file",
            "password_encryption",
            "db_user_namespace",
        ],
        "connections are always encrypted, with certificates that the platform renews",
    ),
    (
        &[
            "primary_conninfo",
            "primary_slot_name",
            "promote_trigger_file",
            "hot_standby",
            "restore_command",
            "archive_cleanup_command",
            "recovery_end_command",
            "recovery_target",
            "recovery_target_action",
            "recovery_target_inclusive",
            "recovery_target_lsn",
            "recovery_target_name",
            "recovery_target_time",
            "recovery_target_timeline",
            "recovery_target_xid",
            "max_wal_senders",
            "max_replication_slots",
            "wal_receiver_create_temp_slot",
        ],
        "the platform sets up replication",
    ),
    (&["synchronous_standby_names"], "the platform knows the standbys; use the option synchronous"),
    (&["max_slot_wal_keep_size"], "it keeps a dead standby from filling the volume"),
    (
        &[
            "fsync",
            "full_page_writes",
            "data_sync_retry",
            "ignore_invalid_pages",
            "zero_damaged_pages",
            "ignore_checksum_failure",
        ],
        "acknowledged data must survive a crash",
    ),
    (&["log_destination", "logging_collector", "event_source"], "the platform collects the server's log"),
    (&["restart_after_crash", "exit_on_error"], "the platform decides what follows a crash"),
];

/// One setting's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name, spelt as the server does.
    pub name: &'static str,
    /// What a change of it needs.
    pub change: ChangeClass,
    /// `bool`, `enum`, `integer`, `real` or `string`.
    kind: &'static str,
    unit: &'static str,
    least: &'static str,
    greatest: &'static str,
    accepted: &'static str,
}

/// The setting of that name; case does not matter, as for the server.
pub(super) fn find(name: &str) -> Option<Setting> {
    TABLE.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut columns = line.split('\t');
        let mut column = || columns.next().unwrap_or_default();
        let own = column();
        own.eq_ignore_ascii_case(name).then(|| Setting {
            name: own,
            change: if column() == "restart" { ChangeClass::Restart } else { ChangeClass::Reload },
            kind: column(),
            unit: column(),
            least: column(),
            greatest: column(),
            accepted: column(),
        })
    })
}

/// What a change of the setting `name` needs. An extension's own settings are taken to need a restart.
pub(super) fn change_of(name: &str) -> ChangeClass {
    find(name).map_or(ChangeClass::Restart, |setting| setting.change)
}

/// Why `name = value` is refused, if it is.
pub(super) fn problem(name: &str, value: &str) -> Option<FieldError> {
    let field = format!("settings.{name}");
    let refuse = |problem: String, accepted: &str| Some(FieldError::new(&field, problem, accepted));
    if value.contains(|c: char| c.is_control()) {
        return refuse("contains a control character".into(), "one line of text");
    }
    if let Some((_, reason)) =
        OWNED.iter().find(|(names, _)| names.iter().any(|owned| owned.eq_ignore_ascii_case(name)))
    {
        return refuse(format!("is decided by the platform: {reason}"), "leave it out");
    }
    if is_extension_setting(name) {
        return None;
    }
    let Some(setting) = find(name) else {
        return refuse("is not a setting of PostgreSQL 15".into(), "a setting of the server's manual, chapter 20");
    };
    if setting.name != name {
        return refuse("is not spelt as the server does".into(), setting.name);
    }
    if setting.name == "wal_level" && !["replica", "logical"].contains(&value) {
        return refuse(format!("{value:?} leaves standbys behind"), "replica, logical");
    }
    setting.refusal(value).and_then(|accepted| refuse(format!("{value:?} is not a value of it"), &accepted))
}

/// True for `extension.setting`.
fn is_extension_setting(name: &str) -> bool {
    let word = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    name.split_once('.').is_some_and(|(extension, setting)| word(extension) && word(setting))
}

impl Setting {
    /// The accepted values in words, if `value` is none of them.
    fn refusal(&self, value: &str) -> Option<String> {
        let value = value.trim();
        match self.kind {
            "bool" => {
                let words = ["on", "off", "true", "false", "yes", "no", "1", "0"];
                (!words.contains(&value.to_ascii_lowercase().as_str())).then(|| "on, off".to_owned())
            }
            "enum" => {
                let known = self.accepted.split(',').any(|word| word.eq_ignore_ascii_case(value));
                (!known).then(|| self.accepted.replace(',', ", "))
            }
            "integer" | "real" => {
                let whole = self.kind == "integer" && self.unit.is_empty();
                let within = |n: f64| {
                    self.least.parse().is_ok_and(|least: f64| n >= least)
                        && self.greatest.parse().is_ok_and(|greatest: f64| n <= greatest)
                        && (!whole || n.fract() == 0.0)
                };
                let good = units::parse(value, self.unit).is_some_and(within);
                (!good).then(|| self.range())
            }
            _ => None,
        }
    }

    fn range(&self) -> String {
        let unit = match self.unit {
            "" => return format!("{} to {}", self.least, self.greatest),
            unit => unit,
        };
        let words = if units::is_time(unit) { "us, ms, s, min, h, d" } else { "B, kB, MB, GB, TB" };
        format!("{} to {} in units of {unit}, or with one of the units {words}", self.least, self.greatest)
    }
}
