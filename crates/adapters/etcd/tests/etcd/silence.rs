//! Three members of which one falls silent: frozen, it takes connections and answers nothing, as after the loss of its
//! machine's power no packet tells of it.

use std::time::{Duration, Instant};

use om_controldb::{ControlDb, ErrorKind, Key, Watch};
use om_etcd::{EtcdDb, Options};

use crate::server::EtcdServer;

const READ_WITHIN: Duration = Duration::from_millis(2000);
const WRITE_WITHIN: Duration = Duration::from_millis(2500);
const WATCH_WITHIN: Duration = Duration::from_millis(3000);

/// The cluster, and a client that uses the member `first`.
struct Scene {
    servers: [EtcdServer; 3],
    endpoints: Vec<String>,
    db: EtcdDb,
    leader: usize,
    first: usize,
}

impl Scene {
    /// The client's first endpoint is the leader's, or another one's.
    async fn new(leader_first: bool) -> Self {
        let servers = EtcdServer::start_three();
        let leader = leader(&servers).await;
        let first = if leader_first { leader } else { (leader + 1) % 3 };
        let endpoints: Vec<_> = (0..3).flat_map(|next| servers[(first + next) % 3].endpoints()).collect();
        let db = EtcdDb::connect(&endpoints, "om", patient()).await.expect("connected");
        db.create(&key("kept"), b"1").await.expect("created");
        Self { servers, endpoints, db, leader, first }
    }

    /// Some member that is neither the one in use nor the leader.
    fn bystander(&self) -> usize {
        (0..3).find(|index| *index != self.leader && *index != self.first).expect("three members")
    }
}

fn patient() -> Options {
    Options { call_timeout: Duration::from_secs(5), ..Options::default() }
}

fn key(text: &str) -> Key {
    Key::new(text).expect("a good key")
}

