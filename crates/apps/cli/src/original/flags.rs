//! Go's way of writing flags (`-name=value`, `-name value`, one dash or two), and every flag the original had.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Flags that stand alone; `-name=false` takes them back.
const SWITCHES: [&str; 15] = [
    "tls-enabled",
    "volume-encrypted",
    "journal-volume-encrypted",
    "mongo-replicaset-only",
    "kafka-allow-topic-del",
    "redis-disable-aof",
    "couchdb-enable-cors",
    "couchdb-enable-cred",
    "couchdb-enable-ssl",
    "consul-enable-tls",
    "es-disable-dedicated-master",
    "es-disable-force-awareness",
    "kb-enable-ssl",
    "ls-enable-dlq",
    "help",
];

/// Flags with a value that mean something here.
pub(super) const USED: [(&str, &str); 18] = [
    ("op", "the operation, see below"),
    ("service-type", "the engine, for example postgresql"),
    ("service-name", "the service's name (also: -service)"),
    ("server-url", "HOST:PORT of the server [default: the one of the cluster, or of this machine]"),
    ("cluster", "the cluster's name, checked against the server's"),
    ("region", "the region, checked against the server's if it has one"),
    ("replicas", "how many members [default: 3]"),
    ("volume-size", "each member's data volume in GB"),
    ("journal-volume-size", "each member's journal volume in GB [default: on the data volume]"),
    ("max-memory", "each member's memory in MB"),
    ("reserve-memory", "each member's memory in MB, if -max-memory is not given"),
    ("soft-memory", "the same"),
    ("max-cpuunits", "CPU of each member; 1024 units are one CPU"),
    ("cpu-units", "the same"),
    ("pg-image", "the image to run"),
    ("service-uuid", "the service, for get-config"),
    ("fileid", "accepted for get-config"),
    ("member-name", "accepted for get-config"),
];

/// Flags with a value that are accepted and have no effect.
const UNUSED: [&str; 78] = [
    "service",
    "reserve-cpuunits",
    "admin",
    "passwd",
    "password",
    "replication-user",
    "replication-passwd",
    "pg-repluser",
    "pg-replpasswd",
    "ca-file",
    "cert-file",
    "key-file",
    "jmx-user",
    "jmx-passwd",
    "config-filename",
    "volume-type",
    "volume-iops",
    "journal-volume-type",
    "journal-volume-iops",
    "mongo-shards",
    "mongo-replicas-pershard",
    "mongo-configservers",
    "cas-heap-size",
    "zk-heap-size",
    "kafka-heap-size",
    "kafka-retention-hours",
    "kafka-zk-service",
    "kc-heap-size",
    "kc-kafka-service",
    "kc-kafka-topic",
    "kc-replfactor",
    "kc-sink-es-service",
    "kc-sink-es-type",
    "kc-sink-es-buffer-records",
    "kc-sink-es-batch-size",
    "km-heap-size",
    "km-user",
    "km-passwd",
    "km-zk-service",
    "redis-shards",
    "redis-replicas-pershard",
    "redis-memory-size",
    "redis-auth-pass",
    "redis-repl-timeout",
    "redis-maxmem-policy",
    "redis-configcmd-name",
    "couchdb-origins",
    "couchdb-headers",
    "couchdb-methods",
    "couchdb-cert-file",
    "couchdb-key-file",
    "couchdb-cacert-file",
    "consul-datacenter",
    "consul-domain",
    "consul-encrypt",
    "consul-cert-file",
    "consul-key-file",
    "consul-cacert-file",
    "consul-https-port",
    "es-heap-size",
    "es-dedicated-masters",
    "kb-es-service",
    "kb-proxy-basepath",
    "kb-key-file",
    "kb-cert-file",
    "ls-heap-size",
    "ls-container-image",
    "ls-queue-type",
    "ls-pipeline-file",
    "ls-workers",
    "ls-outputworkers",
    "ls-batch-size",
    "ls-batch-delay",
    "tel-collect-interval",
    "tel-monitor-service-name",
    "tel-monitor-service-type",
    "tel-metrics-file",
    "container-image",
];

/// The flags of a command line.
#[derive(Debug, Default)]
pub(super) struct Flags {
    values: BTreeMap<String, String>,
    /// Help was asked for.
    pub(super) help: bool,
}

impl Flags {
    /// Reads `args` as Go's `flag` package does; the last of two equal flags wins.
    pub(super) fn parse(args: &[OsString]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut args = args.iter().map(|arg| arg.to_str().ok_or_else(|| format!("{arg:?} is not UTF-8")));
        while let Some(arg) = args.next().transpose()? {
            let name = arg.strip_prefix("--").or_else(|| arg.strip_prefix('-')).filter(|name| !name.is_empty());
            let Some(name) = name else { return Err(format!("{arg:?} is not a flag; flags are written -name=value")) };
            let (name, value) = name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
            let name = if name == "h" { "help" } else { name };
            let value = match value {
                Some(value) => value,
                None if SWITCHES.contains(&name) => "true",
                None if known(name) => {
                    args.next().transpose()?.ok_or_else(|| format!("-{name} needs a value: -{name}=VALUE"))?
                }
                None => "",
            };
            if !known(name) {
                return Err(format!("there is no flag -{name}; `openmanage-service-cli -help` lists them"));
            }
            if SWITCHES.contains(&name) && !matches!(value, "true" | "false" | "1" | "0" | "t" | "f") {
                return Err(format!("-{name}={value}: accepted are true and false"));
            }
            flags.help |= name == "help";
            flags.values.insert(if name == "service" { "service-name" } else { name }.to_owned(), value.to_owned());
        }
        Ok(flags)
    }

    /// The value of `name`, unless it is absent or empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name` as a number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let read = |text: &str| text.parse().map_err(|_| format!("-{name}={text}: accepted are whole numbers from 0"));
        self.text(name).map(read).transpose()
    }

    /// True if the switch `name` is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| matches!(value, "true" | "1" | "t"))
    }

    /// Flags given that have no effect here.
    pub(super) fn without_effect(&self) -> impl Iterator<Item = &str> {
        let used = |name: &str| USED.iter().any(|(used, _)| *used == name) || matches!(name, "help" | "tls-enabled");
        self.values.keys().map(String::as_str).filter(move |name| !used(name))
    }
}

fn known(name: &str) -> bool {
    SWITCHES.contains(&name) || UNUSED.contains(&name) || USED.iter().any(|(used, _)| *used == name)
}

/// The help text.
pub(super) fn help() -> String {
    let mut text = "The original's command line on top of the new API. New features are in `openmanage`.\n\n\
                    Usage: openmanage-service-cli -op=OPERATION -service-name=NAME [-flag=value ...]\n\nFlags:\n"
        .to_owned();
    for (name, meaning) in USED {
        text += &format!("  -{name:22} {meaning}\n");
    }
    text += "  -tls-enabled            speak TLS to the server\n";
    text += "\nAll other flags of the original are accepted; a note says so where one has no effect.\n\nOperations:\n";
    for (name, meaning) in super::request::OPERATIONS {
        text += &format!("  {name:24}{}\n", meaning.unwrap_or("not in this release"));
    }
    text
}

#[cfg(test)]
mod tests;
