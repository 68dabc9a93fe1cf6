//! Where everything lies in a member's container, and which programs work on it.
//!
//! The volume holds `data/` (the cluster) and [`STATE`]; the control tmpfs holds everything that is written anew at every
//! start, so that a member whose volume is full still starts. The log (WAL) lies in the cluster or on the journal volume.

use om_model::MemberName;

use crate::member::{DATA_MOUNT, MemberConfig, Peer, TLS_CA};
use crate::script::Program;

/// The cluster's directory (PGDATA).
pub(super) const CLUSTER: &str = "/data/data";
/// The write-ahead log's directory, where it has a volume of its own.
pub(super) const JOURNAL: &str = "/journal/wal";
/// How far the cluster has come; see [`super::state`].
pub(super) const STATE: &str = "/data/postgresql.state";
/// Files that are rendered at every start.
pub(super) const RENDERED: &str = "/data/.openmanage/engine";
/// Below [`RENDERED`].
pub(super) const CONFIG: &str = "/data/.openmanage/engine/postgresql.conf";
/// Below [`RENDERED`].
pub(super) const HBA: &str = "/data/.openmanage/engine/pg_hba.conf";
/// Below [`RENDERED`].
pub(super) const IDENT: &str = "/data/.openmanage/engine/pg_ident.conf";
/// Below [`RENDERED`]: the standbys' password for the primary.
pub(super) const PASSFILE: &str = "/data/.openmanage/engine/passfile";
/// A file that makes the server follow a primary.
pub(super) const STANDBY_SIGNAL: &str = "/data/data/standby.signal";
/// The running server's lock file; its eighth line says how far the server has come.
pub(super) const LOCK: &str = "/data/data/postmaster.pid";
/// The directory of the server's unix socket: where the server's own clients look for it.
pub const SOCKET_DIR: &str = "/run/postgresql";

/// The port.
pub(super) const PORT: u16 = 5432;
/// The role that standbys connect as; also the name of the secret with its password.
pub(super) const REPLICATOR: &str = "replicator";
/// The superuser; also the operating system's user and the name of the secret with its password.
pub(super) const SUPERUSER: &str = "postgres";

/// A program of the server's distribution.
pub(super) fn program(config: &MemberConfig, name: &str, arguments: &[&str]) -> Program {
    let argv = std::iter::once(&name).chain(arguments).map(|&argument| argument.to_owned()).collect();
    // Debian keeps the programs of each version apart and links only the clients into the usual places.
    let path = format!(
        "/usr/lib/postgresql/{}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        config.version
    );
    let env = [("PATH", path.as_str()), ("LANG", "C.UTF-8"), ("LC_MESSAGES", "C"), ("TZ", "UTC"), ("HOME", DATA_MOUNT)];
    Program { argv, env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into() }
}

/// The server itself.
pub(super) fn server(config: &MemberConfig) -> Program {
    program(config, "postgres", &["-D", CLUSTER, &format!("--config-file={CONFIG}")])
}

/// The replication slot that `member` reads from.
pub(super) fn slot(member: &MemberName) -> String {
    member.as_str().replace('-', "_")
}

/// How a standby reaches the primary: encrypted and with the primary's name checked; it gives up on a dead address in
/// seconds, so that it follows when the primary comes back.
pub(super) fn conninfo(config: &MemberConfig, primary: &Peer) -> String {
    format!(
        "host={} hostaddr={} port={PORT} user={REPLICATOR} passfile={PASSFILE} sslmode=verify-full sslrootcert={} \
         application_name={} connect_timeout=5 keepalives_idle=5 keepalives_interval=5 keepalives_count=3 \
         tcp_user_timeout=15000 gssencmode=disable",
        primary.host,
        primary.address,
        MemberConfig::secret_path(TLS_CA),
        config.member,
    )
}

/// The primary as a peer.
///
/// # Errors
/// It is not among the peers, or none is chosen.
pub(super) fn primary(config: &MemberConfig) -> Result<&Peer, String> {
    let name = config.primary.as_ref().ok_or("no member is chosen as the primary yet")?;
    config.peer(name).ok_or_else(|| format!("the primary {name} is not among the members of {}", config.service))
}
