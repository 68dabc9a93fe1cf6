//! The provider over real file systems, used through real mounts, as root.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "helpers of tests are tests, and measure time")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use om_backend::conformance::volume::{self, Usage};
use om_backend::{Attachment, ErrorKind, Fencing, Host, SnapshotId, Source, VolumeProvider};
use om_host::SystemHost;
use om_model::{ByteSize, Epoch, VolumeId, VolumeRole};
use om_sharedfile::{Settings, SharedFileVolumes};

/// A file system of a kind, on a loop device, until dropped.
struct Storage(tempfile::TempDir);

impl Storage {
    fn new(make: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (image, pool) = (folder.path().join("image"), folder.path().join("pool"));
        std::fs::File::create(&image).unwrap().set_len(1 << 30).unwrap();
        std::fs::create_dir(&pool).unwrap();
        run(Command::new(make[0]).args(&make[1..]).arg(&image));
        run(Command::new("mount").args(["-o", "loop"]).args([&image, &pool]));
        Self(folder)
    }

    fn xfs() -> Self {
        Self::new(&["mkfs.xfs", "-q", "-m", "reflink=1"])
    }

    fn pool(&self) -> PathBuf {
        self.0.path().canonicalize().unwrap().join("pool")
    }

    fn provider(&self) -> SharedFileVolumes {
        SharedFileVolumes::new(Settings { pool: self.pool(), server_side_copy: false })
    }

    async fn probed(&self) -> SharedFileVolumes {
        let volumes = self.provider();
        assert_eq!(volumes.probe().await.unwrap(), Fencing::AfterLease);
        volumes
    }

    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.pool()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // No assertion: a failed test drops this too, perhaps while something is still mounted.
        drop(Command::new("umount").arg(self.pool()).status());
    }
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn id() -> VolumeId {
    let service = "0123456789abcdef0123456789abcdef".parse().unwrap();
    VolumeId { service, member: "orders-0".parse().unwrap(), role: VolumeRole::Data }
}

fn blocking<T: Send>(work: impl Future<Output = T> + Send) -> T {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::scope(|scope| scope.spawn(|| runtime().block_on(work)).join().unwrap())
}

/// A mounted attachment, also when a test fails.
struct Mounted(PathBuf);

impl Mounted {
    fn new(attachment: &Attachment) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Attachment::Image { path, direct } = attachment.clone() else { panic!("an image") };
        assert!(direct, "what it acknowledges is in the pool");
        let name = format!("om-sharedfile-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
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
        let unmounted = blocking(async { SystemHost::detect().unwrap().unmount(&self.0).await });
        assert!(unmounted.is_ok() || std::thread::panicking(), "{unmounted:?}");
    }
}

impl Usage for Mounted {
    fn write(&mut self, name: &str, text: &str) {
        write_and_sync(&self.0.join(name), text.as_bytes());
    }

    fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.0.join(name)).ok()
    }

    fn end(self: Box<Self>) {}
}

fn write_and_sync(path: &Path, content: &[u8]) {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    file.write_all(content).unwrap();
    file.sync_all().unwrap();
    std::fs::File::open(path.parent().unwrap()).unwrap().sync_all().unwrap();
}

fn using(attachment: &Attachment) -> Box<dyn Usage> {
    Box::new(Mounted::new(attachment))
}

