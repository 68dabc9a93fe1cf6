//! A container in memory: files, processes, the database server's client, and time that passes when somebody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::{pending, poll_fn};
use om_backend::process::{Account, Command, Ended};
use om_backend::{Clock, EngineClient, ErrorKind, Files, PortError, Processes, Result};
use om_engines::Signal;
use om_model::Timestamp;

use crate::Ports;

/// The container. Its files survive; the rest dies with the program.
#[derive(Default)]
pub(super) struct World {
    pub(super) files: Mutex<BTreeMap<String, String>>,
    pub(super) server: Mutex<Option<i32>>,
    pub(super) running: AtomicBool,
    pub(super) now_ms: AtomicUsize,
    /// When those who sleep are to wake, and who they are.
    sleepers: Mutex<BTreeSet<(usize, usize)>>,
    /// Everything but the program is stopped.
    pub(super) stopped: AtomicBool,
    /// When that was last changed.
    pub(super) changed_ms: AtomicUsize,
    pub(super) said: Mutex<Vec<String>>,
    /// Programs that never end by themselves.
    pub(super) hanging: Mutex<Option<&'static str>>,
    /// Programs that were dropped before they ended.
    pub(super) killed: AtomicUsize,
    pub(super) streaming: AtomicBool,
    pub(super) signals: Mutex<Vec<Signal>>,
    /// The program is cut off when this many actions were asked for.
    pub(super) cut_after: AtomicUsize,
    pub(super) actions: AtomicUsize,
}

pub(super) const LEASE: &str = "/data/.openmanage/lease";
pub(super) const CONFIG: &str = "/data/.openmanage/member.json";

impl World {
    pub(super) fn new(index: u16) -> Arc<Self> {
        let world = Self { cut_after: AtomicUsize::new(usize::MAX), ..Self::default() };
        world.streaming.store(true, Ordering::SeqCst);
        world.configure(index, 1);
        world.files().insert("/data/.openmanage/secrets/replicator".into(), "secret".into());
        Arc::new(world)
    }

    pub(super) fn configure(&self, index: u16, configuration: u64) {
        let peer = |i| serde_json::json!({"name": format!("a-{i}"), "host": format!("a-{i}.x"), "address": "10.0.0.1"});
        let config = serde_json::json!({
            "service_id": "00112233445566778899aabbccddeeff", "service": "a", "member": format!("a-{index}"), "index": index,
            "epoch": 1, "engine": "postgresql", "version": "15", "address": "10.0.0.1", "peers": [peer(0), peer(1)],
            "primary": "a-0", "resources": {"memory": 1_u64 << 30}, "volumes": {"data": 1_u64 << 30}, "settings": {},
            "options": {}, "configuration": configuration,
        });
        self.files().insert(CONFIG.into(), config.to_string());
    }

    pub(super) fn files(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.files.lock().expect("not poisoned")
    }

    pub(super) fn ports(self: &Arc<Self>) -> Ports {
        let (client, log) = (self.clone(), self.clone());
        Ports {
            files: self.clone(),
            processes: self.clone(),
            clock: self.clone(),
            connect: Arc::new(move |_| Ok(client.clone())),
            say: Arc::new(move |text| log.said.lock().expect("not poisoned").push(text.to_owned())),
        }
    }

    pub(super) fn has_said(&self, part: &str) -> bool {
        self.said.lock().expect("not poisoned").iter().any(|text| text.contains(part))
    }

    pub(super) fn server_dies(&self, code: i32) {
        self.running.store(false, Ordering::SeqCst);
        *self.server.lock().expect("not poisoned") = Some(code);
    }

    pub(super) fn now(&self) -> usize {
        self.now_ms.load(Ordering::SeqCst)
    }

    /// The agent writes the deadline.
    pub(super) fn lease_until(&self, ms: usize) {
        self.files().insert(LEASE.into(), ms.to_string());
    }

    fn begin(&self) {
        let deadline = self.files().get(LEASE).and_then(|text| text.parse::<usize>().ok());
        assert!(deadline.is_none_or(|deadline| self.now() <= deadline), "begun without the lease");
        assert!(!self.stopped.load(Ordering::SeqCst), "begun while everything is stopped");
    }

    /// Every action passes here: after the last one allowed, nothing ever answers.
    async fn act(&self) {
        if self.actions.fetch_add(1, Ordering::SeqCst) >= self.cut_after.load(Ordering::SeqCst) {
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.now_ms.load(Ordering::SeqCst) as u64)
    }

    async fn sleep(&self, length: Duration) {
        let mut sleeper = Sleeper::new(self, self.now_ms.load(Ordering::SeqCst) + length.as_millis() as usize);
        // Others go first, once; then whoever wakes first finds the time passed.
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if sleeper.is_first() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

/// Somebody who sleeps.
struct Sleeper<'a> {
    world: &'a World,
    until: (usize, usize),
    polled: bool,
}

impl<'a> Sleeper<'a> {
    fn new(world: &'a World, until: usize) -> Self {
        let mut sleepers = world.sleepers.lock().expect("not poisoned");
        let id = sleepers.iter().map(|(_, id)| id + 1).max().unwrap_or(0);
        sleepers.insert((until, id));
        drop(sleepers);
        Self { world, until: (until, id), polled: false }
    }

