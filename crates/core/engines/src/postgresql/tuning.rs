//! Settings computed from what a member may use: production values, not the server's modest defaults.

use std::collections::BTreeMap;

use om_model::{Resources, VolumeSizes};

/// Most members a service may have: what [`max_wal_senders`](self) and the number of slots leave room for.
pub(super) const REPLICAS_MAX: u16 = 9;

/// The computed settings, by name. The same for every member of a service, so that any of them can become the primary.
pub(super) fn computed(resources: &Resources, volumes: &VolumeSizes) -> BTreeMap<String, String> {
    let memory = resources.memory.as_mib();
    // A connection costs a process of some 10 MiB with its work memory.
    let connections = (memory / 10).clamp(50, 500);
    let megabytes = |n: u64| format!("{n}MB");
    let wal = wal_sizes(volumes);
    let settings = [
        ("shared_buffers", megabytes((memory / 4).max(16))),
        ("effective_cache_size", megabytes(memory * 3 / 4)),
        // A quarter of the memory if every connection sorts at once.
        ("work_mem", format!("{}kB", (memory * 1024 / 4 / connections).clamp(512, 65_536))),
        ("maintenance_work_mem", megabytes((memory / 16).clamp(16, 1024))),
        ("max_connections", connections.to_string()),
        ("superuser_reserved_connections", "3".into()),
        ("huge_pages", "off".into()),
        ("dynamic_shared_memory_type", "posix".into()),
        ("wal_level", "replica".into()),
        ("max_wal_size", megabytes(wal.max)),
        ("min_wal_size", megabytes(wal.min)),
        ("max_slot_wal_keep_size", megabytes(wal.kept_for_slots)),
        ("wal_keep_size", "0".into()),
        ("wal_compression", "on".into()),
        ("checkpoint_timeout", "5min".into()),
        ("checkpoint_completion_target", "0.9".into()),
        ("max_wal_senders", (2 * REPLICAS_MAX + 2).to_string()),
        ("max_replication_slots", (2 * REPLICAS_MAX + 2).to_string()),
        ("wal_sender_timeout", "30s".into()),
        ("wal_receiver_timeout", "30s".into()),
        ("wal_receiver_status_interval", "2s".into()),
        ("wal_retrieve_retry_interval", "1s".into()),
        // Off, so that a query forgotten on a standby cannot bloat the primary.
        ("hot_standby_feedback", "off".into()),
        // Half-open connections to an address that moved are noticed within a minute.
        ("tcp_keepalives_idle", "30s".into()),
        ("tcp_keepalives_interval", "10s".into()),
        ("tcp_keepalives_count", "3".into()),
        // Volumes are taken to be solid-state or network block devices.
        ("random_page_cost", "1.1".into()),
        ("effective_io_concurrency", "200".into()),
        ("log_line_prefix", "%m [%p] %q%u@%d %a ".into()),
        ("log_lock_waits", "on".into()),
        ("log_temp_files", "64MB".into()),
        ("log_timezone", "UTC".into()),
        ("TimeZone", "UTC".into()),
        ("lc_messages", "C".into()),
    ];
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Computed settings with the user's in their place.
pub(super) fn effective(
    resources: &Resources,
    volumes: &VolumeSizes,
    chosen: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let mut all = computed(resources, volumes);
    all.extend(chosen.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

/// In MiB. Together they stay well below the volume, so that the log alone can never fill it.
struct WalSizes {
    max: u64,
    min: u64,
    kept_for_slots: u64,
}

fn wal_sizes(volumes: &VolumeSizes) -> WalSizes {
    // Of a volume of its own the log may take most; of the data's volume a tenth, and as much again for slots.
    let (volume, share) = match volumes.journal {
        Some(journal) => (journal.as_mib(), 35),
        None => (volumes.data.as_mib(), 10),
    };
    // At least a few segments of 16 MiB; at most what a crash recovery of minutes can replay.
    let max = (volume * share / 100).clamp(48, 16 * 1024);
    let min = (max / 4).clamp(32, 1024);
    let kept_for_slots = (volume * share / 100).max(48);
    WalSizes { max, min, kept_for_slots }
}
