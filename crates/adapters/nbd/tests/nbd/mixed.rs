//! Many writes at a time arrive where they belong, and what is on the storage host at any instant is a sound file system.

use std::fs::OpenOptions;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use om_backend::{Attachment, VolumeProvider};
use om_model::{ByteSize, Epoch};

use crate::world::{Mounted, Pool, id, run, signal};

const WRITERS: u64 = 16;
/// More than a connection takes at once: while the rest of it waits, the next request comes.
const PIECE: usize = 1 << 20;
const PIECES: u64 = 8;

/// What a writer's piece holds: its own number throughout.
fn piece(writer: u64, number: u64) -> Vec<u8> {
    (writer * PIECES + number + 1).to_le_bytes().repeat(PIECE / 8)
}

/// Writes a file past the page cache of the file system in the volume, so that nothing gathers its writes.
fn write_pieces(path: &Path, writer: u64) {
    let flags = i32::try_from(rustix::fs::OFlags::DIRECT.bits()).unwrap();
    let file = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(path).unwrap();
    let mut room = vec![0; PIECE + 4096];
    let begin = room.as_ptr().align_offset(4096);
    for number in 0..PIECES {
        let aligned = &mut room[begin..begin + PIECE];
        aligned.copy_from_slice(&piece(writer, number));
        file.write_all_at(aligned, number * PIECE as u64).unwrap();
    }
    file.sync_all().unwrap();
}

/// A storage host that is slow for a moment: the connection fills up.
fn stall(pool: &Pool) {
    let exports = pool.processes("qemu-nbd");
    for (name, length) in [("STOP", 100), ("CONT", 20)] {
        exports.iter().for_each(|pid| signal(*pid, name));
        std::thread::sleep(Duration::from_millis(length));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_writes_at_a_time_arrive_where_they_belong() {
    let pool = Pool::xfs(21170..=21179);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), ByteSize::mib(512).unwrap()).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
    let name = |writer: u64| format!("file{writer}");
    std::thread::scope(|scope| {
        let write = |writer| {
            let path = mounted.0.join(name(writer));
            scope.spawn(move || write_pieces(&path, writer))
        };
        let writers: Vec<_> = (0..WRITERS).map(write).collect();
        while writers.iter().any(|writer| !writer.is_finished()) {
            stall(&pool);
        }
    });
    drop(mounted);
    node.detach(&id()).await.unwrap();
    // From the storage host's image itself, without the node's daemon.
    let image = pool.path().join(id().to_string()).join("disk.img");
    let mounted = Mounted::new(&Attachment::Image { path: image, direct: false });
    for writer in 0..WRITERS {
        let content = std::fs::read(mounted.0.join(name(writer))).unwrap();
        let wrong = (0..PIECES).filter(|number| {
            let at = usize::try_from(*number).unwrap() * PIECE;
            content[at..at + PIECE] != piece(writer, *number)
        });
        assert_eq!(wrong.count(), 0, "pieces of writer {writer} that are not what it wrote");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_power_cut_leaves_is_sound() {
    let pool = Pool::xfs(21180..=21189);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), ByteSize::mib(512).unwrap()).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
    let image = pool.path().join(id().to_string()).join("disk.img");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (folder, over) = (mounted.0.join(format!("writer{writer}")), &over);
            scope.spawn(move || churn(&folder, over));
        }
        for instant in 0..6 {
            (0..5).for_each(|_| stall(&pool));
            let left = pool.path().join(format!("left{instant}"));
            // All of the image at one instant: what it would hold, had the node lost its power then.
            run(Command::new("cp").arg("--reflink=always").args([&image, &left]));
            run(Command::new("e2fsck").arg("-p").arg("-E").arg("journal_only").arg(&left));
            run(Command::new("e2fsck").arg("-fn").arg(&left));
        }
        over.store(true, Ordering::Relaxed);
    });
    drop(mounted);
    node.detach(&id()).await.unwrap();
}

/// Makes, flushes, renames and removes files and folders.
fn churn(folder: &Path, over: &AtomicBool) {
    use std::io::Write;
    for number in 0_u64.. {
        if over.load(Ordering::Relaxed) {
            return;
        }
        let made = folder.join(format!("made{number}"));
        std::fs::create_dir_all(&made).unwrap();
        let mut file = std::fs::File::create(made.join("file")).unwrap();
        let length = 4096 * usize::try_from(1 + number * 37 % 500).unwrap();
        file.write_all(&vec![7; length]).unwrap();
        file.sync_all().unwrap();
        std::fs::rename(&made, folder.join(format!("kept{number}"))).unwrap();
        if let Some(old) = number.checked_sub(10) {
            std::fs::remove_dir_all(folder.join(format!("kept{old}"))).unwrap();
        }
    }
}
