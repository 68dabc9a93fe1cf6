//! A server over fakes. Time is tokio's, paused: it moves when everybody waits.
#![allow(clippy::disallowed_methods, reason = "the home of the tests' clock")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{BoxFuture, Either, select};
use om_backend::fake::{
    FakeAgent, FakeAgents, FakeAuthority, FakeNames, FakeOrchestrator, FakeSeal, FakeVolumes, World, keep_reporting,
};
use om_backend::faulty::{Faults, FaultyDb, Moment};
use om_backend::{Agents, Clock, Entropy, OneAgent, Runtime, Tasks};
use om_controldb::memory::MemoryDb;
use om_controldb::{ControlDb, Entry, Key, PAGE_MAX};
use om_model::{
    ByteSize, MemberName, OperationState, Resources, ServiceName, ServiceRecord, ServiceSpec, Timestamp, VolumeSizes,
};
use om_planning::{Change, VolumeFate};

use crate::{Accepted, Addressing, Control, ControlError, Ports, ServiceOperation, Settings, Submission};

/// One server, its database and the world outside.
pub(crate) struct Server {
    pub(crate) control: Arc<Control>,
    pub(crate) db: MemoryDb,
    pub(crate) world: World,
    pub(crate) names: FakeNames,
    pub(crate) time: Arc<Simple>,
    pub(crate) agents: FakeAgents,
}

impl Server {
    /// A server with an empty database.
    pub(crate) fn new() -> Self {
        let (db, world, names, time) = (MemoryDb::new(), World::new(), FakeNames::default(), Arc::new(Simple::new()));
        let control = control(&db, &world, &names, &time);
        let agents = FakeAgents::new(world.clone());
        Self { control, db, world, names, time, agents }
    }

    /// A server of a cluster with these nodes, which have joined, with members' addresses from there.
    pub(crate) async fn with_nodes(names: &[&str], addresses: Addressing) -> Self {
        let (db, names, time) = (MemoryDb::new(), (FakeNames::default(), names), Arc::new(Simple::new()));
        let (names, world) = (names.0, World::with_nodes(names.1));
        let agents = FakeAgents::new(world.clone());
        let control = Control::new(ports(&db, &world, Arc::new(agents.clone()), &names, &time), several(addresses));
        world.connect(control.clone());
        let server = Self { control, db, world, names, time, agents };
        let joined = async {
            while server.control.store.roster().await.expect("read").nodes.len() < server.world.lock().nodes.len() {
                server.pass(Duration::from_millis(100)).await;
            }
            server.pass(Duration::from_secs(3)).await;
        };
        server.beside(joined).await;
        server
    }

    /// Another server of the same cluster; the world goes on talking to the first.
    pub(crate) fn second(&self, addresses: Addressing) -> Arc<Control> {
        let agents = Arc::new(self.agents.clone());
        let settings = Settings { server: "server2".into(), ..several(addresses) };
        Control::new(ports(&self.db, &self.world, agents, &self.names, &self.time), settings)
    }

    /// Another process over the same database; the world talks to that one from now on.
    pub(crate) fn another(&self) -> Arc<Control> {
        control(&self.db, &self.world, &self.names, &self.time)
    }

    /// Runs `test` beside the background work.
    pub(crate) async fn beside<T>(&self, test: impl Future<Output = T>) -> T {
        let reports = keep_reporting(self.world.clone(), self.time.clone());
        let work = futures::future::join(self.control.clone().run(), reports);
        match select(Box::pin(test), Box::pin(work)).await {
            Either::Left((value, _)) => value,
            Either::Right(_) => panic!("the background work ended"),
        }
    }

    pub(crate) async fn submit(&self, change: Change) -> Result<Accepted, ControlError> {
        self.submit_as(&orders(), change, None).await
    }

    pub(crate) async fn submit_as(
        &self,
        service: &ServiceName,
        change: Change,
        key: Option<&str>,
    ) -> Result<Accepted, ControlError> {
        let submission =
            Submission { service: service.clone(), change, idempotency_key: key.map(str::to_owned), deadline: None };
        self.control.submit(submission).await
    }

    /// Submits, and waits until the operation has ended.
    pub(crate) async fn carry(&self, change: Change) -> ServiceOperation {
        let accepted = self.submit(change).await.expect("accepted");
        self.ended(&accepted.operation).await
    }

    pub(crate) async fn ended(&self, operation: &ServiceOperation) -> ServiceOperation {
        loop {
            let now = self.control.operation(&operation.id).await.expect("stored");
            if now.state.ended() {
                return now;
            }
            self.pass(Duration::from_millis(100)).await;
        }
    }

    /// The service orders with `replicas` members, active.
    pub(crate) async fn with_service(&self, replicas: u16) -> ServiceRecord {
        let operation = self.carry(create(replicas)).await;
        assert_eq!(operation.state, OperationState::Succeeded, "{:?}", operation.reason);
        self.pass(Duration::from_secs(1)).await;
        self.service().await
    }

    /// An operation that is under way until its deadline: a start that waits for the member 0, which does not answer.
    pub(crate) async fn under_way(&self, service: &ServiceRecord) -> ServiceOperation {
        self.world.lock().mounted.remove(&(service.id.clone(), MemberName::of(&service.name, 0)));
        let accepted = self.submit_as(&service.name, Change::Start, None).await.expect("accepted");
        self.pass(Duration::from_secs(2)).await;
        let operation = self.control.operation(&accepted.operation.id).await.expect("there");
        assert_eq!(operation.state, OperationState::Running);
        operation
    }

