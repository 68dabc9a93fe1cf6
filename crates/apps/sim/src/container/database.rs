//! The database server in a container, as far as the engine's verbs and its clients can tell.

use std::time::Duration;

use om_backend::process::Ended;
use om_backend::{ErrorKind, PortError, Result};

use super::{Container, Server};
use crate::storage::{Cached, Change, Content};

/// The database's folder on its volume.
const CLUSTER: &str = "/data/data";
const VERSION: &str = "/data/data/PG_VERSION";
const SYSTEM: &str = "/data/data/system";
const STANDBY: &str = "/data/data/standby.signal";
/// Between two writes that no client asked for.
const WRITES_EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(1));

fn ended(code: i32, stdout: impl Into<String>, stderr: &str) -> Ended {
    Ended { code, stdout: stdout.into(), stderr: stderr.to_owned() }
}

impl Container {
    /// Runs one of the engine's programs to its end.
    pub(super) async fn program(&self, name: &str) -> Ended {
        let done = match name {
            "initdb" => self.initialise().await,
            "pg_basebackup" => self.copy().await,
            "pg_controldata" => self.tell_system().await,
            "psql" => self.ask_primary().await,
            // The server itself, asked whether it can read its configuration.
            _ => Ok(ended(0, "", "")),
        };
        done.unwrap_or_else(|error| ended(1, "", &error.to_string()))
    }

    fn holds_cluster(content: &Content) -> bool {
        content.files.keys().any(|file| file.starts_with(&format!("{CLUSTER}/")))
    }

    async fn initialise(&self) -> Result<Ended> {
        if Self::holds_cluster(&self.content().await?) {
            return Ok(ended(1, "", "the folder is not empty"));
        }
        let work = self.made.env.between(Duration::from_millis(200), Duration::from_secs(2));
        self.made.env.sleep(work).await;
        let system = self.made.env.chance().number();
        self.writes(Change::Write(SYSTEM.into(), system.to_string()), Cached::Yes).await?;
        self.writes(Change::Write(VERSION.into(), "15".into()), Cached::Yes).await?;
        self.change(Change::Sync).await?;
        Ok(ended(0, "", ""))
    }

    async fn copy(&self) -> Result<Ended> {
        if Self::holds_cluster(&self.content().await?) {
            return Ok(ended(1, "", "the folder is not empty"));
        }
        let Some(primary) = self.primary().await else { return Ok(ended(1, "", "no primary answers")) };
        let work = self.made.env.between(Duration::from_millis(300), Duration::from_secs(3));
        self.made.env.sleep(work).await;
        let theirs = primary.content().await?;
        let mut copy = self.content().await?;
        for file in [SYSTEM, VERSION] {
            copy.files.extend(theirs.files.get(file).map(|text| (file.to_owned(), text.clone())));
        }
        copy.rows = theirs.rows;
        self.writes(Change::Copy(copy), Cached::Yes).await?;
        self.change(Change::Sync).await?;
        Ok(ended(0, "", ""))
    }

    async fn tell_system(&self) -> Result<Ended> {
        let content = self.content().await?;
        Ok(match content.files.get(SYSTEM) {
            Some(system) => ended(0, format!("Database system identifier: {system}\n"), ""),
            None => ended(1, "", "no control file"),
        })
    }

    async fn ask_primary(&self) -> Result<Ended> {
        let Some(primary) = self.primary().await else { return Ok(ended(2, "", "no primary answers")) };
        let content = primary.content().await?;
        let system = content.files.get(SYSTEM).cloned().unwrap_or_default();
        Ok(ended(0, format!("{system}|1|0/3|postgres\nslot|f|t\n"), ""))
    }

    /// The primary's container, if it answers this one.
    async fn primary(&self) -> Option<std::sync::Arc<Container>> {
        let config = self.config().await?;
        let address = config.peer(config.primary.as_ref()?)?.address;
        self.made.town.serving_at(&self.made.node, &config.service_id, address).await
    }

    /// The server recovers, and is then up.
    pub(super) async fn recover(&self, number: u64) {
        let work = self.made.env.between(Duration::from_millis(100), Duration::from_millis(900));
        self.made.env.sleep(work).await;
        self.runs().await;
        let readable = self.content().await.is_ok_and(|content| content.files.contains_key(VERSION));
        // Recovery writes: what is found is not left as it is.
        let written = self.server_writes(Change::Write("/data/data/recovered".into(), number.to_string())).await;
        if !readable || written.is_err() {
            return self.server_ends(1);
        }
        {
            let mut state = self.lock();
            if state.server != Server::Starting(number) {
                return;
            }
            state.server = Server::Up(number);
        }
        self.write_now_and_then(number).await;
    }

