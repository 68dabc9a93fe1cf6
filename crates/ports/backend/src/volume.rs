//! Volume providers: where members' data lies.

use std::path::PathBuf;

use async_trait::async_trait;
use om_model::{ByteSize, Epoch, VolumeId};

use crate::error::Result;

/// What a volume is once attached to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// A directory, to be bind-mounted.
    Directory(PathBuf),
    /// A file with an ext4 file system in it, or room for one, to be loop-mounted.
    Image(PathBuf),
}

/// A volume provider. Every call is idempotent; after a time-out its effect is unknown and it is to be repeated.
#[async_trait]
pub trait VolumeProvider: Send + Sync {
    /// Its name, kept in every volume's record.
    fn name(&self) -> &'static str;

    /// By what "one writer" holds for its volumes; shown in the docs and by `openmanage node list`.
    fn single_writer_by(&self) -> &'static str;

    /// Makes a volume of `size`. Done also if it exists.
    /// [`ErrorKind::Exhausted`](crate::ErrorKind) if there is no room.
    async fn create(&self, id: &VolumeId, size: ByteSize) -> Result<()>;

    /// Deletes a volume and everything on it. Done also if it is gone; refused while attached.
    async fn delete(&self, id: &VolumeId) -> Result<()>;

    /// Makes the volume available to this node for the holder of `epoch`.
    async fn attach(&self, id: &VolumeId, epoch: Epoch) -> Result<Attachment>;

    /// Takes it back. Done also if it is not attached.
    async fn detach(&self, id: &VolumeId) -> Result<()>;

    /// Enlarges it to `size` while it may be in use. Done also if it is that large; smaller is refused.
    async fn grow(&self, id: &VolumeId, size: ByteSize) -> Result<()>;

    /// All volumes it has.
    async fn list(&self) -> Result<Vec<VolumeId>>;
}
