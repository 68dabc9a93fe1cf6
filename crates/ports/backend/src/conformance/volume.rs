//! What every `VolumeProvider` must do.
//!
//! [`suite`] is about volumes as such. [`fencing::suite`] and [`snapshots::suite`] look at what is on them, through a
//! [`Usage`] that the caller provides: on real storage a mounted file system.

pub mod fencing;
pub mod snapshots;

use om_model::{ByteSize, Epoch, VolumeId, VolumeRole};

use crate::error::ErrorKind;
use crate::volume::{Attachment, VolumeProvider};

/// Uses an attachment as a mount would, until the returned function is called.
pub type Use<'a> = dyn Fn(&Attachment) -> Box<dyn FnOnce() + Send> + Sync + 'a;

/// A use of an attachment, as a member would use it.
pub trait Usage: Send {
    /// Writes and flushes `text` under `name`. Whether that still reaches the volume is for the suite to find out: on an
    /// attachment whose epoch was revoked it may fail, unseen.
    fn write(&mut self, name: &str, text: &str);

    /// What is under `name`.
    fn read(&self, name: &str) -> Option<String>;

    /// Ends the use. After a revocation this must work too, by force if need be.
    fn end(self: Box<Self>);
}

/// Makes a use of an attachment.
pub type Using<'a> = dyn Fn(&Attachment) -> Box<dyn Usage> + Sync + 'a;

fn volume(role: VolumeRole) -> VolumeId {
    VolumeId {
        service: "0123456789abcdef0123456789abcdef".parse().expect("an id"),
        member: "orders-0".parse().expect("a name"),
        role,
    }
}

const SMALL: ByteSize = ByteSize::bytes(32 << 20);
const LARGE: ByteSize = ByteSize::bytes(64 << 20);

/// Runs the suite on an empty provider.
///
/// # Panics
/// At the first thing the provider does wrong.
pub async fn suite(volumes: &dyn VolumeProvider, in_use: &Use<'_>) {
    assert!(!volumes.name().is_empty() && !volumes.single_writer_by().is_empty(), "it says what it is");
    let (small, large) = (SMALL, LARGE);
    let (data, journal) = (volume(VolumeRole::Data), volume(VolumeRole::Journal));
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
    volumes.abandon(id).await.expect("what is not there waits for nothing");
    volumes.detach(id).await.expect("what is not there is not attached: detach is done");
    volumes.delete(id).await.expect("what is not there is deleted");
}
