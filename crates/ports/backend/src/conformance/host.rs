//! What every `Host` must do.

use std::path::Path;

use crate::error::ErrorKind;
use crate::host::{ControlFile, Host, Source};

/// Makes another mount namespace hold every mount at or below a folder, until the returned function is called.
pub type Hold<'a> = dyn Fn(&Path) -> Box<dyn FnOnce() + Send> + Sync + 'a;

const SMALL: u64 = 1 << 20;

/// Runs the suite in `folder`, an empty directory, with `image`, a blank image of at least 16 MiB.
///
/// # Panics
/// At the first thing the host does wrong.
pub async fn suite(host: &dyn Host, folder: &Path, image: &Path, hold: &Hold<'_>) {
    assert_eq!(host.incarnation(), host.incarnation(), "one life, one incarnation");
    memory(host, folder).await;
    images(host, folder, image, hold).await;
    fencing(host, folder, image, hold).await;
    nested(host, folder, hold).await;
    left_over_folders(host, folder).await;
    // An address that is nobody's (RFC 5737).
    host.sever("192.0.2.1".parse().unwrap(), 2377).await.expect("no connection, nothing to end");
    assert!(host.mounts(folder).await.unwrap().is_empty(), "nothing stays mounted");
}

fn file(path: &str, content: &[u8]) -> ControlFile {
    ControlFile { path: path.to_owned(), content: content.to_vec(), mode: 0o600 }
}

async fn memory(host: &dyn Host, folder: &Path) {
    let target = folder.join("a b");
    let source = Source::Memory { size: SMALL };
    host.mount(&source, &target).await.expect("a tmpfs is mounted, its directory made, blanks in its name or not");
    host.mount(&source, &target).await.expect("mounting again is done");
    let mounts = host.mounts(folder).await.unwrap();
    assert_eq!(mounts.len(), 1, "mounting twice mounts once");
    assert_eq!((mounts[0].target.as_path(), mounts[0].kind.as_str()), (target.as_path(), "tmpfs"));
    host.write_files(&target, &[file("one", b"1"), file("deep/two", b"2")]).await.expect("files and folders are made");
    host.write_files(&target, &[file("one", b"11")]).await.expect("a file is replaced");
    assert_eq!(host.read_file(&target.join("one")).await.unwrap().as_deref(), Some(&b"11"[..]));
    assert_eq!(host.read_file(&target.join("deep/two")).await.unwrap().as_deref(), Some(&b"2"[..]));
    assert_eq!(host.read_file(&target.join("none")).await.unwrap(), None);
    host.unmount(&target).await.expect("it is unmounted");
    host.unmount(&target).await.expect("unmounting again is done");
    host.mount(&source, &target).await.unwrap();
    assert_eq!(host.read_file(&target.join("one")).await.unwrap(), None, "a tmpfs is gone with its mount");
    host.unmount(&target).await.unwrap();
}

async fn images(host: &dyn Host, folder: &Path, image: &Path, hold: &Hold<'_>) {
    let source = |format| Source::Image { path: image.to_owned(), format, direct: false };
    let (first, second) = (folder.join("image.e1"), folder.join("image.e2"));
    host.mount(&source(false), &first).await.expect_err("a blank image is not mounted unless it may be formatted");
    host.mount(&source(true), &first).await.expect("it is formatted and mounted");
    host.write_files(&first, &[file("kept", b"data")]).await.unwrap();
    let error = host.mount(&source(false), &second).await.expect_err("a mounted image is not mounted again");
    assert_eq!(error.kind, ErrorKind::Refused);
    host.sync(&first).await.expect("it is synced");
    host.grow_file_system(&first).await.expect("growing what is large enough is done");
    let device = host.mounts(&first).await.unwrap()[0].device;
    assert_eq!(host.held_elsewhere(device).await.unwrap(), None);
    let release = hold(&first);
    assert!(host.held_elsewhere(device).await.unwrap().is_some(), "another namespace's mount is seen");
    release();
    assert_eq!(host.held_elsewhere(device).await.unwrap(), None, "and its end");
    host.unmount(&first).await.unwrap();
    host.mount(&source(true), &second).await.expect("free again, it is mounted elsewhere");
    let kept = host.read_file(&second.join("kept")).await.unwrap();
    assert_eq!(kept.as_deref(), Some(&b"data"[..]), "what has a file system is never formatted");
    host.unmount(&second).await.unwrap();
}

