//! A storage host and nodes on one machine, and file systems mounted on what they attach.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use om_backend::conformance::volume::Usage;
use om_backend::{Attachment, ErrorKind, Host, Source};
use om_host::SystemHost;
use om_model::{VolumeId, VolumeRole};
use om_nbd::{NbdVolumes, Settings, Storage, StorageSettings};

const XFS: &[&str] = &["mkfs.xfs", "-q", "-m", "reflink=1"];

/// A loop device whose storage hangs keeps the kernel from setting others up: tests in which storage hangs run alone.
static TURNS: RwLock<()> = RwLock::new(());

#[expect(dead_code, reason = "held until dropped")]
enum Turn {
    Beside(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// A pool on a file system of its own, until dropped.
pub struct Pool {
    folder: tempfile::TempDir,
    ports: RangeInclusive<u16>,
    _turn: Turn,
}

impl Pool {
    pub fn new(make: &[&str], ports: RangeInclusive<u16>) -> Self {
        Self::taking(Turn::Beside(TURNS.read().unwrap_or_else(PoisonError::into_inner)), make, ports)
    }

    /// For a test in which storage hangs.
    pub fn alone(ports: RangeInclusive<u16>) -> Self {
        Self::taking(Turn::Alone(TURNS.write().unwrap_or_else(PoisonError::into_inner)), XFS, ports)
    }

    fn taking(turn: Turn, make: &[&str], ports: RangeInclusive<u16>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (image, pool) = (folder.path().join("image"), folder.path().join("pool"));
        std::fs::File::create(&image).unwrap().set_len(2 << 30).unwrap();
        std::fs::create_dir(&pool).unwrap();
        run(Command::new(make[0]).args(&make[1..]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &pool]));
        drop(std::fs::remove_dir(pool.join("lost+found")));
        Self { folder, ports, _turn: turn }
    }

    pub fn xfs(ports: RangeInclusive<u16>) -> Self {
        Self::new(XFS, ports)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join("pool")
    }

    pub async fn storage(&self) -> om_backend::Result<Storage> {
        let listen = Ipv4Addr::LOCALHOST.into();
        Storage::open(StorageSettings { pool: self.path(), listen, ports: self.ports.clone() }).await
    }

    /// A node of that name; the same name is the same node, its agent restarted.
    pub fn node(&self, name: &str, storage: &Storage) -> NbdVolumes {
        let state = self.folder.path().join(name);
        NbdVolumes::new(Settings { state, storage_host: "127.0.0.1".to_owned() }, Arc::new(storage.clone()))
    }

    /// The processes of ours that run a program, by their numbers.
    pub fn processes(&self, program: &str) -> Vec<i32> {
        let ours = self.folder.path().to_str().unwrap();
        let runs = |pid: &i32| {
            let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(program) && line.contains(ours)
        };
        let entries = std::fs::read_dir("/proc").unwrap();
        entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).filter(runs).collect()
    }

    pub fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for program in ["qemu-storage-daemon", "qemu-nbd"] {
            for pid in self.processes(program) {
                signal(pid, "KILL");
            }
        }
        std::thread::sleep(Duration::from_millis(200));
        let ours = self.folder.path().to_str().unwrap();
        for line in std::fs::read_to_string("/proc/self/mounts").unwrap().lines().rev() {
            if let Some(target) = line.split(' ').nth(1).filter(|target| target.starts_with(ours)) {
                drop(Command::new("umount").args(["-l", target]).status());
            }
        }
    }
}

pub fn signal(pid: i32, name: &str) {
    drop(Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).status());
}

pub fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn id() -> VolumeId {
    let service = "0123456789abcdef0123456789abcdef".parse().unwrap();
    VolumeId { service, member: "orders-0".parse().unwrap(), role: VolumeRole::Data }
}

fn blocking<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| scope.spawn(|| runtime().block_on(work)).join().unwrap())
}

/// A mounted attachment, also when a test fails.
pub struct Mounted(pub PathBuf);

impl Mounted {
    pub fn new(attachment: &Attachment) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Attachment::Image { path, direct } = attachment.clone() else { panic!("an image") };
        let name = format!("om-nbd-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mounted = Self(std::env::temp_dir().join(name));
        blocking(async {
            let source = Source::Image { path, format: true, direct };
            SystemHost::detect().unwrap().mount(&source, &mounted.0).await.unwrap();
        });
        mounted
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = blocking(async {
            let host = SystemHost::detect().unwrap();
            for _ in 0..50 {
                match host.unmount(&self.0).await {
                    // A writer of a former holder has just been told that it failed.
                    Err(error) if error.kind == ErrorKind::Refused => {
                        tokio::time::sleep(Duration::from_millis(100)).await
                    }
                    done => return done,
                }
            }
            host.unmount(&self.0).await
        });
        assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
    }
}

/// Writes in a thread of its own: on a volume that was taken away it waits, as a database would.
pub fn write_within(path: &Path, content: &[u8], patience: Duration) -> bool {
    let (path, content) = (path.to_owned(), content.to_owned());
    let (done, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        use std::io::Write;
        let written = (|| {
            let mut file = std::fs::File::create(&path)?;
            file.write_all(&content)?;
            file.sync_all()?;
            std::fs::File::open(path.parent().unwrap())?.sync_all()
        })();
        let _ = done.send(written.is_ok());
    });
    told.recv_timeout(patience).unwrap_or(false)
}

impl Usage for Mounted {
    fn write(&mut self, name: &str, text: &str) {
        write_within(&self.0.join(name), text.as_bytes(), Duration::from_secs(1));
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(name)).ok()
    }

    fn end(self: Box<Self>) {}
}

pub fn using(attachment: &Attachment) -> Box<dyn Usage> {
    Box::new(Mounted::new(attachment))
}

pub fn in_use(attachment: &Attachment) -> Box<dyn FnOnce() + Send> {
    let mounted = Mounted::new(attachment);
    Box::new(move || drop(mounted))
}
