//! A client at work while something happens, and what must hold afterwards.
//!
//! Main pieces: [`Work`] (a writer, and how the members were before), [`State`] (what a restart or a move would change).
//!
//! **Invariant:** every case ends in [`Work::ended`] or [`Work::undisturbed`]: every acknowledged row is there and none
//! twice, and the storage saw one writer at a time.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use om_tests::eventually;
use om_tests::fleet::Fleet;
use om_tests::testbed::writer::{Database, Writer};
use serde_json::Value;

/// Between two rows.
pub(crate) const PACE: Duration = Duration::from_millis(20);
/// How long a database may take to answer once its member is healthy.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// Where a host keeps the authority's certificate, for programs inside.
const CA: &str = "/run/openmanage-ca.crt";

/// What a restart or a move of any member would change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct State {
    epochs: Vec<u64>,
    containers: Vec<String>,
    /// When the primary's server process was started, as it says itself.
    started: String,
}

impl State {
    /// How it is now.
    pub(crate) fn of(fleet: &Fleet, database: &Database) -> Self {
        let started = eventually(ANSWERS_WITHIN, "the database answers", || {
            database.query(&fleet.hosts.client, "SELECT pg_postmaster_start_time()")
        });
        Self { epochs: fleet.epochs(), containers: fleet.running(), started }
    }
}

/// A client that writes while something happens.
pub(crate) struct Work<'a> {
    fleet: &'a Fleet,
    database: Database,
    before: State,
    writer: Writer,
    /// A second client, on the primary's own node, that no cut of the network keeps from its database.
    beside: Option<Writer>,
    /// When it happened, by both clocks.
    struck: (Instant, SystemTime),
    /// Where the Swarm's leader is, at the beginning: without it, Swarm itself takes its time.
    swarm_leader: usize,
}

impl<'a> Work<'a> {
    /// A client writes through DNS; every member is well.
    pub(crate) fn begin(fleet: &'a Fleet) -> Self {
        let database = fleet.service();
        fleet.all_healthy();
        let before = State::of(fleet, &database);
        let writer = Writer::begin(&fleet.hosts.client, &database, PACE);
        let (struck, swarm_leader) = ((Instant::now(), SystemTime::now()), fleet.swarm_leader());
        let work = Self { fleet, database, before, writer, beside: None, struck, swarm_leader };
        work.fleet.pass(1);
        work
    }

    /// A second client writes from the primary's own node, to the address that the primary has now.
    pub(crate) fn write_beside_the_primary(&mut self) {
        let node = &self.fleet.hosts.nodes[self.fleet.holder(0)];
        let copy = std::fs::read(self.fleet.hosts.client.path(CA)).expect("the client has the certificate");
        std::fs::write(node.path(CA), copy).expect("the node's copy can be written");
        let member = self.fleet.member(0);
        let address = member["address"].as_str().expect("the primary has an address");
        let conninfo = format!("{} hostaddr={address}", self.database.conninfo);
        let database = Database { conninfo, ..self.database.clone() };
        self.beside = Some(Writer::begin_apart(node, &database, PACE));
        self.fleet.pass(1);
    }

    /// What follows happens now.
    pub(crate) fn strike(&mut self) {
        self.struck = (Instant::now(), SystemTime::now());
    }

    /// Waits until a member is healthy on another node than `former`. Yields the place of that node.
    #[track_caller]
    pub(crate) fn moved(&self, index: usize, former: usize) -> usize {
        let place = self.fleet.moved(index, former);
        let after = self.struck.0.elapsed();
        let led = if former == self.swarm_leader { " (the former led the Swarm)" } else { "" };
        println!("orders-{index} is healthy on another node after {after:.2?}{led}; {}", self.told(index));
        place
    }

    /// Waits for a row that was acknowledged from now on.
    #[track_caller]
    pub(crate) fn goes_on(&self) {
        let from = Instant::now();
        eventually(ANSWERS_WITHIN, "a row is acknowledged again", || {
            self.writer.first_after(from).map(drop).ok_or_else(|| "none".to_owned())
        });
    }

    /// What the events tell: when the loss was acted upon, when the member was claimed.
    fn told(&self, index: usize) -> String {
        let printed = self.fleet.try_call(&["--output", "json", "events"]).unwrap_or_default();
        let events: Vec<Value> = printed.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let since = |text: &str| {
            let at = |event: &Value| after(self.struck.1, event["at"].as_str()?);
            let told = |event: &&Value| event["message"].as_str().is_some_and(|message| message.contains(text));
            let first = events.iter().filter(told).find_map(at);
            first.map(|at| format!("{at:.2?}"))
        };
        let name = format!("orders-{index} is held by");
        let word = |found: Option<String>| found.unwrap_or_else(|| "?".to_owned());
        format!("acted upon after {}, claimed after {}", word(since("accepted")), word(since(&name)))
    }

    /// Ends the clients: every row that was acknowledged is there, none twice, and there was one writer.
    #[track_caller]
    pub(crate) fn ended(self) -> Duration {
        self.end().0
    }

    /// The same, where nothing may have moved or been restarted, and no row may have taken longer than `gap`.
    #[track_caller]
    pub(crate) fn undisturbed(self, gap: Duration) {
        let fleet = self.fleet;
        let after = State::of(fleet, &self.database);
        let (seen, before) = self.end();
        assert_eq!(after, before, "nothing moved and nothing was restarted");
        assert!(seen <= gap, "no row for {seen:?}, which is more than {gap:?}");
    }

    #[track_caller]
    fn end(self) -> (Duration, State) {
        let first = self.writer.first_after(self.struck.0).map(|at| at - self.struck.0);
        let written = self.writer.end();
        println!("{} rows, longest gap {:.2?}, first row after {first:.2?}", written.rows.len(), written.gap());
        let client = &self.fleet.hosts.client;
        eventually(ANSWERS_WITHIN, "the database answers", || self.database.query(client, "SELECT 1"));
        written.verify(client, &self.database).expect("every acknowledged row, once");
        if let Some(beside) = self.beside.map(Writer::end) {
            println!("{} rows from the primary's own node", beside.rows.len());
            beside.verify(client, &self.database).expect("every row that was acknowledged beside the primary, once");
        }
        self.fleet.one_writer();
        (written.gap(), self.before)
    }
}

/// How long after `moment` an event was, by its time in RFC 3339; none if it was before.
fn after(moment: SystemTime, at: &str) -> Option<Duration> {
    let clock = at.split_once('T')?.1.trim_end_matches('Z');
    let seconds = clock.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
    let struck = moment.duration_since(UNIX_EPOCH).ok()?.as_secs_f64() % 86_400.0;
    // Both are of the same day, or the event is of the next.
    let passed = (seconds - struck + 86_400.0) % 86_400.0;
    (passed < 43_200.0).then(|| Duration::from_secs_f64(passed))
}
