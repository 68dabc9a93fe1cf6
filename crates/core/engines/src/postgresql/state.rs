//! How far a member's cluster has come, kept on its volume beside it.
//!
//! **Invariant:** a cluster is only ever wiped while the file says `seeding`, and on a primary nothing but an
//! initialisation that never ended says so.

use super::layout::STATE;
use crate::script::Hands;

/// The file's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No file: nothing was ever begun here by us.
    Absent,
    /// An initialisation or a copy was begun and has not ended: what is there is worth nothing.
    Seeding,
    /// Complete, but the server was never seen running on it.
    Seeded {
        /// The cluster's system identifier.
        system: String,
    },
    /// Complete, and the server ran on it.
    Proven {
        /// The cluster's system identifier.
        system: String,
    },
}

impl State {
    /// Reads the file.
    pub(super) async fn read(hands: &Hands) -> Result<Self, String> {
        let Some(text) = hands.read(STATE).await? else {
            return Ok(Self::Absent);
        };
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (Some("seeding"), None) => Ok(Self::Seeding),
            (Some("seeded"), Some(system)) => Ok(Self::Seeded { system: system.into() }),
            (Some("proven"), Some(system)) => Ok(Self::Proven { system: system.into() }),
            _ => Err(format!(
                "{STATE} holds {text:?}, which no release of ours writes: look at the volume before removing that file"
            )),
        }
    }

    /// Writes the file, synced.
    pub(super) async fn write(&self, hands: &Hands) -> Result<(), String> {
        let text = match self {
            Self::Absent => return Ok(()),
            Self::Seeding => "seeding\n".to_owned(),
            Self::Seeded { system } => format!("seeded {system}\n"),
            Self::Proven { system } => format!("proven {system}\n"),
        };
        hands.write(STATE, text, 0o644).await
    }

    /// The system identifier, once there is a cluster.
    pub(super) fn system(&self) -> Option<&str> {
        match self {
            Self::Seeded { system } | Self::Proven { system } => Some(system),
            Self::Absent | Self::Seeding => None,
        }
    }
}
