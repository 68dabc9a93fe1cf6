//! The member's binding, small enough to be kept in millions of states.
//!
//! Main pieces: [`Record`], and [`Record::decide`], which hands the real [`Binding`] to the real code and keeps what
//! became of it. **Invariant:** nothing here decides anything; every decision is `om-model`'s.

use om_model::{Binding, Epoch, Former, Holder, Incarnation, NodeId, Timestamp};

/// How many epochs the model has room for, zero (never held) included.
pub(crate) const EPOCHS: usize = 5;

/// One life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Life {
    /// The node.
    pub node: u8,
    /// Which life of it.
    pub number: u8,
}

/// A [`Binding`] of the model: times and containers, which no decision looks at, are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Record {
    /// The present epoch.
    pub epoch: u8,
    /// Who holds it.
    pub holder: Option<Life>,
    /// Former holders not yet proven fenced, by epoch: the binding's list is in the order of epochs too.
    pub unfenced: [Option<Life>; EPOCHS],
    /// The node that is to hold it.
    pub assigned: Option<u8>,
    /// Whether the name points to the holder.
    pub published: bool,
}

impl Record {
    /// Lets `decision` see and change the real binding.
    pub fn decide<T>(&mut self, decision: impl FnOnce(&mut Binding) -> T) -> T {
        let mut binding = self.to_binding();
        let outcome = decision(&mut binding);
        *self = Self::from_binding(&binding);
        outcome
    }

    fn to_binding(self) -> Binding {
        let former = |(epoch, life): (usize, &Option<Life>)| {
            life.map(|life| Former {
                node: node_id(life.node),
                incarnation: incarnation(life),
                epoch: Epoch::new(epoch as u64),
            })
        };
        let holder = self.holder.map(|life| Holder {
            node: node_id(life.node),
            incarnation: incarnation(life),
            container: None,
            since: Timestamp::default(),
        });
        Binding {
            epoch: Epoch::new(self.epoch.into()),
            holder,
            unfenced: self.unfenced.iter().enumerate().filter_map(former).collect(),
            assigned: self.assigned.map(node_id),
            published: self.published,
        }
    }

    fn from_binding(binding: &Binding) -> Self {
        let mut unfenced = [None; EPOCHS];
        for former in &binding.unfenced {
            unfenced[former.epoch.get() as usize] = Some(life(&former.node, &former.incarnation));
        }
        Self {
            epoch: u8::try_from(binding.epoch.get()).expect("epochs of the model are small"),
            holder: binding.holder.as_ref().map(|holder| life(&holder.node, &holder.incarnation)),
            unfenced,
            assigned: binding.assigned.as_ref().map(number),
            published: binding.published,
        }
    }
}

/// The real name of a node of the model: "a", "b", "c".
pub(crate) fn node_id(node: u8) -> NodeId {
    char::from(b'a' + node).to_string().parse().expect("a letter is a node's name")
}

/// The real incarnation of a life of the model.
pub(crate) fn incarnation(life: Life) -> Incarnation {
    format!("life-{}", life.number).parse().expect("letters and digits are an incarnation")
}

fn number(node: &NodeId) -> u8 {
    node.as_str().as_bytes()[0] - b'a'
}

fn life(node: &NodeId, incarnation: &Incarnation) -> Life {
    let digit = incarnation.as_str().as_bytes().last().expect("an incarnation is not empty");
    Life { node: number(node), number: digit - b'0' }
}
