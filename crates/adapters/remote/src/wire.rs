//! The calls: their paths, what goes and what comes back, and how long each may take.
//!
//! Client and router are both made from these, so they cannot differ. Fields are only ever added, with defaults, so that
//! servers and agents of neighbouring versions understand one another.

use std::marker::PhantomData;
use std::time::Duration;

use axum::http::StatusCode;
use om_backend::control_plane::{Grant, NodeOrders, NodeReport};
use om_backend::{Attachment, ErrorKind, JoinRequest, Joined, MemberStatus, PeerView, SnapshotId};
use om_model::zone::Zone;
use om_model::{ByteSize, Epoch, Incarnation, MemberName, NodeId, Proof, ServiceId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::volumes::VolumeTraits;

/// Where all paths begin.
pub(crate) const PREFIX: &str = "/v1/node-protocol/";

/// The largest body, either way.
pub(crate) const BODY_MAX: usize = 16 << 20;

/// A call that takes `A` and answers `T`.
pub(crate) struct Call<A, T> {
    pub(crate) path: &'static str,
    limit_ms: u64,
    types: PhantomData<fn(A) -> T>,
}

impl<A, T> Call<A, T> {
    const fn new(path: &'static str, limit_ms: u64) -> Self {
        Self { path, limit_ms, types: PhantomData }
    }

    pub(crate) fn limit(&self) -> Duration {
        Duration::from_millis(self.limit_ms)
    }
}

/// The status that says the same as a port's error kind, for logs and people; the error itself is in the body.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::Refused => StatusCode::CONFLICT,
        ErrorKind::Exhausted => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
    }
}

/// Calls of [`om_backend::ControlPlane`].
pub(crate) mod plane {
    use super::*;

    pub(crate) const KNOWS: Call<Knows, bool> = Call::new("control-plane/knows", 3_000);
    /// The server may first ask the former holder's agent.
    pub(crate) const CLAIM: Call<Claim, Grant> = Call::new("control-plane/claim", 10_000);
    pub(crate) const FORMATTED: Call<OfVolume, ()> = Call::new("control-plane/formatted", 5_000);
    pub(crate) const FENCED: Call<Fenced, ()> = Call::new("control-plane/fenced", 5_000);
    pub(crate) const REPORT: Call<NodeReport, NodeOrders> = Call::new("control-plane/report", 3_000);
    pub(crate) const PUBLISH: Call<OfHolder, ()> = Call::new("control-plane/publish", 5_000);
    pub(crate) const RELEASED: Call<OfHolder, ()> = Call::new("control-plane/released", 5_000);
    pub(crate) const REFRESH: Call<OfHolder, Grant> = Call::new("control-plane/refresh", 5_000);

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Knows {
        /// As the volume plugin writes it.
        pub(crate) name: String,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Claim {
        pub(crate) name: String,
        pub(crate) node: NodeId,
        pub(crate) incarnation: Incarnation,
        pub(crate) mounted_here: Vec<MemberName>,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Fenced {
        pub(crate) service: ServiceId,
        pub(crate) member: MemberName,
        pub(crate) epoch: Epoch,
        pub(crate) proof: Proof,
    }
}

/// Calls of [`om_backend::NodeAgent`], [`om_backend::Voter`] and [`om_backend::NameService`].
pub(crate) mod agent {
    use super::*;

    pub(crate) const STATUS: Call<OfMember, MemberStatus> = Call::new("agent/status", 3_000);
    pub(crate) const RELOAD: Call<OfMember, MemberStatus> = Call::new("agent/reload", 10_000);
    pub(crate) const RELEASE: Call<OfMember, ()> = Call::new("agent/release", 15_000);
    pub(crate) const FENCE: Call<OfHolder, ()> = Call::new("agent/fence", 15_000);
    /// Detection waits for it.
    pub(crate) const PEERS: Call<(), Vec<PeerView>> = Call::new("agent/peers", 500);
    pub(crate) const GROW: Call<OfVolume, ()> = Call::new("agent/grow", 60_000);

    /// A lease is renewed every fifth of its term; a vote that comes later is of no use.
    pub(crate) const RENEW: Call<Vote, ()> = Call::new("voter/renew", 400);
    pub(crate) const BAR: Call<Vote, Duration> = Call::new("voter/bar", 500);

    pub(crate) const PUBLISH: Call<Zone, ()> = Call::new("names/publish", 3_000);
    pub(crate) const WITHDRAW: Call<(), ()> = Call::new("names/withdraw", 3_000);

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Vote {
        pub(crate) holder: NodeId,
        pub(crate) life: Incarnation,
        /// The revision of the asker's roster. The oldest, if it does not say.
        #[serde(default)]
        pub(crate) roster: u64,
        pub(crate) term: Duration,
    }
}

/// Calls of [`om_backend::VolumeProvider`].
pub(crate) mod volumes {
    use super::*;

    pub(crate) const TRAITS: Call<(), VolumeTraits> = Call::new("volumes/traits", 3_000);
    pub(crate) const CREATE: Call<OfSize, ()> = Call::new("volumes/create", 60_000);
    pub(crate) const DELETE: Call<OfVolume, ()> = Call::new("volumes/delete", 60_000);
    pub(crate) const REVOKE: Call<AtEpoch, ()> = Call::new("volumes/revoke", 15_000);
    pub(crate) const SNAPSHOT: Call<SnapshotId, ()> = Call::new("volumes/snapshot", 60_000);
    pub(crate) const DELETE_SNAPSHOT: Call<SnapshotId, ()> = Call::new("volumes/delete-snapshot", 60_000);
    pub(crate) const SNAPSHOTS: Call<OfVolume, Vec<SnapshotId>> = Call::new("volumes/snapshots", 10_000);
    pub(crate) const RESTORE: Call<Restore, ()> = Call::new("volumes/restore", 600_000);
    pub(crate) const ATTACH: Call<AtEpoch, Attachment> = Call::new("volumes/attach", 30_000);
    pub(crate) const ABANDON: Call<OfVolume, ()> = Call::new("volumes/abandon", 30_000);
    pub(crate) const DETACH: Call<OfVolume, ()> = Call::new("volumes/detach", 30_000);
    pub(crate) const GROW: Call<OfSize, ()> = Call::new("volumes/grow", 60_000);
    pub(crate) const LIST: Call<(), Vec<VolumeId>> = Call::new("volumes/list", 10_000);

    #[derive(Serialize, Deserialize)]
    pub(crate) struct OfSize {
        pub(crate) volume: VolumeId,
        pub(crate) size: ByteSize,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct AtEpoch {
        pub(crate) volume: VolumeId,
        pub(crate) epoch: Epoch,
    }

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Restore {
        pub(crate) volume: VolumeId,
        pub(crate) from: SnapshotId,
        pub(crate) size: ByteSize,
    }
}

/// Calls of [`om_backend::Joining`].
pub(crate) mod joining {
    use super::*;

    pub(crate) const AUTHORITY: Call<(), String> = Call::new("joining/authority", 3_000);
    pub(crate) const JOIN: Call<JoinRequest, Joined> = Call::new("joining/join", 5_000);
    pub(crate) const RENEW: Call<Renew, String> = Call::new("joining/renew", 5_000);

    #[derive(Serialize, Deserialize)]
    pub(crate) struct Renew {
        pub(crate) csr: String,
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OfMember {
    pub(crate) service: ServiceId,
    pub(crate) member: MemberName,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OfHolder {
    pub(crate) service: ServiceId,
    pub(crate) member: MemberName,
    pub(crate) epoch: Epoch,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OfVolume {
    pub(crate) volume: VolumeId,
}