    /// The server writes whether it has clients or not: checkpoints, statistics, what it receives from its primary.
    async fn write_now_and_then(&self, number: u64) {
        for written in 0_u64.. {
            self.made.env.sleep(self.made.env.between(WRITES_EVERY.0, WRITES_EVERY.1)).await;
            self.runs().await;
            if self.lock().server != Server::Up(number) {
                return;
            }
            if self.server_writes(Change::Write("/data/data/written".into(), written.to_string())).await.is_err() {
                return self.server_ends(1);
            }
        }
    }

    /// A process of the server writes, which it does only while it runs.
    async fn server_writes(&self, change: Change) -> Result<()> {
        self.runs().await;
        let gone = self.made.host.is_frozen(self.device) || self.made.host.was_shut_down(self.device);
        if !gone && self.made.process.is_alive() && self.made.storage.is_overtaken(&self.image) {
            let (pid, node) = (self.made.pid, &self.made.node);
            self.made.ledger.violated(&format!("container {pid} on {node} writes to a volume that another has by now"));
        }
        self.writes(change, Cached::Yes).await
    }

    /// Why the server takes no statements, in words; nothing if it takes them.
    pub fn why_not(&self) -> Option<&'static str> {
        if !self.made.process.is_alive() {
            return Some("its container is dead");
        }
        if self.lock().stopped {
            return Some("its processes are stopped by PID 1");
        }
        if self.made.host.is_stopped(self.made.pid) {
            return Some("its processes are stopped from outside");
        }
        if self.made.host.is_frozen(self.device) {
            return Some("its file system is frozen");
        }
        match self.lock().server {
            Server::Up(_) => None,
            Server::Starting(_) => Some("its server recovers"),
            Server::Down | Server::Ended(_) => Some("its server is down"),
        }
    }

    /// True while the server takes statements.
    pub fn serves(&self) -> bool {
        matches!(self.lock().server, Server::Up(_)) && !self.is_stopped() && self.made.process.is_alive()
    }

    /// Answers a statement of the member program.
    pub(super) async fn answer(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.runs().await;
        if !matches!(self.lock().server, Server::Up(_)) {
            return Err(PortError::new(ErrorKind::Unavailable, "connect to", "the server", "no socket"));
        }
        let text = |words: &[&str]| vec![words.iter().map(|word| Some((*word).to_owned())).collect()];
        if sql.contains("pg_reload_conf") {
            self.lock().loads += 1;
        } else if sql.contains("pg_conf_load_time") {
            return Ok(text(&[&self.lock().loads.to_string()]));
        } else if sql.contains("pg_is_in_recovery") {
            let standby = self.content().await?.files.contains_key(STANDBY);
            let receiver = if standby && self.primary().await.is_some() { "streaming" } else { "" };
            let (recovers, read_only) = if standby { ("t", "on") } else { ("f", "off") };
            return Ok(text(&[recovers, read_only, receiver, "0", "1", "0", ""]));
        } else if sql.contains("pg_last_wal_replay_lsn") {
            return Ok(text(&["1", "0/3"]));
        }
        Ok(Vec::new())
    }

    /// Commits a row for a client: what it is told, if it is told anything.
    ///
    /// # Errors
    /// Why nothing was committed, as far as the server knows.
    pub async fn commit(&self, row: u64) -> std::result::Result<(), &'static str> {
        let config = self.config().await.ok_or("not configured")?;
        let Server::Up(number) = self.lock().server else { return Err("the server is not up") };
        let Ok(content) = self.content().await else {
            self.server_ends(1);
            return Err("the volume is gone");
        };
        if content.files.contains_key(STANDBY) {
            return Err("read-only");
        }
        if self.server_writes(Change::Row(row)).await.is_err() {
            // It cannot flush its log: the server ends at once.
            self.server_ends(1);
            return Err("the log cannot be written");
        }
        // The answer is sent by a process: one that is stopped or dead sends none.
        self.runs().await;
        if self.lock().server != Server::Up(number) || !self.made.process.is_alive() {
            return Err("the server ended");
        }
        self.made.ledger.acknowledge(&self.made.storage, &Self::volume_of(&config), row);
        Ok(())
    }
}
