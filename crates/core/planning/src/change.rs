//! What was asked for.

use std::collections::BTreeMap;

use om_model::{ByteSize, Epoch, MemberName, NodeId, OperationKind, ServiceSpec};
use serde::{Deserialize, Serialize};

/// A change of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "change", deny_unknown_fields)]
pub enum Change {
    /// Make it.
    Create {
        /// As it is to be.
        spec: ServiceSpec,
    },
    /// Remove it.
    Delete {
        /// What becomes of its volumes.
        volumes: VolumeFate,
    },
    /// Stop all members.
    Stop,
    /// Start all members.
    Start,
    /// Restart one member, or all one by one.
    Restart {
        /// The member; all when absent.
        member: Option<MemberName>,
    },
    /// Change settings and options.
    Configure {
        /// New values by name; `None` takes a value back to its default.
        settings: BTreeMap<String, Option<String>>,
        /// The same for options.
        options: BTreeMap<String, Option<String>>,
    },
    /// Enlarge volumes.
    Grow {
        /// The data volume's new size; unchanged when absent.
        data: Option<ByteSize>,
        /// The journal volume's new size; unchanged when absent.
        journal: Option<ByteSize>,
    },
    /// Have another node take over a member whose node was lost.
    Recover {
        /// The member.
        member: MemberName,
        /// The node that was lost.
        from_node: NodeId,
        /// The epoch that the member had reached by then.
        epoch: Epoch,
    },
    /// Have another node take over a member whose node is there.
    Move {
        /// The member.
        member: MemberName,
        /// The node; the planner chooses when absent.
        #[serde(default)]
        to: Option<NodeId>,
    },
}

/// What becomes of a deleted service's volumes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VolumeFate {
    /// They stay, and are listed until somebody deletes them.
    #[default]
    Keep,
    /// They are deleted with everything on them.
    Delete,
}

impl Change {
    /// The kind of operation that carries this change out.
    pub const fn kind(&self) -> OperationKind {
        match self {
            Self::Create { .. } => OperationKind::Create,
            Self::Delete { .. } => OperationKind::Delete,
            Self::Stop => OperationKind::Stop,
            Self::Start => OperationKind::Start,
            Self::Restart { .. } => OperationKind::Restart,
            Self::Configure { .. } => OperationKind::Configure,
            Self::Grow { .. } => OperationKind::Grow,
            Self::Recover { .. } => OperationKind::Recover,
            Self::Move { .. } => OperationKind::Move,
        }
    }
}
