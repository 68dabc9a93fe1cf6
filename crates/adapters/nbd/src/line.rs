//! What a node says to the storage host.

use std::fmt;

use async_trait::async_trait;
use om_backend::{PortError, Result, SnapshotId};
use om_model::{ByteSize, Epoch, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where [`Storage::router`](crate::Storage::router) answers.
pub const PATH: &str = "/storage";

/// The way to the storage host. Whoever can use it can do anything with any volume: it has to be authenticated.
#[async_trait]
pub trait StorageLine: Send + Sync {
    /// Posts `body` to `path` and returns the body of the answer, whatever it says.
    /// [`ErrorKind::Unavailable`](om_backend::ErrorKind) or `TimedOut` where there is none, within a bound of its own.
    async fn call(&self, path: &str, body: Value) -> Result<Value>;
}

/// A call. All are idempotent.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum Call {
    /// Makes a volume.
    Create {
        /// Which.
        id: VolumeId,
        /// How large.
        size: ByteSize,
    },
    /// Deletes one.
    Delete {
        /// Which.
        id: VolumeId,
    },
    /// Enlarges one.
    Grow {
        /// Which.
        id: VolumeId,
        /// To what.
        size: ByteSize,
    },
    /// Asks for all. The answer is a list of [`VolumeId`].
    List,
    /// Starts the export for the holder of an epoch, or starts it anew; exports of lower epochs end. The answer is
    /// [`Exported`].
    Export {
        /// Of which volume.
        id: VolumeId,
        /// For which epoch.
        epoch: Epoch,
    },
    /// Asks whether there is an export for an epoch, and changes nothing. The answer is [`Exported`] or null.
    Exported {
        /// Of which volume.
        id: VolumeId,
        /// For which epoch.
        epoch: Epoch,
    },
    /// Ends the exports of an epoch and of lower ones; they may be started again.
    End {
        /// Of which volume.
        id: VolumeId,
        /// Of which epoch.
        epoch: Epoch,
    },
    /// Ends the exports of an epoch and of lower ones for good.
    Revoke {
        /// Of which volume.
        id: VolumeId,
        /// Of which epoch.
        epoch: Epoch,
    },
    /// Takes a snapshot.
    Snapshot {
        /// Of what, and its name.
        id: SnapshotId,
    },
    /// Deletes one.
    DeleteSnapshot {
        /// Which.
        id: SnapshotId,
    },
    /// Asks for all of a volume. The answer is a list of [`SnapshotId`].
    Snapshots {
        /// Of which volume.
        id: VolumeId,
    },
    /// Makes a volume of a snapshot.
    Restore {
        /// Which volume.
        id: VolumeId,
        /// Of what.
        from: SnapshotId,
        /// Its least size.
        size: ByteSize,
    },
}

/// How to reach an export.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// The port at the storage host.
    pub port: u16,
    /// The export's name.
    pub name: String,
    /// Whose key it is; another with every new credential.
    pub user: String,
    /// The key, as hexadecimal digits.
    pub key: String,
}

impl fmt::Debug for Exported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exported({} at port {} for {})", self.name, self.port, self.user)
    }
}

/// What comes back over the line.
pub(crate) type Answer = std::result::Result<Value, PortError>;
