//! That a former holder is cut off, and that nothing of what it had flushed is lost.

use futures::future::join;
use om_model::{Epoch, VolumeId, VolumeRole};

use super::{SMALL, Using, volume};
use crate::error::ErrorKind;
use crate::volume::{Fencing, VolumeProvider};

/// Runs the suite on two nodes' views of one empty provider (the same twice, if it has one node only). `using` is told
/// which node uses the attachment only by being called for it.
///
/// # Panics
/// At the first thing the provider does wrong.
pub async fn suite(old: &dyn VolumeProvider, new: &dyn VolumeProvider, using: &Using<'_>) {
    let id = volume(VolumeRole::Data);
    assert_eq!(old.fencing(), new.fencing());
    if old.fencing() == Fencing::None {
        old.create(&id, SMALL).await.unwrap();
        let error = old.revoke(&id, Epoch::new(1)).await.expect_err("who cannot fence refuses to");
        assert_eq!(error.kind, ErrorKind::Refused);
        return old.delete(&id).await.unwrap();
    }
    let error = old.revoke(&id, Epoch::new(1)).await.expect_err("what is not there is not revoked");
    assert_eq!(error.kind, ErrorKind::NotFound);
    old.create(&id, SMALL).await.unwrap();
    late_writes(old, new, using, &id).await;
    two_lost(old, new, using, &id).await;
    together(old, new, using, &id).await;
    unrevoked(old, new, using, &id).await;
    old.delete(&id).await.expect("a volume that was revoked is deleted");
    assert!(new.list().await.unwrap().is_empty(), "nothing is left");
    // A volume of the same name has a life of its own, epochs included.
    old.create(&id, SMALL).await.unwrap();
    old.attach(&id, Epoch::new(1)).await.expect("epochs of a deleted volume do not bind the next of its name");
    old.detach(&id).await.unwrap();
    old.delete(&id).await.unwrap();
}

async fn refuses(node: &dyn VolumeProvider, id: &VolumeId, epoch: u64) {
    let error = node.attach(id, Epoch::new(epoch)).await.expect_err("a revoked epoch is not attached any more");
    assert_eq!(error.kind, ErrorKind::Refused, "{error}");
}

/// Epoch 1 writes on after it was revoked; epoch 2 sees what was flushed before and nothing of what came after.
async fn late_writes(old: &dyn VolumeProvider, new: &dyn VolumeProvider, using: &Using<'_>, id: &VolumeId) {
    let first = old.attach(id, Epoch::new(1)).await.unwrap();
    let mut former = using(&first);
    former.write("kept", "one");
    new.revoke(id, Epoch::new(1)).await.expect("epoch 1 is revoked");
    new.revoke(id, Epoch::new(1)).await.expect("revoking again is done");
    let second = new.attach(id, Epoch::new(2)).await.expect("the next holder attaches it");
    let mut holder = using(&second);
    assert_eq!(holder.read("kept").as_deref(), Some("one"), "what the former holder had flushed is there");
    former.write("kept", "late");
    former.write("late", "late");
    holder.write("second", "two");
    assert_eq!(holder.read("late"), None, "what the former holder writes afterwards does not appear");
    refuses(old, id, 1).await;
    refuses(new, id, 1).await;
    holder.end();
    new.detach(id).await.unwrap();
    // Nothing of that was only a cache.
    assert_eq!(new.attach(id, Epoch::new(2)).await.expect("the same holder again"), second);
    let holder = using(&second);
    let found = ["kept", "late", "second"].map(|name| holder.read(name));
    assert_eq!(found, [Some("one".to_owned()), None, Some("two".to_owned())]);
    old.abandon(id).await.expect("the former holder learns that it is one");
    former.end();
    old.detach(id).await.expect("and lets go");
    assert_eq!(holder.read("second").as_deref(), Some("two"), "which the holder does not notice");
    holder.end();
    new.detach(id).await.unwrap();
}

/// Epochs 3 and 4 were both lost, 4 before it attached anything.
async fn two_lost(old: &dyn VolumeProvider, new: &dyn VolumeProvider, using: &Using<'_>, id: &VolumeId) {
    let third = old.attach(id, Epoch::new(3)).await.unwrap();
    let mut former = using(&third);
    former.write("third", "three");
    new.revoke(id, Epoch::new(4)).await.expect("both are revoked by the later");
    former.write("late", "late");
    refuses(old, id, 3).await;
    refuses(old, id, 4).await;
    new.revoke(id, Epoch::new(3)).await.expect("the earlier is revoked already");
    let fifth = new.attach(id, Epoch::new(5)).await.unwrap();
    let holder = using(&fifth);
    assert_eq!(holder.read("third").as_deref(), Some("three"));
    assert_eq!(holder.read("late"), None);
    new.revoke(id, Epoch::new(2)).await.expect("nor does revoking an earlier one again");
    assert_eq!(new.attach(id, Epoch::new(5)).await.expect("disturb the holder"), fifth);
    holder.end();
    new.detach(id).await.unwrap();
    old.abandon(id).await.unwrap();
    former.end();
    old.detach(id).await.unwrap();
}

/// Two nodes revoke epoch 5 at the same moment, again and again.
async fn together(old: &dyn VolumeProvider, new: &dyn VolumeProvider, using: &Using<'_>, id: &VolumeId) {
    for epoch in (5..15).map(Epoch::new) {
        let (one, other) = join(old.revoke(id, epoch), new.revoke(id, epoch)).await;
        one.expect("one revokes it");
        other.expect("and so does the other");
        refuses(old, id, epoch.get()).await;
    }
    let holder = using(&old.attach(id, Epoch::new(15)).await.unwrap());
    assert_eq!(holder.read("third").as_deref(), Some("three"));
    holder.end();
    old.detach(id).await.unwrap();
}

/// Epoch 16 ended without a revocation, for its node was reborn or an operator vouched for it: its writes may be on their way
/// all the same. To attach the next epoch shuts them out.
async fn unrevoked(old: &dyn VolumeProvider, new: &dyn VolumeProvider, using: &Using<'_>, id: &VolumeId) {
    let mut former = using(&old.attach(id, Epoch::new(16)).await.unwrap());
    former.write("sixteenth", "sixteen");
    let next = new.attach(id, Epoch::new(17)).await.expect("the next epoch is attached without a revocation");
    let mut holder = using(&next);
    assert_eq!(holder.read("sixteenth").as_deref(), Some("sixteen"), "what the former holder had flushed is there");
    former.write("sixteenth", "late");
    former.write("late", "late");
    holder.write("seventeenth", "seventeen");
    refuses(old, id, 16).await;
    holder.end();
    assert_eq!(new.attach(id, Epoch::new(17)).await.expect("the same holder again"), next);
    new.detach(id).await.unwrap();
    assert_eq!(new.attach(id, Epoch::new(17)).await.expect("and after a detach"), next);
    let holder = using(&next);
    let found = ["sixteenth", "late", "seventeenth"].map(|name| holder.read(name));
    assert_eq!(found, [Some("sixteen".to_owned()), None, Some("seventeen".to_owned())]);
    old.abandon(id).await.unwrap();
    former.end();
    old.detach(id).await.unwrap();
    holder.end();
    new.detach(id).await.unwrap();
}
