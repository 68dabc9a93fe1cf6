//! That a snapshot keeps a moment, and that volumes can be made of it.

use om_model::{Epoch, VolumeId, VolumeRole};

use super::{LARGE, SMALL, Using, volume};
use crate::error::ErrorKind;
use crate::volume::{SnapshotId, VolumeProvider};

fn snapshot(volume: &VolumeId, name: &str) -> SnapshotId {
    SnapshotId { volume: volume.clone(), name: name.to_owned() }
}

/// Runs the suite on an empty provider, which has snapshots or says that it has none.
///
/// # Panics
/// At the first thing the provider does wrong.
pub async fn suite(volumes: &dyn VolumeProvider, has_snapshots: bool, using: &Using<'_>) {
    let (data, copy) = (volume(VolumeRole::Data), volume(VolumeRole::Journal));
    let (first, second) = (snapshot(&data, "first"), snapshot(&data, "second-2"));
    absent(volumes, &copy, &first).await;
    volumes.create(&data, SMALL).await.unwrap();
    if !has_snapshots {
        let error = volumes.snapshot(&first).await.expect_err("who has no snapshots takes none");
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(volumes.snapshots(&data).await.unwrap().is_empty());
        return volumes.delete(&data).await.unwrap();
    }
    for bad in ["", "..", "a/b", "under_score", &"x".repeat(65)] {
        let error = volumes.snapshot(&snapshot(&data, bad)).await.expect_err("a bad name is refused");
        assert_eq!(error.kind, ErrorKind::Invalid, "{bad:?}");
    }

    let mut holder = using(&volumes.attach(&data, Epoch::new(1)).await.unwrap());
    holder.write("text", "before");
    volumes.snapshot(&first).await.expect("it is taken while in use");
    holder.write("text", "after");
    volumes.snapshot(&first).await.expect("taking it again is done");
    volumes.snapshot(&second).await.unwrap();
    let mut listed = volumes.snapshots(&data).await.unwrap();
    listed.sort();
    assert_eq!(listed, [first.clone(), second.clone()], "both are listed");
    assert_eq!(volumes.list().await.unwrap(), std::slice::from_ref(&data), "a snapshot is not a volume");
    restored(volumes, &copy, &first, "before", using).await;
    restored(volumes, &copy, &second, "after", using).await;
    restored(volumes, &copy, &first, "before", using).await;
    assert_eq!(holder.read("text").as_deref(), Some("after"), "the origin is as it was");
    holder.end();
    volumes.detach(&data).await.unwrap();

    volumes.delete(&data).await.expect("a volume with snapshots is deleted");
    assert_eq!(volumes.snapshots(&data).await.unwrap().len(), 2, "and they stay");
    restored(volumes, &data, &second, "after", using).await;
    for id in [&first, &first, &second] {
        volumes.delete_snapshot(id).await.expect("a snapshot is deleted, also if it is gone");
    }
    absent(volumes, &copy, &second).await;
    assert!(volumes.snapshots(&data).await.unwrap().is_empty(), "nothing is left");
}

async fn absent(volumes: &dyn VolumeProvider, target: &VolumeId, missing: &SnapshotId) {
    let error = volumes.restore(target, missing, SMALL).await.expect_err("nothing comes of nothing");
    assert_eq!(error.kind, ErrorKind::NotFound, "{error}");
    volumes.delete_snapshot(missing).await.expect("what is not there is deleted");
    assert!(volumes.list().await.unwrap().is_empty(), "and no volume is left of it");
}

/// Makes `target` of a snapshot, finds `text` on it, writes to it, and deletes it again.
async fn restored(volumes: &dyn VolumeProvider, target: &VolumeId, from: &SnapshotId, text: &str, using: &Using<'_>) {
    volumes.restore(target, from, LARGE).await.expect("a volume is made of it");
    let mut copy = using(&volumes.attach(target, Epoch::new(1)).await.unwrap());
    assert_eq!(copy.read("text").as_deref(), Some(text), "with what was there at that moment");
    copy.write("text", "written to the copy");
    volumes.restore(target, from, LARGE).await.expect("making it again is done");
    assert_eq!(copy.read("text").as_deref(), Some("written to the copy"), "and changes nothing");
    copy.end();
    volumes.detach(target).await.unwrap();
    volumes.grow(target, SMALL).await.expect_err("it has the size that was asked for");
    volumes.delete(target).await.unwrap();
}
