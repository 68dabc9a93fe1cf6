//! Freezing, ending and freeing real file systems, as root, with the processes that use them.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real time passes")]

mod scratch;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use om_backend::{ErrorKind, Host, Source};
use om_host::SystemHost;

use scratch::{ALONE, Holder, Scratch};

const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(10);

fn image(path: &Path) -> Source {
    Source::Image { path: path.to_owned(), format: true, direct: false }
}

async fn mounted(scratch: &Scratch, host: &SystemHost) -> (PathBuf, PathBuf) {
    let (file, target) = (scratch.image(64 << 20), scratch.path().join("m"));
    host.mount(&image(&file), &target).await.unwrap();
    (file, target)
}

/// Writes and syncs a file on a thread of its own; tells how that went.
fn writer(path: PathBuf) -> mpsc::Receiver<std::io::Result<()>> {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(b"late")?;
            file.sync_all()
        };
        let _ = tell.send(write());
    });
    told
}

fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output().unwrap();
    assert!(done.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn shut_down_it_takes_nothing_more_and_keeps_what_was_flushed() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = mounted(&scratch, &host).await;
    fs::write(target.join("flushed"), "kept").unwrap();
    host.sync(&target).await.unwrap();
    fs::write(target.join("late"), "lost").unwrap();
    host.shut_down(&target).await.unwrap();
    host.shut_down(&target).await.expect("ended is ended");
    fs::write(target.join("later"), "lost").expect_err("nothing is taken any more");
    assert_eq!(host.mounts(&target).await.unwrap().len(), 1, "it is still to be unmounted");
    host.unmount(&target).await.unwrap();
    host.shut_down(&target).await.expect("nothing is mounted");
    host.mount(&image(&file), &target).await.unwrap();
    assert_eq!(fs::read(target.join("flushed")).unwrap(), b"kept");
    for lost in ["late", "later"] {
        assert!(!target.join(lost).exists(), "{lost} was written all the same");
    }
    host.unmount(&target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn xfs_is_shut_down_too() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = (scratch.image(400 << 20), scratch.path().join("m"));
    fs::create_dir(&target).unwrap();
    let (file, at) = (file.display().to_string(), target.display().to_string());
    run("mkfs.xfs", &["-q", &file]);
    run("mount", &["-o", "loop", &file, &at]);
    for _ in 0..2 {
        host.shut_down(&target).await.unwrap();
        fs::write(target.join("later"), "lost").expect_err("nothing is taken any more");
    }
    host.unmount(&target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn frozen_it_makes_writers_wait_and_thawed_they_go_on() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (_, target) = mounted(&scratch, &host).await;
    for _ in 0..2 {
        host.freeze(&target).await.unwrap();
    }
    let written = writer(target.join("late"));
    assert_eq!(written.recv_timeout(SHORT).map(drop), Err(mpsc::RecvTimeoutError::Timeout), "it waits");
    let device = host.mounts(&target).await.unwrap()[0].device;
    assert_eq!(host.held_elsewhere(device).await.unwrap(), None, "facts are told while writers hang");
    for _ in 0..2 {
        host.thaw(&target).await.unwrap();
    }
    written.recv_timeout(LONG).unwrap().unwrap();
    host.unmount(&target).await.unwrap();
    host.freeze(&target).await.expect("nothing is mounted, nothing writes");
    host.thaw(&target).await.expect("nothing is mounted");
}

#[tokio::test(flavor = "multi_thread")]
async fn part_of_a_file_system_in_use_elsewhere_is_never_frozen_nor_ended() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (_, whole) = mounted(&scratch, &host).await;
    let part = scratch.path().join("part");
    fs::create_dir(whole.join("folder")).unwrap();
    host.mount(&Source::Directory(whole.join("folder")), &part).await.unwrap();
    for target in [&part, &whole] {
        for refused in [host.freeze(target).await, host.shut_down(target).await, host.thaw(target).await] {
            let error = refused.unwrap_err();
            assert!(error.kind == ErrorKind::Refused && error.next.is_some(), "{error}");
        }
    }
    fs::write(whole.join("file"), "works").unwrap();
    host.unmount(&part).await.unwrap();
    host.mount(&Source::Memory { size: 1 << 20 }, &part).await.unwrap();
    assert_eq!(host.shut_down(&whole.join("folder")).await, Ok(()), "no mount of its own");
    fs::write(whole.join("file"), "still works").unwrap();
    host.unmount(&part).await.unwrap();
    host.unmount(&whole).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn holders_are_killed_with_their_whole_pid_namespace_and_nobody_else() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let mut bystander = Holder::new(&["-p", "-f"], "echo ready; exec sleep 60");
    let mut neighbour = Command::new("sleep").arg("60").spawn().unwrap();
    let (_, target) = mounted(&scratch, &host).await;
    let device = host.mounts(&target).await.unwrap()[0].device;
    // A container: PID 1, a child of its own, and one that has left the mount namespace but not the PID namespace.
    let script = "cd /; setsid sleep 60 & unshare -m sh -c 'umount $0; sleep 60' \"$0\" & echo ready; wait";
    let inside = script.replace("$0", &target.display().to_string());
    let mut container = Holder::new(&["-p", "-f", "--mount-proc"], &inside);
    let mut namespace_only = Holder::new(&[], "echo ready; exec sleep 60");
    assert!(host.held_elsewhere(device).await.unwrap().is_some());
    host.kill_holders(device).await.unwrap();
    host.kill_holders(device).await.expect("nobody is left to kill");
    assert_eq!(host.held_elsewhere(device).await.unwrap(), None);
    host.unmount(&target).await.expect("nobody keeps it");
    let since = Instant::now();
    while !(container.ended() && namespace_only.ended()) {
        assert!(since.elapsed() < LONG, "a holder lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(!bystander.ended() && neighbour.try_wait().unwrap().is_none(), "somebody else was killed");
    neighbour.kill().unwrap();
    neighbour.wait().unwrap();
}

/// The order of design §5: the shutdown first, for a writer killed in a frozen file system still writes after the thaw.
#[tokio::test(flavor = "multi_thread")]
async fn a_writer_caught_by_the_freeze_never_writes() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = mounted(&scratch, &host).await;
    fs::write(target.join("log"), "").unwrap();
    host.sync(&target).await.unwrap();
    let device = host.mounts(&target).await.unwrap()[0].device;
    let log = target.join("log").display().to_string();
    host.freeze(&target).await.unwrap();
    let script = format!("exec 3>>{log}; echo ready; echo late >&3; sync");
    let mut container = Holder::new(&["-p", "-f", "--mount-proc"], &script);
    std::thread::sleep(SHORT);
    assert!(!container.ended(), "it waits in its write");
    let error =
        host.kill_holders(device).await.expect_err("before the end or the thaw of the file system it cannot end");
    assert!(error.kind == ErrorKind::TimedOut && error.next.is_some(), "{error}");
    host.shut_down(&target).await.expect("what is frozen can be ended");
    host.kill_holders(device).await.expect("nothing makes it wait any more");
    host.thaw(&target).await.unwrap();
    host.unmount(&target).await.unwrap();
    drop(container);
    host.mount(&image(&file), &target).await.unwrap();
    assert_eq!(fs::read(target.join("log")).unwrap(), b"", "it wrote all the same");
    host.unmount(&target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_page_cache_or_not_at_all() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = (scratch.image(64 << 20), scratch.path().join("m"));
    let direct = |path: &Path| Source::Image { path: path.to_owned(), format: true, direct: true };
    host.mount(&direct(&file), &target).await.unwrap();
    let (_, minor) = host.mounts(&target).await.unwrap()[0].device;
    assert_eq!(fs::read_to_string(format!("/sys/block/loop{minor}/loop/dio")).unwrap().trim(), "1");
    host.unmount(&target).await.unwrap();
    // A file system that has no direct I/O.
    let pool = scratch.path().join("pool");
    fs::create_dir(&pool).unwrap();
    run("mount", &["-t", "ramfs", "ramfs", &pool.display().to_string()]);
    let file = pool.join("image");
    fs::File::create(&file).unwrap().set_len(16 << 20).unwrap();
    let error = host.mount(&direct(&file), &target).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.next.is_some(), "{error}");
    assert!(host.mounts(&target).await.unwrap().is_empty());
    host.mount(&image(&file), &target).await.expect("nothing keeps the image, and buffered it can be had");
    host.unmount(&target).await.unwrap();
    host.unmount(&pool).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hosts_image_of_the_same_path_is_another_image() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = (scratch.image(64 << 20), scratch.path().join("m"));
    // The other host has a pool of its own mounted over the folder, and binds the file that it sees there.
    let script = format!(
        "mkdir {0}/p; mount -t tmpfs pool {0}/p; truncate -s 16M {0}/p/volume.img; mkfs.ext4 -q {0}/p/volume.img; \
         mount --bind {0}/p {0}; mkdir {0}/m; mount -o loop {1} {0}/m; echo ready; exec sleep 60",
        scratch.path().display(),
        file.display()
    );
    let _other = Holder::new(&[], &script);
    assert!(run("losetup", &["-l", "-n", "-O", "BACK-FILE"]).contains("volume.img"), "the other one is bound");
    host.mount(&image(&file), &target).await.expect("ours is nobody's");
    let second = scratch.path().join("second");
    let error = host.mount(&image(&file), &second).await.expect_err("and now it is in use");
    assert_eq!(error.kind, ErrorKind::Refused);
    host.unmount(&target).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_file_system_is_mended_or_left_to_a_person() {
    let _alone = ALONE.lock().await;
    let (scratch, host) = (Scratch::new(), SystemHost::detect().unwrap());
    let (file, target) = mounted(&scratch, &host).await;
    fs::write(target.join("kept"), "data").unwrap();
    host.unmount(&target).await.unwrap();
    let path = file.display().to_string();
    let sound = |path: &str| Command::new("e2fsck").args(["-f", "-n", path]).stdout(Stdio::null()).status().unwrap();
    // Wrong counts, blocks in use marked free, and the mark that there were errors.
    run("debugfs", &["-w", "-R", "set_super_value free_blocks_count 1", &path]);
    run("debugfs", &["-w", "-R", "freeb 1 100", &path]);
    run("debugfs", &["-w", "-R", "set_super_value state 2", &path]);
    assert!(!sound(&path).success(), "it is not damaged at all");
    host.mount(&image(&file), &target).await.expect("that is mended without asking");
    assert_eq!(fs::read(target.join("kept")).unwrap(), b"data");
    host.unmount(&target).await.unwrap();
    assert!(sound(&path).success());
    // The root directory is gone: files would have to be put somewhere.
    run("debugfs", &["-w", "-R", "clri <2>", &path]);
    run("debugfs", &["-w", "-R", "set_super_value state 2", &path]);
    let error = host.mount(&image(&file), &target).await.unwrap_err();
    let names_the_command =
        error.next.as_ref().is_some_and(|next| next.ends_with(&format!("flock {path} e2fsck -f {path}")));
    assert!(error.kind == ErrorKind::Refused && names_the_command, "{error}");
    let says_what = error.detail.contains("oot inode is not a directory") && !error.to_string().contains('\n');
    assert!(says_what && !error.detail.contains("UNEXPECTED"), "{error}");
    // While a person mends it by that command, it is left alone.
    let mending = fs::File::open(&file).unwrap();
    mending.lock().unwrap();
    let error = host.mount(&image(&file), &target).await.unwrap_err();
    assert!(error.kind == ErrorKind::Refused && error.detail.contains("locked"), "{error}");
    drop(mending);
    assert!(host.mounts(&target).await.unwrap().is_empty());
    assert!(run("losetup", &["-j", &path]).is_empty(), "no device is left");
}
