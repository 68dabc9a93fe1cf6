//! What every `VolumeProvider` must do.

use om_model::{ByteSize, Epoch, VolumeId, VolumeRole};

use crate::error::ErrorKind;
use crate::volume::{Attachment, VolumeProvider};

/// Uses an attachment as a mount would, until the returned function is called.
pub type Use<'a> = dyn Fn(&Attachment) -> Box<dyn FnOnce() + Send> + Sync + 'a;

/// Runs the suite on an empty provider.
///
/// # Panics
/// At the first thing the provider does wrong.
pub async fn suite(volumes: &dyn VolumeProvider, in_use: &Use<'_>) {
    assert!(!volumes.name().is_empty() && !volumes.single_writer_by().is_empty(), "it says what it is");
    let (small, large) = (ByteSize::bytes(32 << 20), ByteSize::bytes(64 << 20));
    let id = |role| VolumeId {
        service: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
        member: "orders-0".parse().expect("a name"),
        role,
    };
    let (data, journal) = (id(VolumeRole::Data), id(VolumeRole::Journal));
    let epoch = Epoch::new(1);

    absent(volumes, &data, small).await;
    volumes.create(&data, small).await.expect("a volume is made");
    volumes.create(&data, small).await.expect("making it again is done");
    volumes.create(&journal, small).await.expect("a member's volumes are apart by role");
    let mut listed = volumes.list().await.unwrap();
    listed.sort();
    assert_eq!(listed, [data.clone(), journal.clone()], "both are listed, once");
    volumes.delete(&journal).await.expect("a volume is deleted");
    assert_eq!(volumes.list().await.unwrap(), std::slice::from_ref(&data));

    let attachment = volumes.attach(&data, epoch).await.expect("it is attached");
    assert_eq!(volumes.attach(&data, epoch).await.expect("attaching again is done"), attachment);
    let done = in_use(&attachment);
    let refused = volumes.delete(&data).await.expect_err("what is in use is not deleted");
    assert_eq!(refused.kind, ErrorKind::Refused);
    volumes.grow(&data, large).await.expect("it grows while in use");
    volumes.grow(&data, large).await.expect("growing again is done");
    volumes.grow(&data, small).await.expect_err("it never shrinks");
    done();
    volumes.detach(&data).await.expect("it is detached");
    volumes.detach(&data).await.expect("detaching again is done");
    let again = volumes.attach(&data, epoch.next()).await.expect("the next holder attaches it");
    in_use(&again)();
    volumes.detach(&data).await.unwrap();
    volumes.delete(&data).await.expect("it is deleted");
    volumes.delete(&data).await.expect("deleting again is done");
    assert!(volumes.list().await.unwrap().is_empty(), "nothing is left");
}

async fn absent(volumes: &dyn VolumeProvider, id: &VolumeId, size: ByteSize) {
    let error = volumes.attach(id, Epoch::new(1)).await.expect_err("what is not there is not attached");
    assert_eq!(error.kind, ErrorKind::NotFound);
    let error = volumes.grow(id, size).await.expect_err("nor enlarged");
    assert_eq!(error.kind, ErrorKind::NotFound);
    volumes.detach(id).await.expect("what is not there is not attached: detach is done");
    volumes.delete(id).await.expect("what is not there is deleted");
}
