//! What a server asks of the agent on a node.

use async_trait::async_trait;
use om_model::{MemberName, ServiceId, VolumeId};

use crate::error::Result;
use crate::member_channel::MemberStatus;

/// The agent of a node. Calls are idempotent; after a time-out the effect is unknown.
#[async_trait]
pub trait NodeAgent: Send + Sync {
    /// The member's own status. [`ErrorKind::NotFound`](crate::ErrorKind) if it is not mounted here,
    /// [`ErrorKind::Unavailable`](crate::ErrorKind) while its program is not up.
    async fn status(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus>;

    /// Puts the present configuration and secrets on the member's control folder and makes it reload.
    async fn reload(&self, service: &ServiceId, member: &MemberName) -> Result<MemberStatus>;

    /// Unmounts what is left of the member's mounts and confirms from kernel facts that they are gone: a proof that the
    /// holder is fenced; the server then notes it in the binding. Refused while a container holds them.
    async fn release(&self, service: &ServiceId, member: &MemberName) -> Result<()>;

    /// Enlarges the file system of a volume that was grown. Done also if it is not mounted here: it is then done at the
    /// next mount.
    async fn grow(&self, volume: &VolumeId) -> Result<()>;
}