async fn fencing(host: &dyn Host, folder: &Path, image: &Path, hold: &Hold<'_>) {
    let (source, target) =
        (Source::Image { path: image.to_owned(), format: true, direct: false }, folder.join("image.e3"));
    for nothing in [host.freeze(&target).await, host.thaw(&target).await, host.shut_down(&target).await] {
        nothing.expect("where nothing is mounted nothing is to be done");
    }
    host.mount(&source, &target).await.unwrap();
    host.write_files(&target, &[file("flushed", b"data")]).await.unwrap();
    host.sync(&target).await.unwrap();
    let device = host.mounts(&target).await.unwrap()[0].device;
    let release = hold(&target);
    for _ in 0..2 {
        host.freeze(&target).await.expect("freezing again is done");
    }
    for _ in 0..2 {
        host.thaw(&target).await.expect("thawing again is done");
    }
    host.write_files(&target, &[file("thawed", b"data")]).await.expect("thawed, it takes writes");
    host.freeze(&target).await.unwrap();
    for _ in 0..2 {
        host.shut_down(&target).await.expect("what is frozen can be ended, and what is ended");
    }
    host.kill_holders(device).await.expect("holders that do not wait for it end");
    assert_eq!(host.held_elsewhere(device).await.unwrap(), None, "none is left");
    host.kill_holders(device).await.expect("nobody is left to kill");
    host.thaw(&target).await.expect("what is ended can be thawed");
    host.write_files(&target, &[file("late", b"data")]).await.expect_err("ended, it takes nothing more");
    host.unmount(&target).await.expect("what is ended still has to be unmounted");
    release();
    host.mount(&source, &target).await.expect("and can be mounted again");
    assert_eq!(host.read_file(&target.join("flushed")).await.unwrap().as_deref(), Some(&b"data"[..]));
    assert_eq!(host.read_file(&target.join("late")).await.unwrap(), None);
    host.unmount(&target).await.unwrap();
}

async fn nested(host: &dyn Host, folder: &Path, hold: &Hold<'_>) {
    let (outer, inner) = (folder.join("outer"), folder.join("outer/.control"));
    let memory = Source::Memory { size: SMALL };
    host.mount(&memory, &outer).await.unwrap();
    host.mount(&memory, &inner).await.unwrap();
    let mounts = host.mounts(&outer).await.unwrap();
    let targets: Vec<_> = mounts.iter().map(|mount| mount.target.as_path()).collect();
    assert_eq!(targets, [outer.as_path(), inner.as_path()], "parents come first");
    assert_ne!(mounts[0].device, mounts[1].device, "every tmpfs has a number of its own");
    let release = hold(&outer);
    assert!(host.held_elsewhere(mounts[1].device).await.unwrap().is_some(), "a bind takes what is mounted below along");
    release();
    let error = host.unmount(&outer).await.expect_err("what carries another mount is busy");
    assert_eq!(error.kind, ErrorKind::Refused);
    host.unmount(&inner).await.unwrap();
    host.unmount(&outer).await.unwrap();
}

async fn left_over_folders(host: &dyn Host, folder: &Path) {
    let (kept, other) = (folder.join("v.e1"), folder.join("w.e1"));
    host.mount(&Source::Memory { size: SMALL }, &kept).await.unwrap();
    host.remove_empty(folder, "v.e").await.expect("mount points are passed over");
    host.remove_empty(&folder.join("nowhere"), "v.e").await.expect("no folder, nothing to remove");
    assert_eq!(host.mounts(&kept).await.unwrap().len(), 1);
    host.unmount(&kept).await.unwrap();
    host.unmount(&other).await.expect("what never was is not mounted");
}