async fn leader(servers: &[EtcdServer; 3]) -> usize {
    loop {
        for (index, server) in servers.iter().enumerate() {
            let leads = async {
                let mut client = etcd_client::Client::connect(server.endpoints(), None).await?;
                let status = client.status().await?;
                let own = status.header().map(|header| header.member_id());
                Ok::<_, etcd_client::Error>(own == Some(status.leader()))
            };
            if leads.await.unwrap_or(false) {
                return index;
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Writes until one write is acknowledged.
async fn write(db: &EtcdDb, key: &Key) -> u32 {
    let mut unknown = 0;
    loop {
        let found = db.get(key).await.expect("read").expect("there");
        match db.update(key, &found.revision, b"again").await {
            Ok(_) => return unknown,
            Err(error) if error.kind == ErrorKind::Unavailable => unknown += 1,
            // The one of unknown outcome was applied after the reading.
            Err(error) => assert!(error.is_conflict(), "{error}"),
        }
    }
}

async fn woken(watch: &mut dyn Watch, within: Duration) {
    let told = tokio::time::timeout(within, watch.changed()).await;
    told.unwrap_or_else(|_| panic!("nothing within {within:?}")).expect("the watch goes on");
}

/// Freezes the member; reading, writing and watching go on in time, and after its return too.
async fn goes_on_without(scene: &Scene, silent: usize) {
    let (db, watched) = (&scene.db, key("watched/one"));
    let mut watch = db.watch(&key("watched/")).await.expect("armed");
    scene.servers[silent].signal("STOP");
    let began = Instant::now();
    let (read, written) = tokio::join!(
        async {
            assert!(db.get(&key("kept")).await.expect("read").is_some());
            began.elapsed()
        },
        async {
            let unknown = write(db, &key("kept")).await;
            (began.elapsed(), unknown)
        }
    );
    db.create(&watched, b"1").await.expect("created");
    let created = Instant::now();
    woken(&mut *watch, WATCH_WITHIN).await;
    let (woke, settled) = (began.elapsed(), Instant::now());
    db.get(&key("kept")).await.expect("read");
    println!(
        "read {read:?}, write {:?} ({} unknown), watch {woke:?} ({:?} after the change), then a read {:?}",
        written.0,
        written.1,
        created.elapsed(),
        settled.elapsed()
    );
    assert!(read < READ_WITHIN && written.0 < WRITE_WITHIN, "read {read:?}, write {:?}", written.0);
    assert!(woke < WATCH_WITHIN, "{woke:?} after the silence began");
    // It may have been woken without a change; a change from now on is told of in any case, and at once.
    while tokio::time::timeout(Duration::from_millis(1500), watch.changed()).await.is_ok() {}
    write(db, &watched).await;
    woken(&mut *watch, Duration::from_millis(500)).await;
    scene.servers[silent].signal("CONT");
    write(db, &watched).await;
    woken(&mut *watch, WATCH_WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_in_use_falls_silent() {
    let scene = Scene::new(true).await;
    goes_on_without(&scene, scene.leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_member_in_use_falls_silent() {
    let scene = Scene::new(false).await;
    goes_on_without(&scene, scene.first).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_falls_silent_while_another_member_is_in_use() {
    let scene = Scene::new(false).await;
    goes_on_without(&scene, scene.leader).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bystander_falls_silent() {
    let scene = Scene::new(false).await;
    goes_on_without(&scene, scene.bystander()).await;
}

/// A write that left just before the silence was found: its outcome stays unknown, and the next one goes elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_sent_into_silence_is_given_up_and_the_next_one_is_not() {
    let scene = Scene::new(false).await;
    let mut unknown = 0;
    // More than one round, should the machine be too slow for a write right after an answer.
    for round in 0..5 {
        let found = scene.db.get(&key("kept")).await.expect("read").expect("there");
        let used = if round % 2 == 0 { scene.first } else { (scene.first + 1) % 3 };
        scene.servers[used].signal("STOP");
        let began = Instant::now();
        let sent = scene.db.update(&key("kept"), &found.revision, b"2").await;
        let given_up = began.elapsed();
        write(&scene.db, &key("kept")).await;
        println!("sent into silence: {} after {given_up:?}; written {:?}", sent.is_ok(), began.elapsed());
        assert!(began.elapsed() < WRITE_WITHIN, "{:?}", began.elapsed());
        if let Err(error) = sent {
            assert!(error.kind == ErrorKind::Unavailable && error.to_string().contains("within 1.5s"), "{error}");
            unknown += 1;
        }
        scene.servers[used].signal("CONT");
    }
    assert!(unknown > 0, "no write was under way when the silence began: the test proves nothing");
}

/// Killed, its kernel tells: nobody waits for anything but the election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_member_is_left_at_once() {
    let mut scene = Scene::new(false).await;
    let mut watch = scene.db.watch(&key("kept")).await.expect("armed");
    let found = scene.db.get(&key("kept")).await.expect("read").expect("there");
    let first = scene.first;
    scene.servers[first].kill();
    let began = Instant::now();
    // It provably was not sent where nobody listens, so it is sent elsewhere; or the connection broke under it.
    let direct = scene.db.update(&key("kept"), &found.revision, b"2").await;
    let answered = began.elapsed();
    write(&scene.db, &key("kept")).await;
    let written = began.elapsed();
    woken(&mut *watch, Duration::from_secs(1)).await;
    println!("update {answered:?} ({}), write {written:?}, watch {:?}", direct.is_ok(), began.elapsed());
    assert!(written < Duration::from_millis(500), "{written:?}");
    scene.servers[first].restart();
    while tokio::time::timeout(Duration::from_millis(300), watch.changed()).await.is_ok() {}
    write(&scene.db, &key("kept")).await;
    woken(&mut *watch, Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_silent_is_a_clear_error_in_time_and_not_for_ever() {
    let scene = Scene::new(true).await;
    let hasty = Options { call_timeout: Duration::from_secs(2), ..Options::default() };
    let db = EtcdDb::connect(&scene.endpoints, "om", hasty).await.expect("connected");
    let mut watch = db.watch(&key("kept")).await.expect("armed");
    let found = db.get(&key("kept")).await.expect("read").expect("there");
    scene.servers.iter().for_each(|server| server.signal("STOP"));
    let began = Instant::now();
    let kept = key("kept");
    let (read, written, ended) = tokio::join!(
        db.get(&kept),
        db.update(&kept, &found.revision, b"2"),
        tokio::time::timeout(Duration::from_secs(5), watch.changed())
    );
    for error in [read.expect_err("silent"), written.expect_err("silent"), ended.expect("told").expect_err("silent")] {
        assert_eq!(error.kind, ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("no answer within"), "{error}");
    }
    println!("all silent: told within {:?}", began.elapsed());
    // The next write is not even sent: it could not be known whether it was applied.
    let began = Instant::now();
    db.create(&key("never"), b"").await.expect_err("silent");
    assert!(began.elapsed() < Duration::from_millis(2500), "{:?}", began.elapsed());
    scene.servers.iter().for_each(|server| server.signal("CONT"));
    let began = Instant::now();
    write(&scene.db, &key("kept")).await;
    println!("all back: written within {:?}", began.elapsed());
    assert_eq!(db.get(&key("never")).await.expect("read"), None);
    db.watch(&key("kept")).await.expect("armed again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_first_endpoint_does_not_keep_from_connecting() {
    let scene = Scene::new(true).await;
    scene.servers[scene.bystander()].signal("STOP");
    let mut endpoints = scene.servers[scene.bystander()].endpoints();
    endpoints.extend(scene.endpoints.clone());
    let began = Instant::now();
    let db = EtcdDb::connect(&endpoints, "om", patient()).await.expect("connected");
    let connected = began.elapsed();
    // What answered is what is used from then on.
    let began = Instant::now();
    write(&db, &key("kept")).await;
    println!("connected {connected:?}, written {:?}", began.elapsed());
    assert!(connected < READ_WITHIN, "{connected:?}");
    assert!(began.elapsed() < Duration::from_millis(300), "{:?}", began.elapsed());
}

/// Idle for longer than etcd's patience with clients that ask too often, the watch is still the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_watch_is_left_alone() {
    let server = EtcdServer::start();
    let db = EtcdDb::connect(&server.endpoints(), "om", patient()).await.expect("connected");
    let mut watch = db.watch(&key("kept")).await.expect("armed");
    let woken = tokio::time::timeout(Duration::from_secs(12), watch.changed()).await;
    assert!(woken.is_err(), "woken without a change: {woken:?}");
}
