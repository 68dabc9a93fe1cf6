//! Database clients, as users have them: psql, with the server's certificate checked against the service's authority.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How to reach a server.
#[derive(Clone, Debug)]
pub struct Target {
    /// The DNS name, which the certificate must be good for.
    pub host: String,
    /// The address the name has, by our own DNS server.
    pub address: String,
    /// The user.
    pub user: String,
    /// The user's password.
    pub password: String,
    /// The authority's certificate.
    pub ca: PathBuf,
}

const DONE: &str = "--statement-ended--";

impl Target {
    fn psql(&self) -> Command {
        let conninfo = format!(
            "host={} hostaddr={} user={} dbname=postgres sslmode=verify-full connect_timeout=3",
            self.host, self.address, self.user
        );
        let mut command = Command::new("psql");
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", &conninfo]);
        command.env("PGPASSWORD", &self.password).env("PGSSLROOTCERT", &self.ca);
        command
    }

    /// Runs one statement on a connection of its own.
    ///
    /// # Errors
    /// What psql said.
    pub fn query(&self, sql: &str) -> Result<String, String> {
        let output = self.psql().args(["-c", sql]).stdin(Stdio::null()).output().expect("psql can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Opens a connection that stays.
    ///
    /// # Panics
    /// If psql cannot be run.
    pub fn session(&self) -> Session {
        let mut command = self.psql();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("psql can be run");
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Session { child, stdin, stdout }
    }
}

/// A connection that stays open until it is dropped or lost.
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Runs a statement on this very connection.
    ///
    /// # Errors
    /// If the statement failed or the connection is lost: either way psql has ended.
    pub fn query(&mut self, sql: &str) -> Result<String, String> {
        let lost = |error: std::io::Error| format!("the connection is lost: {error}");
        writeln!(self.stdin, "{sql};\n\\echo {DONE}").map_err(lost)?;
        self.stdin.flush().map_err(lost)?;
        let mut answer = String::new();
        loop {
            let mut line = String::new();
            if self.stdout.read_line(&mut line).map_err(lost)? == 0 {
                return Err(format!("{sql}: failed, or the connection is lost"));
            }
            if line.trim() == DONE {
                return Ok(answer.trim().to_owned());
            }
            answer.push_str(&line);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that writes row after row over one connection until it is told to stop.
pub struct Writer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Option<String>)>,
}

impl Writer {
    /// Begins to write to `table`, which has one column `id`.
    pub fn begin(target: &Target, table: &'static str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut session = target.session();
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut acknowledged = 0;
            while !told.load(Ordering::Relaxed) {
                if let Err(error) = session.query(&format!("INSERT INTO {table} VALUES ({})", acknowledged + 1)) {
                    return (acknowledged, Some(error));
                }
                acknowledged += 1;
            }
            (acknowledged, None)
        });
        Self { stop, thread }
    }

    /// Stops, and tells how many rows were acknowledged and what went wrong, if anything.
    ///
    /// # Panics
    /// If the writing thread did.
    pub fn end(self) -> (u64, Option<String>) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the writer ends")
    }
}
