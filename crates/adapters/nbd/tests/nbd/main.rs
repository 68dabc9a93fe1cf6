//! Both halves over real file systems, processes and mounts, as root.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, reason = "helpers of tests are tests")]

mod interrupted;
mod mixed;
mod world;

use std::time::{Duration, Instant};

use axum::body::Body;
use http_body_util::BodyExt;
use om_backend::conformance::volume;
use om_backend::{Attachment, ErrorKind, VolumeProvider};
use om_model::{ByteSize, Epoch};
use om_nbd::{Call, Exported, PATH};
use tower::ServiceExt;
use world::{Mounted, Pool, id, in_use, using};

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let pool = Pool::xfs(21100..=21119);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    volume::suite(&node, &in_use).await;
    volume::snapshots::suite(&node, true, &using).await;
    assert_eq!(pool.entries(), Vec::<String>::new(), "no file is left");
    assert_eq!(pool.processes("qemu"), Vec::<i32>::new(), "and no process");
}

#[tokio::test(flavor = "multi_thread")]
async fn fences_also_where_all_epochs_share_one_port() {
    let pool = Pool::xfs(21120..=21120);
    let storage = pool.storage().await.unwrap();
    let (one, other) = (pool.node("one", &storage), pool.node("other", &storage));
    volume::fencing::suite(&one, &other, &using).await;
    assert_eq!(pool.entries(), Vec::<String>::new(), "no file is left");
    assert_eq!(pool.processes("qemu"), Vec::<i32>::new(), "and no process");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_without_reflinks_has_no_snapshots_and_fences_all_the_same() {
    let pool = Pool::new(&["mkfs.ext4", "-q"], 21130..=21139);
    let storage = pool.storage().await.unwrap();
    let (one, other) = (pool.node("one", &storage), pool.node("other", &storage));
    volume::snapshots::suite(&one, false, &using).await;
    volume::fencing::suite(&one, &other, &using).await;
    assert_eq!(pool.entries(), Vec::<String>::new(), "no file is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_grew_is_larger_when_it_is_next_attached() {
    let pool = Pool::xfs(21140..=21149);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), ByteSize::mib(64).unwrap()).await.unwrap();
    let attachment = node.attach(&id(), Epoch::new(1)).await.unwrap();
    let mounted = Mounted::new(&attachment);
    let size = |mounted: &Mounted| rustix::fs::statvfs(&mounted.0).unwrap().f_blocks;
    let before = size(&mounted);
    node.grow(&id(), ByteSize::mib(256).unwrap()).await.unwrap();
    assert!(!node.grows_in_use() && size(&mounted) == before);
    drop(mounted);
    node.detach(&id()).await.unwrap();
    assert_eq!(node.attach(&id(), Epoch::new(1)).await.unwrap(), attachment);
    let mounted = Mounted::new(&attachment);
    assert!(size(&mounted) > before * 3, "{} blocks, before {before}", size(&mounted));
}

#[tokio::test(flavor = "multi_thread")]
async fn http_answers_and_tells_errors() {
    let pool = Pool::xfs(21150..=21159);
    let storage = pool.storage().await.unwrap();
    let ask = async |call: &Call| {
        let request = axum::http::Request::post(PATH).header("content-type", "application/json");
        let request = request.body(Body::from(serde_json::to_vec(call).unwrap())).unwrap();
        let answer = storage.router().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<Result<serde_json::Value, om_backend::PortError>>(&body).unwrap()
    };
    let export = Call::Export { id: id(), epoch: Epoch::new(3) };
    assert_eq!(ask(&export).await.unwrap_err().kind, ErrorKind::NotFound);
    ask(&Call::Create { id: id(), size: ByteSize::mib(16).unwrap() }).await.unwrap();
    let first: Exported = serde_json::from_value(ask(&export).await.unwrap()).unwrap();
    let again: Exported = serde_json::from_value(ask(&export).await.unwrap()).unwrap();
    assert_eq!(first, again, "a repeated or late request leaves port and key as they are");
    assert!(!format!("{first:?}").contains(&first.key), "a key is never printed");
    let lines = |pid| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    assert!(pool.processes("qemu-nbd").into_iter().all(|pid| !lines(pid).contains(&first.key)), "nor is it a word");
    ask(&Call::Revoke { id: id(), epoch: Epoch::new(3) }).await.unwrap();
    assert_eq!(ask(&export).await.unwrap_err().kind, ErrorKind::Refused);
    let found = ask(&Call::Exported { id: id(), epoch: Epoch::new(3) }).await.unwrap();
    assert!(found.is_null());
    let next = ask(&Call::Export { id: id(), epoch: Epoch::new(4) }).await.unwrap();
    let next: Exported = serde_json::from_value(next).unwrap();
    assert!(next.key != first.key && next.user != first.user, "every epoch has a credential of its own");
}

/// Figures, not bounds: `cargo test -p om-nbd --test nbd figures -- --nocapture`.
#[tokio::test(flavor = "multi_thread")]
async fn figures() {
    let pool = Pool::xfs(21160..=21169);
    let storage = pool.storage().await.unwrap();
    let node = pool.node("one", &storage);
    node.create(&id(), ByteSize::mib(512).unwrap()).await.unwrap();
    let since = Instant::now();
    let attachment = node.attach(&id(), Epoch::new(1)).await.unwrap();
    println!("attach {:?}", since.elapsed());
    let since = Instant::now();
    let mounted = Mounted::new(&attachment);
    println!("format and mount {:?}", since.elapsed());
    println!("8 KiB write and fsync, median and worst of 200: {:?}", fsync_times(&mounted));
    let since = Instant::now();
    node.revoke(&id(), Epoch::new(1)).await.unwrap();
    println!("revoke {:?}", since.elapsed());
    let other = pool.node("other", &storage);
    let since = Instant::now();
    let next: Attachment = other.attach(&id(), Epoch::new(2)).await.unwrap();
    println!("attach after it {:?}", since.elapsed());
    let since = Instant::now();
    let second = Mounted::new(&next);
    println!("mount after it, journal replayed {:?}", since.elapsed());
    let since = Instant::now();
    node.abandon(&id()).await.unwrap();
    drop(mounted);
    node.detach(&id()).await.unwrap();
    println!("former holder lets go {:?}", since.elapsed());
    drop(second);
    let since = Instant::now();
    other.detach(&id()).await.unwrap();
    println!("detach {:?}", since.elapsed());
}

fn fsync_times(mounted: &Mounted) -> (Duration, Duration) {
    use std::os::unix::fs::FileExt;
    let file = std::fs::File::create(mounted.0.join("file")).unwrap();
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
