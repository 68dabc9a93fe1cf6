//! A client that writes rows to PostgreSQL at a steady rate, and what became of them.
//!
//! Every attempt writes a key of its own and no key is tried twice, so an attempt of unknown outcome may leave a row or
//! none, and the table (which has no unique index) shows a row that was applied twice. The server's name is resolved for
//! each connection, by the DNS servers that the client's host was given.
//!
//! **Invariant:** a row counts as acknowledged only if psql went on to the command after it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Host;

/// How long a statement or a connection may take before it is given up and another connection is made.
const PATIENCE: Duration = Duration::from_secs(2);
/// The pause before another connection is tried.
const RETRY: Duration = Duration::from_millis(50);
/// More keys than one client uses.
const APART: u64 = 1_000_000_000;
const DONE: &str = "--statement-ended--";

/// How a database is reached.
#[derive(Clone, Debug)]
pub struct Database {
    /// What libpq connects to: `host=… user=… dbname=… sslmode=… sslrootcert=…`.
    pub conninfo: String,
    /// The user's password.
    pub password: String,
}

impl Database {
    /// psql in the host whose first process is `pid`; it is in that host's PID namespace no more than it needs to be, so
    /// that its own id is the one to kill.
    fn psql(&self, pid: u32) -> Command {
        let conninfo = format!("{} connect_timeout=2 tcp_user_timeout=2000", self.conninfo);
        let mut command = Command::new("nsenter");
        command.args(["-t", &pid.to_string(), "-m", "-u", "-i", "-n"]);
        command.args(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", &conninfo]).env("PGPASSWORD", &self.password);
        command
    }

    /// Runs one statement on a connection of its own.
    ///
    /// # Errors
    /// What psql said.
    pub fn query(&self, client: &Host, sql: &str) -> Result<String, String> {
        let mut command = self.psql(client.pid());
        let output = command.args(["-c", sql]).stdin(Stdio::null()).output().expect("psql can be run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }
}

/// A row whose commit the server acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its key.
    pub id: u64,
    /// When the acknowledgement was seen.
    pub at: Instant,
}

/// A running client. It ends with a case that fails, so that its rows are not in the way of the next.
pub struct Writer {
    stop: Arc<AtomicBool>,
    rows: Arc<Mutex<Vec<Row>>>,
    began: Instant,
    /// Until it has been waited for.
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Makes the table `rows` if need be and writes to it every `pause` from now on, from the host `client`. Keys begin
    /// after the greatest that is there.
    ///
    /// # Panics
    /// If the table cannot be made.
    pub fn begin(client: &Host, database: &Database, pause: Duration) -> Self {
        Self::begin_after(client, database, pause, 0)
    }

    /// The same beside a client that runs already: the keys are far from the other's.
    ///
    /// # Panics
    /// If the table cannot be made.
    pub fn begin_apart(client: &Host, database: &Database, pause: Duration) -> Self {
        Self::begin_after(client, database, pause, APART)
    }

    fn begin_after(client: &Host, database: &Database, pause: Duration, distance: u64) -> Self {
        let prepare = "CREATE TABLE IF NOT EXISTS rows (id bigint); SELECT coalesce(max(id), 0) FROM rows";
        let greatest = database.query(client, prepare).unwrap_or_else(|error| panic!("the table rows: {error}"));
        let greatest: u64 = greatest.parse().unwrap_or_else(|_| panic!("no number: {greatest}"));
        let greatest = greatest + distance;
        let (stop, rows) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let task =
            Task { pid: client.pid(), database: database.clone(), pause, stop: stop.clone(), rows: rows.clone() };
        Self { stop, rows, began: Instant::now(), thread: Some(std::thread::spawn(move || task.run(greatest))) }
    }

    /// The rows acknowledged so far.
    ///
    /// # Panics
    /// Never.
    pub fn rows(&self) -> Vec<Row> {
        self.rows.lock().expect("no panic while held").clone()
    }

    /// When the first row was acknowledged after `moment`, if one was.
    pub fn first_after(&self, moment: Instant) -> Option<Instant> {
        self.rows().into_iter().map(|row| row.at).find(|at| *at > moment)
    }

    /// Stops the client.
    ///
    /// # Panics
    /// If it panicked.
    pub fn end(mut self) -> Written {
        self.stop.store(true, Ordering::Relaxed);
        let rows = Arc::clone(&self.rows);
        let thread = self.thread.take().expect("a writer is ended once");
        thread.join().expect("the writer ends");
        let rows = rows.lock().expect("no panic while held").clone();
        Written { rows, began: self.began, ended: Instant::now() }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a client wrote.
#[derive(Clone, Debug)]
pub struct Written {
    /// Acknowledged rows, in order.
    pub rows: Vec<Row>,
    began: Instant,
    ended: Instant,
}

impl Written {
    /// The longest time without an acknowledgement.
    pub fn gap(&self) -> Duration {
        let moments: Vec<Instant> =
            [self.began].into_iter().chain(self.rows.iter().map(|row| row.at)).chain([self.ended]).collect();
        moments.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
    }

    /// Looks whether every acknowledged row is there and none is there twice. Yields how many rows there are.
    ///
    /// # Errors
    /// What is missing or there twice, or what psql said.
    pub fn verify(&self, client: &Host, database: &Database) -> Result<usize, String> {
        let listed = database.query(client, "SELECT id FROM rows ORDER BY id")?;
        let listed: Vec<u64> = listed.lines().filter_map(|line| line.parse().ok()).collect();
        let twice: Vec<u64> = listed.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        let there: BTreeSet<u64> = listed.iter().copied().collect();
        let lost: Vec<u64> = self.rows.iter().map(|row| row.id).filter(|id| !there.contains(id)).collect();
        if lost.is_empty() && twice.is_empty() {
            return Ok(listed.len());
        }
        let acknowledged = self.rows.len();
        Err(format!("of {acknowledged} acknowledged rows these are lost: {lost:?}; these are there twice: {twice:?}"))
    }
}

/// The client's thread.
struct Task {
    pid: u32,
    database: Database,
    pause: Duration,
    stop: Arc<AtomicBool>,
    rows: Arc<Mutex<Vec<Row>>>,
}

impl Task {
    fn run(self, mut id: u64) {
        let mut connection: Option<Connection> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let open = connection.get_or_insert_with(|| Connection::open(self.database.psql(self.pid)));
            id += 1;
            if open.done(&format!("INSERT INTO rows VALUES ({id})")) {
                self.rows.lock().expect("no panic while held").push(Row { id, at: Instant::now() });
                std::thread::sleep(self.pause);
            } else {
                connection = None;
                std::thread::sleep(RETRY);
            }
        }
    }
}

/// A psql that is given statements one by one.
struct Connection {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Connection {
    fn open(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("psql can be run");
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, lines) = channel();
        // Ends with psql's output, or when nobody listens any more.
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok()));
        Self { child, stdin, lines }
    }

    /// Runs a statement. False if it failed, or nothing was heard for so long that the connection is given up.
    fn done(&mut self, sql: &str) -> bool {
        let told = writeln!(self.stdin, "{sql};\n\\echo {DONE}").and_then(|()| self.stdin.flush());
        let heard = told.is_ok().then(|| self.lines.recv_timeout(PATIENCE).ok()).flatten();
        heard.as_deref() == Some(DONE)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
