//! What was asked for.

use std::collections::BTreeMap;

use om_model::{ByteSize, MemberName, OperationKind, ServiceSpec};
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
        }
    }
}