    pub(crate) async fn service(&self) -> ServiceRecord {
        self.control.service(&orders()).await.expect("there")
    }

    pub(crate) async fn pass(&self, length: Duration) {
        self.time.sleep(length).await;
    }

    /// Every record there is.
    pub(crate) async fn records(&self) -> Vec<Entry> {
        let mut found: Vec<Entry> = Vec::new();
        // Every folder's name begins with a lower-case letter.
        for letter in 'a'..='z' {
            let prefix = Key::new(letter).expect("a key");
            let mut after = None;
            loop {
                let page = self.db.list(&prefix, after.as_ref(), PAGE_MAX).await.expect("listed");
                after = page.entries.last().map(|entry| entry.key.clone());
                found.extend(page.entries);
                if !page.more {
                    break;
                }
            }
        }
        found
    }

    /// The keys that begin with `folder`.
    pub(crate) async fn keys_under(&self, folder: &str) -> Vec<String> {
        let keys = self.records().await.into_iter().map(|entry| entry.key.to_string());
        keys.filter(|key| key.starts_with(folder)).collect()
    }
}

fn control(db: &MemoryDb, world: &World, names: &FakeNames, time: &Arc<Simple>) -> Arc<Control> {
    let agents = OneAgent {
        agent: Arc::new(FakeAgent::new(world.clone())),
        volumes: Arc::new(FakeVolumes::new(world.clone())),
        names: Arc::new(names.clone()),
    };
    let control = Control::new(ports(db, world, Arc::new(agents), names, time), one_machine());
    world.connect(control.clone());
    control
}

fn ports(db: &MemoryDb, world: &World, agents: Arc<dyn Agents>, names: &FakeNames, time: &Arc<Simple>) -> Ports {
    Ports {
        db: Arc::new(FaultyDb::new(Arc::new(db.clone()), time.clone())),
        runtime: Runtime { clock: time.clone(), tasks: time.clone(), entropy: time.clone() },
        orchestrator: Arc::new(FakeOrchestrator::new(world.clone())),
        agents,
        names: Arc::new(names.clone()),
        seal: Arc::new(FakeSeal),
        authority: Arc::new(FakeAuthority),
    }
}

fn one_machine() -> Settings {
    Settings {
        cluster: "test".parse().expect("a name"),
        zone: "test-openmanage.com".parse().expect("a zone"),
        region: None,
        zones: Vec::new(),
        server_addresses: vec!["127.0.0.1".parse().expect("an address")],
        addresses: Addressing::Orchestrator,
        detection: crate::Detection::default(),
        server: "server1".into(),
        several_nodes: false,
    }
}

fn several(addresses: Addressing) -> Settings {
    Settings { addresses, several_nodes: true, ..one_machine() }
}

/// A range of addresses for members alone.
pub(crate) fn static_range() -> Addressing {
    let address = |last| std::net::Ipv4Addr::new(198, 51, 100, last);
    Addressing::Static { first: address(10), last: address(20) }
}

pub(crate) fn orders() -> ServiceName {
    name("orders")
}

pub(crate) fn name(text: &str) -> ServiceName {
    text.parse().expect("a name")
}

pub(crate) fn member(index: u16) -> MemberName {
    MemberName::of(&orders(), index)
}

pub(crate) fn spec(replicas: u16) -> ServiceSpec {
    ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas,
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        volumes: VolumeSizes { data: ByteSize::bytes(10 << 30), journal: None },
        settings: [].into(),
        options: [].into(),
        places: vec![],
    }
}

pub(crate) fn create(replicas: u16) -> Change {
    Change::Create { spec: spec(replicas) }
}

pub(crate) const DELETE: Change = Change::Delete { volumes: VolumeFate::Keep };

pub(crate) fn configure(setting: &str, value: &str) -> Change {
    let settings = [(setting.to_owned(), Some(value.to_owned()))].into();
    Change::Configure { settings, options: [].into() }
}

/// Paused time that can jump, tokio's tasks, and chance that counts: never the same twice.
pub(crate) struct Simple {
    began: tokio::time::Instant,
    jumped: AtomicU64,
    drawn: AtomicU64,
}

impl Simple {
    fn new() -> Self {
        Self { began: tokio::time::Instant::now(), jumped: AtomicU64::new(0), drawn: AtomicU64::new(0) }
    }

    /// The wall clock goes on by so much at once; nobody who sleeps wakes for it.
    pub(crate) fn jump(&self, length: Duration) {
        let ms = u64::try_from(length.as_millis()).expect("small");
        self.jumped.fetch_add(ms, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for Simple {
    fn now(&self) -> Timestamp {
        let jumped = Duration::from_millis(self.jumped.load(Ordering::Relaxed));
        Timestamp::from_millis(1_700_000_000_000).plus(self.began.elapsed()).plus(jumped)
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Tasks for Simple {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

/// Nothing fails; but every call of the database gives way, so that what happens at once is really mixed.
#[async_trait]
impl Faults for Simple {
    async fn at(&self, _: Moment, _: &str) -> Option<String> {
        tokio::task::yield_now().await;
        None
    }
}

impl Entropy for Simple {
    fn fill(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            chunk.copy_from_slice(&drawn.to_be_bytes()[..chunk.len()]);
        }
    }
}
