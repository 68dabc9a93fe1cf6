//! The provider on a real disk, used through real mounts, as root.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::{Path, PathBuf};

use om_backend::conformance::volume::{Usage, fencing, snapshots, suite};
use om_backend::{Attachment, ErrorKind, Host, Source, VolumeProvider};
use om_host::SystemHost;
use om_local::{Kind, LocalVolumes};
use om_model::{ByteSize, Epoch, VolumeId, VolumeRole};

fn volume() -> VolumeId {
    let service = "0123456789abcdef0123456789abcdef".parse().unwrap();
    VolumeId { service, member: "orders-0".parse().unwrap(), role: VolumeRole::Data }
}

/// Mounts an attachment until the returned function is called, or until a failed test drops it.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(SystemHost::detect().unwrap().unmount(&self.0)).unwrap());
        });
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

fn mount_at(target: PathBuf) -> impl Fn(&Attachment) -> Box<dyn FnOnce() + Send> + Sync {
    move |attachment| {
        let source = match attachment {
            Attachment::Directory(path) => Source::Directory(path.clone()),
            Attachment::Image { path, direct } => Source::Image { path: path.clone(), format: true, direct: *direct },
        };
        let mounted = Mounted(target.clone());
        std::thread::scope(|scope| {
            scope.spawn(|| block_on(SystemHost::detect().unwrap().mount(&source, &target)).unwrap());
        });
        Box::new(move || drop(mounted))
    }
}

async fn conforms(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let volumes = LocalVolumes::new(root.join("volumes"), kind);
    suite(&volumes, &mount_at(root.join("mount"))).await;
    // Nobody else can reach these volumes: there is nobody to cut off, and the suites find that it says so.
    let using = |_: &Attachment| -> Box<dyn Usage> { panic!("it refuses before anything is used") };
    fencing::suite(&volumes, &volumes, &using).await;
    snapshots::suite(&volumes, false, &using).await;
    assert_eq!(entries(&root.join("volumes")), Vec::<String>::new(), "no file is left");
}

fn entries(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn images_conform() {
    conforms(Kind::Images).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn directories_conform() {
    conforms(Kind::Directories).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_sparse_and_private() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let volumes = LocalVolumes::new(folder.path().to_owned(), Kind::Images);
    volumes.create(&volume(), ByteSize::gib(4).unwrap()).await.unwrap();
    let Attachment::Image { path, .. } = volumes.attach(&volume(), Epoch::new(1)).await.unwrap() else {
        panic!("an image")
    };
    let found = std::fs::metadata(path).unwrap();
    assert_eq!((found.len(), found.mode() & 0o777), (4 << 30, 0o600));
    assert!(found.blocks() * 512 < 1 << 20, "it takes room as it is filled");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_beyond_the_disk_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let volumes = LocalVolumes::new(folder.path().to_owned(), Kind::Images);
    let error = volumes.create(&volume(), ByteSize::bytes(u64::MAX)).await.unwrap_err();
    assert!(error.kind == ErrorKind::Exhausted && error.next.is_some(), "{error}");
    assert!(entries(folder.path()).is_empty(), "and nothing is left of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_never_goes_back_to_a_former_epoch() {
    let folder = tempfile::tempdir().unwrap();
    for kind in [Kind::Images, Kind::Directories] {
        let volumes = LocalVolumes::new(folder.path().to_owned(), kind);
        volumes.create(&volume(), ByteSize::mib(16).unwrap()).await.unwrap();
        volumes.attach(&volume(), Epoch::new(7)).await.unwrap();
        volumes.attach(&volume(), Epoch::new(7)).await.unwrap();
        let error = volumes.attach(&volume(), Epoch::new(6)).await.unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.detail.contains("epoch 7"), "{error}");
        volumes.delete(&volume()).await.unwrap();
    }
    assert!(entries(folder.path()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_files_are_not_volumes() {
    let folder = tempfile::tempdir().unwrap();
    for name in [".new-x.img", "notes.txt", "0123456789abcdef0123456789abcdef.img", "lost+found"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    for kind in [Kind::Images, Kind::Directories] {
        assert!(LocalVolumes::new(folder.path().to_owned(), kind).list().await.unwrap().is_empty());
    }
}
