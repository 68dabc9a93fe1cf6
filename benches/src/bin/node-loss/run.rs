//! One loss of power: the node that holds the primary goes, while a client writes.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime};

use om_benches::fleets::{interrupted, words};
use om_model::MemberRecord;
use om_tests::fleet::{CLUSTER, Fleet, SERVICE};
use om_tests::testbed::Host;
use om_tests::testbed::writer::{Database, Writer, Written};

use crate::inside::{self, Answers, Over};
use crate::seconds;
use crate::watching::Timeline;

/// The client's pause between two rows.
pub(crate) const PACE: Duration = Duration::from_millis(20);
/// How long the client writes before the power goes.
pub(crate) const BEFORE: Duration = Duration::from_secs(2);
/// How long a service may be away before the run is given up.
pub(crate) const LIMIT: Duration = Duration::from_secs(180);
const PORT: u16 = 5432;

/// What is waited for, in the order of the protocol.
pub(crate) const MOMENTS: [&str; 8] = [
    "lost",
    "claimed",
    "fenced",
    "mounted, published",
    "container runs",
    "address answers",
    "name answers",
    "first write",
];
/// Where the figures of the aim are in [`MOMENTS`].
pub(crate) const CONTAINER: usize = 4;
pub(crate) const ADDRESS: usize = 5;
pub(crate) const NAME: usize = 6;
pub(crate) const WRITE: usize = 7;

/// What came of it.
pub(crate) struct Run {
    /// What else the lost node was.
    pub(crate) also: BTreeSet<Role>,
    /// Seconds from the loss of power to each of [`MOMENTS`].
    pub(crate) after: [f64; MOMENTS.len()],
    /// Rows acknowledged, before and after.
    pub(crate) rows: usize,
    /// Acknowledged rows that are not there or there twice, in words.
    pub(crate) wrong_rows: Option<String>,
    /// Two writers that the storage saw, in words.
    pub(crate) overlaps: Option<String>,
    /// How long the whole run took, with bringing the node back.
    pub(crate) took: Duration,
}

/// What a node may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Docker Swarm.
    Swarm,
    /// The servers.
    Server,
    /// etcd.
    Etcd,
}

impl fmt::Display for Role {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Swarm => "Swarm's leader",
            Self::Server => "the leading server",
            Self::Etcd => "etcd's leader",
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moments = MOMENTS.iter().zip(self.after).map(|(name, after)| format!("{name} {after:.2}"));
        out.write_str(&moments.collect::<Vec<_>>().join(", "))?;
        let also: Vec<String> = self.also.iter().map(Role::to_string).collect();
        write!(
            out,
            "; {} rows; also lost: {}",
            self.rows,
            if also.is_empty() { "-".to_owned() } else { also.join(", ") }
        )?;
        for wrong in self.wrong_rows.iter().chain(&self.overlaps) {
            write!(out, "; WRONG: {wrong}")?;
        }
        write!(out, "; took {:.0} s", self.took.as_secs_f64())
    }
}

/// What is seen while it goes on.
#[derive(Default)]
struct Seen {
    records: Timeline,
    address: Answers,
    /// One for each name server that stays.
    names: [Answers; 2],
}

/// Takes the power of the node that holds the primary, waits until the client's rows are accepted again, counts them, and
/// brings everything back.
///
/// # Panics
/// If something does not come back.
pub(crate) fn measure(fleet: &Fleet, database: &Database) -> Run {
    let began = Instant::now();
    let client = &fleet.hosts.client;
    let former = fleet.holder(0);
    let writer = Writer::begin(client, database, PACE);
    std::thread::sleep(BEFORE);
    let (seen, mut also) = (Seen::default(), led_by(fleet, former));
    let after = watched(fleet, former, &seen, &writer, &mut also);
    fleet.moved(0, former);
    let written = writer.end();
    let wrong_rows = wrong_rows(&written, fleet, database);
    let overlaps = catch_unwind(AssertUnwindSafe(|| fleet.one_writer())).err().map(|panic| words(panic.as_ref()));
    fleet.recover();
    Run { also, after, rows: written.rows.len(), wrong_rows, overlaps, took: began.elapsed() }
}

