//! A container in memory: files, the server and the programs that the engine runs, a primary somewhere else.

use std::collections::BTreeMap;

use crate::machine::{Action, Machine, Next, Outcome, Signal};

/// What survives a crash is `files`; and the world beyond the container.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) files: BTreeMap<String, String>,
    pub(super) server: bool,
    /// The server ends as soon as it is started on this cluster.
    pub(super) broken: Option<String>,
    /// Refuses everything but liveness while true.
    pub(super) primary: Option<Primary>,
    /// Clusters made by initdb, so that each has another identifier.
    pub(super) made: u32,
    pub(super) said: Vec<String>,
    /// What the local standby tells of its receiver and position.
    pub(super) streaming: bool,
    pub(super) queries: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct Primary {
    pub(super) system: String,
    /// `lost`, `active`, if there is a slot.
    pub(super) slot: Option<(bool, bool)>,
}

impl World {
    pub(super) fn new() -> Self {
        let files = [("/data/.openmanage/secrets/replicator".to_owned(), "s3cret\n".to_owned())].into();
        Self {
            files,
            server: false,
            broken: None,
            primary: None,
            made: 0,
            said: vec![],
            streaming: true,
            queries: vec![],
        }
    }

    pub(super) fn with_primary(system: &str) -> Self {
        Self { primary: Some(Primary { system: system.into(), slot: None }), ..Self::new() }
    }

    /// The identifier of the cluster on the volume.
    pub(super) fn cluster(&self) -> Option<&str> {
        self.files.get("/data/data/global/pg_control").map(String::as_str)
    }

    pub(super) fn state(&self) -> &str {
        self.files.get("/data/postgresql.state").map_or("", |text| text.trim())
    }

    /// Drives a verb for at most `limit` actions; `None` if it was cut off there.
    pub(super) fn drive<T>(
        &mut self,
        mut machine: Box<dyn Machine<Output = T>>,
        limit: usize,
    ) -> Option<Result<T, String>> {
        let mut last = Outcome::Begin;
        for _ in 0..=limit {
            match machine.next(last) {
                Next::Do(action) => last = self.carry_out(&action),
                Next::Finished(value) => return Some(Ok(value)),
                Next::Failed(reason) => return Some(Err(reason)),
            }
        }
        None
    }

    /// The container dies: no process is left, and what lay in memory is gone.
    pub(super) fn crash(&mut self) {
        self.server = false;
        self.files.retain(|path, _| !path.starts_with("/data/.openmanage/engine"));
    }

    fn carry_out(&mut self, action: &Action) -> Outcome {
        match action {
            Action::WriteFile { path, content, .. } => {
                self.files.insert(path.clone(), content.clone());
                Outcome::Done
            }
            Action::ReadFile { path } => Outcome::File(self.files.get(path).cloned()),
            Action::EmptyDir { path } => {
                self.files.retain(|file, _| !file.starts_with(&format!("{path}/")));
                Outcome::Done
            }
            Action::Run { argv, .. } => self.run(argv),
            Action::Query { sql } => self.query(sql),
            Action::StartServer { .. } => {
                assert!(self.files.contains_key("/data/.openmanage/engine/postgresql.conf"), "started unconfigured");
                self.server = self.broken.as_deref() != self.cluster();
                Outcome::Done
            }
            Action::SignalServer { signal } => {
                self.server &= *signal == Signal::Hangup;
                Outcome::Done
            }
            Action::AwaitServerExit { .. } => {
                if self.server {
                    Outcome::TimedOut
                } else {
                    Outcome::Done
                }
            }
            Action::Report { text } => {
                self.said.push(text.clone());
                Outcome::Done
            }
            Action::MakeDir { .. } | Action::GrantFile { .. } | Action::Link { .. } | Action::Pause { .. } => {
                Outcome::Done
            }
        }
    }

    fn run(&mut self, argv: &[String]) -> Outcome {
        let ok = |stdout: String| Outcome::Ran { code: 0, stdout, stderr: String::new() };
        let bad = |stderr: &str| Outcome::Ran { code: 1, stdout: String::new(), stderr: stderr.into() };
        match argv[0].as_str() {
            "initdb" | "pg_basebackup" => {
                if self.files.keys().any(|path| path.starts_with("/data/data/")) {
                    return bad("directory exists but is not empty");
                }
                let system = if argv[0] == "initdb" {
                    self.made += 1;
                    format!("7{}", self.made)
                } else {
                    self.primary.as_ref().map_or_else(String::new, |primary| primary.system.clone())
                };
                self.files.insert("/data/data/PG_VERSION".into(), "15\n".into());
                self.files.insert("/data/data/global/pg_control".into(), system);
                ok(String::new())
            }
            "pg_controldata" if self.cluster() == Some("rubbish") => Outcome::Ran {
                code: 0,
                stdout: "max_connections setting:  4294967295\n".into(),
                stderr: "warning: calculated CRC checksum does not match value stored in control file".into(),
            },
            "pg_controldata" => match self.cluster() {
                Some(system) => ok(format!("Database system identifier:  {system}\nmax_connections setting:  400\n")),
                None => bad("could not open file"),
            },
            "psql" => match &mut self.primary {
                None => bad("connection refused"),
                Some(primary) => {
                    if argv.iter().any(|statement| statement.contains("pg_create_physical")) {
                        primary.slot = Some((false, false));
                    }
                    let bool = |b: bool| if b { "t" } else { "f" };
                    let slot = primary
                        .slot
                        .map_or_else(String::new, |(lost, active)| format!("slot|{}|{}\n", bool(lost), bool(active)));
                    ok(format!("{}|1|0/3000148|postgres\n{slot}", primary.system))
                }
            },
            "postgres" if self.files["/data/.openmanage/engine/postgresql.conf"].contains("4294967295") => {
                bad("outside the range")
            }
            "postgres" => ok("5432\n".into()),
            other => panic!("nobody told how to run {other}"),
        }
    }

    fn query(&mut self, sql: &str) -> Outcome {
        if !self.server {
            return Outcome::Failed("no such socket".into());
        }
        self.queries.push(sql.into());
        if sql.contains("pg_last_wal_replay_lsn()") {
            let streaming = if self.streaming { "1" } else { "0" };
            return Outcome::Rows(vec![vec![Some(streaming.into()), Some("0/3000148".into())]]);
        }
        if sql.contains("pg_conf_load_time") {
            return Outcome::Rows(vec![vec![Some(self.queries.len().to_string())]]);
        }
        Outcome::Rows(vec![])
    }
}