fn in_use(attachment: &Attachment) -> Box<dyn FnOnce() + Send> {
    let mounted = Mounted::new(attachment);
    Box::new(move || drop(mounted))
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_a_pool_with_reflinks() {
    let storage = Storage::xfs();
    let (one, other) = (storage.probed().await, storage.probed().await);
    volume::suite(&one, &in_use).await;
    volume::fencing::suite(&one, &other, &using).await;
    volume::snapshots::suite(&one, true, &using).await;
    assert_eq!(storage.entries(), Vec::<String>::new(), "no file is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms_on_a_pool_without_them() {
    let storage = Storage::new(&["mkfs.ext4", "-q"]);
    std::fs::remove_dir(storage.pool().join("lost+found")).unwrap();
    let volumes = storage.provider();
    assert_eq!(volumes.fencing(), Fencing::None, "before it was tried");
    assert_eq!(volumes.probe().await.unwrap(), Fencing::None);
    volume::suite(&volumes, &in_use).await;
    volume::fencing::suite(&volumes, &volumes.clone(), &using).await;
    volume::snapshots::suite(&volumes, false, &using).await;
    let error = volumes.revoke(&id(), Epoch::new(1)).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.next.unwrap().contains("server-side-copy"));
    assert_eq!(storage.entries(), Vec::<String>::new(), "no file is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_word_makes_a_server_side_copy_do() {
    let storage = Storage::new(&["mkfs.ext4", "-q"]);
    let provider = || SharedFileVolumes::new(Settings { pool: storage.pool(), server_side_copy: true });
    let (one, other) = (provider(), provider());
    assert_eq!(one.probe().await.unwrap(), Fencing::AfterLease);
    assert_eq!(other.probe().await.unwrap(), Fencing::AfterLease);
    volume::fencing::suite(&one, &other, &using).await;
    volume::snapshots::suite(&one, true, &using).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_not_there_is_said_to_be_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = SharedFileVolumes::new(Settings { pool: folder.path().join("unmounted"), server_side_copy: false });
    let error = volumes.probe().await.unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.next.is_some(), "{error}");
    volumes.create(&id(), ByteSize::mib(16).unwrap()).await.unwrap_err();
    volumes.list().await.expect_err("it does not say that there are no volumes");
    assert!(!folder.path().join("unmounted").exists(), "and nothing is made in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_in_use_here_keeps_its_snapshots_small() {
    use std::os::unix::fs::MetadataExt;
    let storage = Storage::xfs();
    let volumes = storage.probed().await;
    volumes.create(&id(), ByteSize::mib(256).unwrap()).await.unwrap();
    let mounted = Mounted::new(&volumes.attach(&id(), Epoch::new(1)).await.unwrap());
    write_and_sync(&mounted.0.join("large"), &vec![7; 64 << 20]);
    let used = || {
        let found = rustix::fs::statvfs(storage.pool()).unwrap();
        (found.f_blocks - found.f_bfree) * found.f_frsize
    };
    let before = used();
    for name in ["a", "b", "c"] {
        volumes.snapshot(&SnapshotId { volume: id(), name: name.to_owned() }).await.unwrap();
    }
    assert!(used() - before < 16 << 20, "three snapshots of 64 MiB take {} bytes", used() - before);
    let image = storage.pool().join(".snapshots").join(id().to_string()).join("a.img");
    assert_eq!(std::fs::metadata(image).unwrap().mode() & 0o777, 0o600, "and are private");
}

/// Figures, not bounds: `cargo test -p om-sharedfile --test conformance figures -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let storage = Storage::xfs();
    let volumes = storage.probed().await;
    volumes.create(&id(), ByteSize::mib(512).unwrap()).await.unwrap();
    let since = Instant::now();
    let attachment = volumes.attach(&id(), Epoch::new(1)).await.unwrap();
    println!("attach {:?}", since.elapsed());
    let since = Instant::now();
    let mounted = Mounted::new(&attachment);
    println!("format and mount {:?}", since.elapsed());
    println!("8 KiB write and fsync, median and worst of 200: {:?}", fsync_times(&mounted.0.join("file")));
    write_and_sync(&mounted.0.join("large"), &vec![7; 64 << 20]);
    let since = Instant::now();
    volumes.revoke(&id(), Epoch::new(1)).await.unwrap();
    println!("revoke {:?}", since.elapsed());
    let since = Instant::now();
    let attachment = volumes.attach(&id(), Epoch::new(2)).await.unwrap();
    let second = Mounted::new(&attachment);
    println!("attach and mount after it {:?}", since.elapsed());
    drop((mounted, second));
}

fn fsync_times(path: &Path) -> (std::time::Duration, std::time::Duration) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(path).unwrap();
    let mut times: Vec<_> = (0..200_u64)
        .map(|number| {
            let since = Instant::now();
            file.write_all_at(&[7; 8192], number * 8192).unwrap();
            file.sync_data().unwrap();
            since.elapsed()
        })
        .collect();
    times.sort();
    (times[100], times[199])
}