    fn is_first(&mut self) -> bool {
        let first = self.world.sleepers.lock().expect("not poisoned").first() == Some(&self.until);
        if !std::mem::replace(&mut self.polled, true) || !first {
            return false;
        }
        self.world.now_ms.fetch_max(self.until.0, Ordering::SeqCst);
        true
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.world.sleepers.lock().expect("not poisoned").remove(&self.until);
    }
}

#[async_trait]
impl Files for World {
    async fn account(&self, user: &str) -> Result<Account> {
        assert_eq!(user, "postgres");
        Ok(Account { uid: 101, gid: 102 })
    }
    async fn make_dir(&self, _: &str, _: &Account, _: u32) -> Result<()> {
        self.act().await;
        Ok(())
    }
    async fn write(&self, path: &str, content: &str, _: &Account, _: u32) -> Result<()> {
        self.act().await;
        self.files().insert(path.into(), content.into());
        Ok(())
    }
    async fn grant(&self, _: &str, account: &Account, _: u32) -> Result<()> {
        assert_eq!((account.uid, account.gid), (0, 102), "secrets stay root's");
        self.act().await;
        Ok(())
    }
    async fn read(&self, path: &str) -> Result<Option<String>> {
        if path != LEASE {
            self.act().await;
        }
        Ok(self.files().get(path).cloned())
    }
    async fn empty_dir(&self, path: &str) -> Result<()> {
        self.act().await;
        self.files().retain(|file, _| !file.starts_with(&format!("{path}/")));
        Ok(())
    }
    async fn link(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}

/// Counts a program that is dropped before it has ended.
struct Dropped<'a>(&'a AtomicUsize, bool);

impl Drop for Dropped<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(usize::from(!self.1), Ordering::SeqCst);
    }
}

#[async_trait]
impl Processes for World {
    async fn run(&self, command: &Command, _: Duration) -> Result<Ended> {
        self.begin();
        let mut running = Dropped(&self.killed, false);
        let name = command.argv[0].as_str();
        if *self.hanging.lock().expect("not poisoned") == Some(name) {
            self.files().insert("/data/data/half".into(), "done".into());
            pending::<()>().await;
        }
        let (mut code, mut stdout) = (0, String::new());
        match name {
            "initdb" | "pg_basebackup" => {
                code = i32::from(self.files().keys().any(|path| path.starts_with("/data/data/")));
                self.files().insert("/data/data/half".into(), "done".into());
                self.act().await;
                self.files().insert("/data/data/PG_VERSION".into(), "15".into());
            }
            "pg_controldata" => stdout = "Database system identifier: 7\n".into(),
            "psql" => stdout = "7|1|0/3|postgres\nslot|t|f\n".into(),
            other => panic!("nobody told how to run {other}"),
        }
        self.act().await;
        running.1 = true;
        Ok(Ended { code, stdout, stderr: "not empty".into() })
    }

    async fn start_server(&self, command: &Command) -> Result<()> {
        self.begin();
        assert_eq!(command.account, Some(Account { uid: 101, gid: 102 }));
        self.act().await;
        assert!(!self.running.swap(true, Ordering::SeqCst), "started twice");
        Ok(())
    }

    async fn signal_server(&self, signal: Signal) -> Result<()> {
        self.signals.lock().expect("not poisoned").push(signal);
        self.server_dies(0);
        Ok(())
    }

    async fn server_exit(&self) -> i32 {
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if self.running.load(Ordering::SeqCst) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        self.server.lock().expect("not poisoned").unwrap_or(0)
    }

    fn server_running(&self) -> bool {
        self.running.load(Ordering::SeqCst)
    }

    async fn stop_all(&self) -> Result<()> {
        if !self.stopped.swap(true, Ordering::SeqCst) {
            self.changed_ms.store(self.now(), Ordering::SeqCst);
        }
        Ok(())
    }

    async fn continue_all(&self) -> Result<()> {
        if self.stopped.swap(false, Ordering::SeqCst) {
            self.changed_ms.store(self.now(), Ordering::SeqCst);
        }
        Ok(())
    }
}

#[async_trait]
impl EngineClient for World {
    async fn query(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        self.act().await;
        // A server that is stopped answers when it goes on.
        poll_fn(|cx| {
            cx.waker().wake_by_ref();
            if self.stopped.load(Ordering::SeqCst) { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
        })
        .await;
        if !self.running.load(Ordering::SeqCst) {
            return Err(PortError::new(ErrorKind::Unavailable, "connect to", "the server", "no socket"));
        }
        if sql.contains("pg_conf_load_time") {
            return Ok(vec![vec![Some(self.actions.load(Ordering::SeqCst).to_string())]]);
        }
        if !sql.contains("pg_is_in_recovery") {
            return Ok(vec![]);
        }
        let standby = self.files().contains_key("/data/data/standby.signal");
        let receiver = if self.streaming.load(Ordering::SeqCst) { "streaming" } else { "" };
        let row = [if standby { "t" } else { "f" }, if standby { "on" } else { "off" }, receiver, "0", "1", "0", ""];
        Ok(vec![row.map(|text| Some(text.to_owned())).into()])
    }
}