/// Takes the power while threads look. Yields when each moment came.
fn watched(fleet: &Fleet, former: usize, seen: &Seen, writer: &Writer, also: &mut BTreeSet<Role>) -> [f64; 8] {
    let (client, over) = (&fleet.hosts.client, AtomicBool::new(false));
    let (lost, stay) = split(&fleet.hosts.nodes, former);
    let endpoints: Vec<String> = stay.iter().map(|node| format!("http://{}:2379", node.address)).collect();
    let member = fleet.member(0);
    let address = member["address"].as_str().and_then(|text| text.parse().ok()).expect("the member has an address");
    let name = format!("{SERVICE}-0.{CLUSTER}-openmanage.com");
    std::thread::scope(|scope| {
        let _ends = Over(&over);
        inside::spawn(scope, client, || seen.records.follow(&over, &endpoints));
        inside::spawn(scope, client, || seen.address.of_address(&over, SocketAddr::new(address, PORT)));
        for (answers, node) in seen.names.iter().zip(&stay) {
            inside::spawn(scope, client, || answers.of_name(&over, &node.address, &name));
        }
        let before = om_tests::eventually(Duration::from_secs(20), "the records are seen", || {
            seen.records.last().ok_or_else(|| "nothing yet".to_owned())
        });
        if before.leading == lost.name {
            also.insert(Role::Server);
        }
        let epoch = primary(&before.members).binding.epoch;
        let (off, wall) = (Instant::now(), SystemTime::now());
        fleet.power_off(former);
        let anew = |members: &[MemberRecord]| Some(primary(members).binding.clone()).filter(|now| now.epoch > epoch);
        let moments = wait(off, || {
            let claimed = seen.records.first(|sight| anew(&sight.members).is_some())?;
            let published = seen.records.first(|sight| anew(&sight.members).is_some_and(|now| now.published))?;
            let fenced = |now: om_model::Binding| now.unfenced.is_empty();
            let names: Option<Vec<Instant>> = seen.names.iter().map(|one| one.first_since(published)).collect();
            Some([
                seen.records.first(|sight| sight.lost.contains(&lost.name))?,
                claimed,
                seen.records.first(|sight| anew(&sight.members).is_some_and(fenced))?,
                published,
                seen.address.first_since(claimed)?,
                names?.into_iter().max()?,
                writer.first_after(claimed)?,
            ])
        });
        let [missed, claimed, fenced, published, address, names, write] = moments.map(|at| seconds(off, at));
        let container = first_start(&stay, &format!("{SERVICE}-0-"), wall).expect("its container was started");
        [missed, claimed, fenced, published, container, address, names, write]
    })
}

/// Waits until all moments are known.
pub(crate) fn wait<T>(off: Instant, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(off.elapsed() < LIMIT, "the service did not come back within {LIMIT:?}");
        assert!(!interrupted(), "interrupted");
        std::thread::sleep(inside::EVERY);
    }
}

fn primary(members: &[MemberRecord]) -> &MemberRecord {
    members.iter().find(|member| member.index == 0).expect("the service has a first member")
}

/// One host, and the others.
pub(crate) fn split(nodes: &[Host], at: usize) -> (&Host, Vec<&Host>) {
    (&nodes[at], nodes.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, node)| node).collect())
}

/// Seconds from `since` to the first start of a container whose name begins with `name`, on any of these hosts: by the
/// Docker engines' own records, asked for afterwards.
pub(crate) fn first_start(hosts: &[&Host], name: &str, since: SystemTime) -> Option<f64> {
    let unix = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let text = |time: Duration| format!("{}.{:09}", time.as_secs(), time.subsec_nanos());
    let (from, to) = (text(unix(since)), text(unix(SystemTime::now())));
    let format = "{{.TimeNano}} {{.Actor.Attributes.name}}";
    let words = ["events", "--since", &from, "--until", &to, "--filter", "event=start", "--filter", "type=container"];
    let listed = hosts.iter().filter_map(|host| host.docker(&[&words[..], &["--format", format]].concat()).ok());
    let started = listed.flat_map(|lines| {
        let ours = lines.lines().filter_map(|line| line.split_once(' ')).filter(|(_, own)| own.starts_with(name));
        ours.filter_map(|(at, _)| at.parse().ok().map(Duration::from_nanos)).collect::<Vec<_>>()
    });
    started.min().map(|at| at.saturating_sub(unix(since)).as_secs_f64())
}

/// What the node leads, of Swarm and etcd.
fn led_by(fleet: &Fleet, at: usize) -> BTreeSet<Role> {
    let node = &fleet.hosts.nodes[at];
    let mut also = BTreeSet::new();
    if fleet.hosts.swarm_leader().is_ok_and(|leader| leader == node.name) {
        also.insert(Role::Swarm);
    }
    let url = format!("http://{}:2379/v3/maintenance/status", node.address);
    let status = node.run(&["curl", "--silent", "--max-time", "2", "--data", "{}", &url]).unwrap_or_default();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
    if status["leader"].is_string() && status["leader"] == status["header"]["member_id"] {
        also.insert(Role::Etcd);
    }
    also
}

/// What is wrong with the rows, if anything is. A database that cannot be asked at once is asked again.
fn wrong_rows(written: &Written, fleet: &Fleet, database: &Database) -> Option<String> {
    let mut wrong = None;
    for _ in 0..10 {
        wrong = written.verify(&fleet.hosts.client, database).err();
        if wrong.as_ref().is_none_or(|wrong| wrong.contains("acknowledged rows")) {
            break;
        }
        std::thread::sleep(Duration::from_secs(1));
    }
    wrong
}
