//! Agents, storage hosts, daemons and export processes that stop and come back.

use std::process::Command;
use std::time::{Duration, Instant};

use om_backend::{ErrorKind, VolumeProvider};
use om_model::{ByteSize, Epoch};

use crate::world::{Mounted, Pool, id, run, signal, write_within};

const SIZE: ByteSize = ByteSize::bytes(64 << 20);

#[tokio::test(flavor = "multi_thread")]
async fn agent_and_storage_restart_and_nothing_is_disturbed() {
    let pool = Pool::xfs(21200..=21209);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), SIZE).await.unwrap();
    let attachment = node.attach(&id(), Epoch::new(1)).await.unwrap();
    let mounted = Mounted::new(&attachment);
    let before = (pool.processes("qemu-nbd"), pool.processes("qemu-storage-daemon"));
    assert_eq!((before.0.len(), before.1.len()), (1, 1));

    let error = pool.storage().await.err().expect("a pool has one owner");
    assert_eq!(error.kind, ErrorKind::Refused);
    drop((node, storage));
    let storage = pool.storage().await.expect("the next owner takes it");
    let node = pool.node("one", &storage);
    assert_eq!(node.attach(&id(), Epoch::new(1)).await.unwrap(), attachment);
    assert_eq!((pool.processes("qemu-nbd"), pool.processes("qemu-storage-daemon")), before, "the same processes");
    assert!(write_within(&mounted.0.join("file"), b"text", Duration::from_secs(5)));
    let error = node.detach(&id()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused, "what is mounted is not detached");

    // Marks outlive Storage too.
    node.revoke(&id(), Epoch::new(1)).await.unwrap();
    drop((node, storage));
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    assert!(pool.processes("qemu-nbd").is_empty(), "what was revoked is not started again");
    node.abandon(&id()).await.unwrap();
    drop(mounted);
    assert_eq!(node.attach(&id(), Epoch::new(1)).await.unwrap_err().kind, ErrorKind::Refused);
    node.detach(&id()).await.expect("what the refused attach left is cleared");
    node.delete(&id()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_waits_for_an_export_that_died_and_goes_on_intact() {
    let pool = Pool::alone(21210..=21219);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), SIZE).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
    let content: Vec<u8> = (0..4_u32 << 20).map(|number| (number % 251) as u8).collect();
    signal(pool.processes("qemu-nbd")[0], "KILL");
    let path = mounted.0.join("file");
    let writer = {
        let (path, content) = (path.clone(), content.clone());
        std::thread::spawn(move || write_within(&path, &content, Duration::from_secs(60)))
    };
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(!writer.is_finished(), "it waits, and has not failed");
    storage.mend().await.unwrap();
    assert!(writer.join().unwrap(), "it goes on when the export is back");
    drop(mounted);
    node.detach(&id()).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(2)).await.unwrap());
    assert!(std::fs::read(mounted.0.join("file")).unwrap() == content, "and what it wrote is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn detach_and_abandon_do_not_wait_for_a_storage_host_that_is_away() {
    let pool = Pool::alone(21220..=21229);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), SIZE).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
    let export = pool.processes("qemu-nbd")[0];
    signal(export, "STOP");
    assert!(!write_within(&mounted.0.join("file"), b"text", Duration::from_millis(500)), "it hangs");
    let since = Instant::now();
    node.abandon(&id()).await.unwrap();
    drop(mounted);
    node.detach(&id()).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    assert!(pool.processes("qemu").is_empty(), "the stopped export was ended too");

    node.attach(&id(), Epoch::new(1)).await.unwrap();
    signal(pool.processes("qemu-nbd")[0], "STOP");
    let since = Instant::now();
    node.detach(&id()).await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.expect("it is attached again"));
    assert!(write_within(&mounted.0.join("file"), b"text", Duration::from_secs(5)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attach_replaces_what_crashes_left() {
    let pool = Pool::xfs(21230..=21239);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), SIZE).await.unwrap();
    for _ in 0..2 {
        node.attach(&id(), Epoch::new(1)).await.unwrap();
        // The daemon dies: the FUSE mount is dead, the folder there, the export running.
        signal(pool.processes("qemu-storage-daemon")[0], "KILL");
        tokio::time::sleep(Duration::from_millis(200)).await;
        let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
        assert!(write_within(&mounted.0.join("file"), b"text", Duration::from_secs(5)));
    }
    // A daemon of a lower epoch is ended when the node attaches a higher one.
    let before = pool.processes("qemu-storage-daemon");
    node.attach(&id(), Epoch::new(2)).await.unwrap();
    let after = pool.processes("qemu-storage-daemon");
    assert!(after.len() == 1 && after != before);
    assert_eq!(pool.processes("qemu-nbd").len(), 1);
    assert_eq!(node.delete(&id()).await.unwrap_err().kind, ErrorKind::Refused, "attached, though nothing is mounted");
    node.detach(&id()).await.unwrap();
    assert!(pool.processes("qemu").is_empty());
}

/// Drops everything between a node and an export's port, until dropped itself.
struct Cut(u16);

impl Cut {
    fn new(port: u16) -> Self {
        let cut = Self(port);
        cut.rules("-I");
        cut
    }

    fn rules(&self, verb: &str) {
        for side in ["--dport", "--sport"] {
            let port = self.0.to_string();
            let rule = ["-w", verb, "INPUT", "-i", "lo", "-p", "tcp", side, &port, "-j", "DROP"];
            run(Command::new("iptables").args(rule));
        }
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.rules("-D");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_cut_for_longer_than_the_storage_host_believes_in_it_heals() {
    let pool = Pool::alone(21240..=21240);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), SIZE).await.unwrap();
    let mounted = Mounted::new(&node.attach(&id(), Epoch::new(1)).await.unwrap());
    let cut = Cut::new(21240);
    let (path, content) = (mounted.0.join("file"), vec![7; 1 << 20]);
    let writer = {
        let (path, content) = (path.clone(), content.clone());
        std::thread::spawn(move || write_within(&path, &content, Duration::from_secs(180)))
    };
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert!(!writer.is_finished(), "it waits, and has not failed");
    drop(cut);
    let since = Instant::now();
    assert!(writer.join().unwrap(), "it goes on when the link is back");
    println!("went on {:?} after the heal", since.elapsed());
    assert!(std::fs::read(&path).unwrap() == content);
    drop(mounted);
    node.detach(&id()).await.unwrap();
}
