//! Who holds a member: the record on which "one writer" rests.
//!
//! A claim is one conditional update of the member's record that moves [`Binding::holder`] and raises
//! [`Binding::epoch`]. Former holders stay in [`Binding::unfenced`] until each is proven unable to write; a member is
//! mounted only while that list is empty.

use serde::{Deserialize, Serialize};

use crate::id::{Epoch, Incarnation, NodeId};
use crate::mutation::{Mutation, planted};
use crate::time::Timestamp;

/// Who holds a member now, and who may not yet be ruled out as a writer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// How many holders there have been.
    pub epoch: Epoch,
    /// The present holder; none when never held or released.
    #[serde(default)]
    pub holder: Option<Holder>,
    /// Former holders not yet proven fenced, oldest first.
    #[serde(default)]
    pub unfenced: Vec<Former>,
    /// The node that the servers want to hold the member, where they choose: it may take the member over from any other,
    /// and no other may take it. Set only once the present holder is declared lost or has released the member.
    #[serde(default)]
    pub assigned: Option<NodeId>,
    /// True once the holder has mounted: only then does the name point to it.
    #[serde(default)]
    pub published: bool,
}

/// The holder of a member: one life of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// The container, once known. The volume plugin is never told which it is.
    #[serde(default)]
    pub container: Option<String>,
    /// When the claim was won.
    pub since: Timestamp,
}

/// A former holder that may still write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// The node.
    pub node: NodeId,
    /// Which life of it.
    pub incarnation: Incarnation,
    /// Its epoch.
    pub epoch: Epoch,
}

/// Why a claim was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// Another holder has it that neither released it nor was told to give way.
    #[error("held by node {} since epoch {epoch}", .holder.node)]
    By {
        /// Who holds it.
        holder: Holder,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// Another node is to hold it.
    #[error("assigned to node {0}")]
    For(NodeId),
}

/// By what a former holder is known to write no more (design §5 step 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// (a) Its agent confirmed from kernel facts that nothing of the member is mounted there.
    Released,
    /// (a) Its node came back in a new life.
    Reborn,
    /// (b) The storage cut its epoch off.
    Revoked,
    /// (c) An operator said that the machine is off.
    Vouched,
}

/// What a claim did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The claimant held it already, in the same life: nothing changed.
    Kept,
    /// The claimant is the new holder, under a new epoch.
    Won,
}

impl Binding {
    /// Decides a claim by `node` in the life `incarnation` and changes the binding if it is admitted (design §5 step 1).
    ///
    /// # Errors
    /// [`Held`] if it is another's. The holder in its present life is never refused: it may have to give way, but that is
    /// for the next holder's claim to bring about.
    pub fn claim(&mut self, node: &NodeId, incarnation: &Incarnation, now: Timestamp) -> Result<Claimed, Held> {
        if let Some(holder) = &self.holder {
            if holder.node == *node && holder.incarnation == *incarnation {
                return Ok(Claimed::Kept);
            }
            let same_node = holder.node == *node;
            let admitted = self.assigned.as_ref() == Some(node) || planted(Mutation::ClaimWithoutCondition);
            if !same_node && !admitted {
                return Err(Held::By { holder: holder.clone(), epoch: self.epoch });
            }
            // A node that came back in a new life has proven that its former life is over (design §5 proof a).
            if !same_node {
                let former =
                    Former { node: holder.node.clone(), incarnation: holder.incarnation.clone(), epoch: self.epoch };
                if planted(Mutation::LastFormerOnly) {
                    self.unfenced.clear();
                }
                self.unfenced.push(former);
            }
        } else if let Some(other) = self.assigned.as_ref().filter(|assigned| *assigned != node) {
            return Err(Held::For(other.clone()));
        }
        self.unfenced.retain(|former| former.node != *node || former.incarnation == *incarnation);
        if !planted(Mutation::EpochNotRaised) {
            self.epoch = self.epoch.next();
        }
        self.holder =
            Some(Holder { node: node.clone(), incarnation: incarnation.clone(), container: None, since: now });
        self.published = false;
        Ok(Claimed::Won)
    }

    /// The holder of `epoch`, the present one or a former, gives the member up, having unmounted it. Others are left alone.
    pub fn release(&mut self, epoch: Epoch) {
        if self.epoch == epoch || planted(Mutation::ReleaseWhateverEpoch) {
            self.holder = None;
            self.published = false;
        }
        self.unfenced.retain(|former| former.epoch != epoch);
    }

    /// The former holder of `epoch` is proven unable to write. The present holder's epoch is never proven so: it is released.
    pub fn fenced(&mut self, epoch: Epoch) {
        self.unfenced.retain(|former| former.epoch != epoch);
    }

    /// The holder of `epoch` has mounted: its name may answer. False if the epoch has moved on.
    pub fn publish(&mut self, epoch: Epoch) -> bool {
        let same = self.epoch == epoch || planted(Mutation::PublishWhateverEpoch);
        let current = same && self.holder.is_some() && self.unfenced.is_empty();
        self.published |= current;
        current
    }
}

#[cfg(test)]
mod tests;
