//! Volume providers: where members' data lies.

use std::path::PathBuf;

use async_trait::async_trait;
use om_model::{ByteSize, Epoch, VolumeId};
use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, PortError, Result};

/// What a volume is once attached to this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attachment {
    /// A directory, to be bind-mounted.
    Directory(PathBuf),
    /// A file with an ext4 file system in it, or room for one, to be loop-mounted.
    Image {
        /// The file.
        path: PathBuf,
        /// Whether the loop device must go past the page cache, so that nothing it acknowledged can be lost with the node.
        direct: bool,
    },
}

/// How a provider cuts a former holder off, hence what may move by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fencing {
    /// It cannot: members move only with proof from the holder's node or an operator.
    None,
    /// [`VolumeProvider::revoke`] cuts a holder off at once, whatever it does.
    AtOnce,
    /// [`VolumeProvider::revoke`] keeps what a holder wrote; it may be called only once the holder's lease is over, or what
    /// the holder acknowledges afterwards would be lost.
    AfterLease,
}

/// A snapshot of a volume, by the caller's name for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SnapshotId {
    /// The volume it was taken of.
    pub volume: VolumeId,
    /// Its name: 1 to 64 letters, digits and hyphens.
    pub name: String,
}

impl SnapshotId {
    /// [`ErrorKind::Invalid`] unless the name is one: providers make file names of it.
    pub fn check(&self) -> Result<()> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if (1..=64).contains(&self.name.len()) && self.name.bytes().all(allowed) {
            return Ok(());
        }
        let detail = "a snapshot's name is 1 to 64 letters, digits and hyphens";
        Err(PortError::new(ErrorKind::Invalid, "use", format!("snapshot name {:?}", self.name), detail))
    }
}

/// A volume provider. Every call is idempotent; after a time-out its effect is unknown and it is to be repeated.
#[async_trait]
pub trait VolumeProvider: Send + Sync {
    /// Its name, kept in every volume's record.
    fn name(&self) -> &str;

    /// By what "one writer" holds for its volumes; shown in the docs and by `openmanage node list`.
    fn single_writer_by(&self) -> &str;

    /// Makes a volume of `size`. Done also if it exists.
    /// [`ErrorKind::Exhausted`](crate::ErrorKind) if there is no room.
    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()>;

    /// Deletes a volume and everything on it. Done also if it is gone; refused while attached. Its snapshots stay.
    async fn delete(&self, id: &VolumeId) -> Result<()>;

    /// How it cuts a former holder off.
    fn fencing(&self) -> Fencing {
        Fencing::None
    }

    /// Design §5 proof b: once this returns, no holder of `epoch` or of one before it changes the volume's present content
    /// any more, whatever they do and whenever their writes arrive; and what they had flushed is there. Done also if none
    /// of them ever attached it. [`ErrorKind::Refused`] where the provider cannot.
    async fn revoke(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let detail = format!("{} volumes cannot be taken from the holder of epoch {epoch}", self.name());
        Err(PortError::new(ErrorKind::Refused, "revoke", format!("volume {id}"), detail))
    }

    /// Keeps the volume's content of this moment under a name of the caller's. Done also if it exists. The content is as
    /// after a power cut unless the holder froze the file system. [`ErrorKind::Refused`] where the pool cannot.
    async fn snapshot(&self, id: &SnapshotId) -> Result<()> {
        Err(PortError::new(
            ErrorKind::Refused,
            "snapshot",
            format!("volume {}", id.volume),
            "the pool has no snapshots",
        ))
    }

    /// Deletes a snapshot. Done also if it is gone.
    async fn delete_snapshot(&self, _id: &SnapshotId) -> Result<()> {
        Ok(())
    }

    /// All snapshots of a volume, by name.
    async fn snapshots(&self, _id: &VolumeId) -> Result<Vec<SnapshotId>> {
        Ok(Vec::new())
    }

    /// Makes the volume `id` with a snapshot's content, at least as large. Done also if `id` exists.
    async fn restore(&self, _id: &VolumeId, from: &SnapshotId, _size: ByteSize) -> Result<()> {
        let subject = format!("snapshot {}", from.name);
        Err(PortError::new(ErrorKind::NotFound, "restore", subject, "there is no such snapshot"))
    }

    /// Makes the volume available to this node for the holder of `epoch`, whose former holders have been fenced.
    /// [`ErrorKind::Refused`] if that epoch was revoked, or a later one has attached. Unless [`Self::fencing`] is
    /// [`Fencing::None`], writes of lower epochs that are still on their way are shut out by this alone: that a holder is
    /// dead says nothing of them.
    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment>;

    /// This node's epoch is over: whatever still waits here for the volume's storage fails at once rather than when the
    /// storage answers. To be called before the file system is shut down and unmounted, either of which would wait too.
    /// Nothing that was not flushed is kept. Done also if it is not attached; nothing to do where storage never waits.
    async fn abandon(&self, _id: &VolumeId) -> Result<()> {
        Ok(())
    }

    /// Takes it back. Done also if it is not attached.
    async fn detach(&self, id: &VolumeId) -> Result<()>;

    /// False where a node sees a new size only when it attaches the volume the next time: the member has to be restarted.
    fn grows_in_use(&self) -> bool {
        true
    }

    /// Enlarges it to `size` while it may be in use. Done also if it is that large; smaller is refused.
    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()>;

    /// All volumes it has.
    async fn list(&self) -> Result<Vec<VolumeId>>;
}
