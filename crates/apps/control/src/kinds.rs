//! The kinds of records in the control database: what each is and under which folder it lies.

use om_backend::PeerRole;
use om_controldb::records::Kind;
use om_model::{
    Epoch, Event, Holder, MemberName, MemberRecord, NodeRecord, Operation, OperationId, Roster, ServiceId, ServiceName,
    ServiceRecord, Timestamp, VolumeRecord,
};
use om_planning::{Change, Step};
use serde::{Deserialize, Serialize};

/// An operation on a service, as it is stored.
pub type ServiceOperation = Operation<Change, Step>;

macro_rules! kind {
    ($(#[$doc:meta])* $name:ident, $value:ty, $folder:literal) => {
        $(#[$doc])*
        pub(crate) struct $name;

        impl Kind for $name {
            type Value = $value;
            const FOLDER: &'static str = $folder;
        }
    };
}

kind! {
    /// `services/<name>`
    Services, ServiceRecord, "services/"
}
kind! {
    /// `service-ids/<id>`: which name a service has.
    ServiceIds, ServiceName, "service-ids/"
}
kind! {
    /// `members/<service id>/<member>`
    Members, MemberRecord, "members/"
}
kind! {
    /// `volumes/<volume id>`
    Volumes, VolumeRecord, "volumes/"
}
kind! {
    /// `operations/<id>`
    Operations, ServiceOperation, "operations/"
}
kind! {
    /// `pending/<operation id>`: operations that have not ended, so that finding them needs no look at the others.
    Pending, ServiceName, "pending/"
}
kind! {
    /// `requests/<hash of the idempotency key>`
    Requests, AcceptedRequest, "requests/"
}
kind! {
    /// `addresses/<address>`
    Addresses, AddressUse, "addresses/"
}
kind! {
    /// `secrets/<service id>/<name>`
    Secrets, SealedSecret, "secrets/"
}
kind! {
    /// `events/<cursor>`
    Events, Event, "events/"
}
kind! {
    /// `history/<service id>/<member>/<epoch>`: who held a member when.
    History, PastHolder, "history/"
}

kind! {
    /// `nodes/<node>`
    Nodes, NodeRecord, "nodes/"
}
kind! {
    /// `roster/agents`: the one roster.
    Rosters, Roster, "roster/"
}
kind! {
    /// `leader/server`: which server leads.
    Leaders, Leader, "leader/"
}

/// The server that leads, as its record tells. Every renewal changes the record's revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leader {
    /// The server, for people.
    pub(crate) server: String,
    /// The process: another one each time a server starts.
    pub(crate) process: String,
    /// How often it has renewed.
    pub(crate) renewals: u64,
}

kind! {
    /// `join-tokens/<hash of the secret>`
    JoinTokens, JoinToken, "join-tokens/"
}

/// A one-time token to join with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JoinToken {
    /// What may join with it.
    pub(crate) role: PeerRole,
    /// Until when.
    pub(crate) expires: Timestamp,
    /// By whom it was used.
    #[serde(default)]
    pub(crate) used: Option<TokenUse>,
}

/// Who used a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TokenUse {
    /// The joiner's name.
    pub(crate) name: String,
    /// A hash of its public key.
    pub(crate) key: String,
}

/// A request with an idempotency key that was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AcceptedRequest {
    /// The operation it made.
    pub(crate) operation: OperationId,
    /// A hash of what was asked for, to tell a repetition from another request under the same key.
    pub(crate) fingerprint: String,
    /// When.
    pub(crate) at: Timestamp,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressUse {
    pub(crate) service: ServiceId,
    pub(crate) member: MemberName,
}

/// A secret, sealed (base64).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedSecret {
    pub(crate) sealed: String,
}

/// A holder of a member, for the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PastHolder {
    pub(crate) epoch: Epoch,
    pub(crate) holder: Holder,
}
