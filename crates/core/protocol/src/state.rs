//! A moment of the model: the binding, three nodes, the storage, what is on the wire, and what was promised to clients.
//!
//! Main pieces: [`State`], [`Node`] (a machine with its agent, which is a voter too), [`Mount`] (a holder at work),
//! [`Turn`] (a Mount under way, between claim and mount), [`Store`]. **Invariant:** a state is a plain value; what only
//! serves to judge it is in [`Seen`], and nothing but the properties reads that.

use crate::record::{EPOCHS, Life, Record};
use crate::set::Set;

/// How many nodes there are.
pub(crate) const NODES: usize = 3;
/// How many of their agents are a majority.
pub(crate) const MAJORITY: u32 = 2;
/// How many writes the clients make at most.
pub(crate) const WRITES: usize = 2;

/// Everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The member's record in the control database.
    pub record: Record,
    /// Whose each epoch is.
    pub holders: [Option<Life>; EPOCHS],
    /// Whether a server is up.
    pub servers: bool,
    /// The nodes.
    pub nodes: [Node; NODES],
    /// The volume.
    pub store: Store,
    /// Writes that left a node and have not reached the storage: by write, under which epoch and to which object.
    pub wire: [Option<(u8, u8)>; WRITES],
    /// A message "released" that no server has read yet, by its epoch.
    pub releasing: Option<u8>,
    /// How many writes clients have asked for.
    pub asked: u8,
    /// Writes acknowledged to a client.
    pub acknowledged: Set,
    /// How many more mishaps there may be.
    pub mishaps_left: u8,
    /// What was seen.
    pub seen: Seen,
}

/// A machine, its agent and the member on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Node {
    /// Which life it is in.
    pub life: u8,
    /// Whether it has power.
    pub power: bool,
    /// Whether its link is up.
    pub linked: bool,
    /// Whether the whole machine is paused.
    pub paused: bool,
    /// Whether its agent runs.
    pub agent: bool,
    /// The Mount under way.
    pub turn: Option<Turn>,
    /// What is mounted.
    pub mount: Option<Mount>,
    /// The epoch that was unmounted here in good order and not yet given up.
    pub left: u8,
    /// Epochs up to this one are never mounted here again. Kept where it ends with the node's life, not with the agent's.
    pub renounced: u8,
    /// As a voter: epochs whose holders were promised a lease that still runs.
    pub promised: Set,
    /// As a voter: those among them that it has forgotten, having restarted.
    pub forgotten: Set,
    /// As a voter: whether it started less than a term ago, and answers as if it had promised everybody everything.
    pub fresh: bool,
}

/// A Mount under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Turn {
    /// The epoch that was claimed.
    pub epoch: u8,
    /// Former epochs on the list.
    pub unfenced: Set,
    /// Those that this node has fenced, not yet told to a server.
    pub fenced: Set,
}

/// A holder at work, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mount {
    /// Under which epoch.
    pub epoch: u8,
    /// Which object of the storage.
    pub object: u8,
    /// The engine.
    pub engine: Engine,
    /// Whether its container is paused.
    pub paused: bool,
    /// Whether the file system is frozen.
    pub frozen: bool,
    /// Whether the file system was shut down.
    pub shut: bool,
    /// Whether the node knows that the epoch is over.
    pub over: bool,
    /// The voters on which a lease rests that runs by the holder's clock.
    pub lease: Option<Set>,
    /// Whether a server has confirmed the epoch.
    pub confirmed: bool,
    /// The write in hand.
    pub write: Write,
}

/// The engine's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// At work.
    Running,
    /// Stopped by SIGSTOP, or not started yet.
    Stopped,
    /// Ended.
    Gone,
}

/// How far a write has come on the holder's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// There is none.
    Idle,
    /// Waits in a frozen file system.
    Blocked(u8),
    /// In the page cache.
    Dirty(u8),
    /// On the wire.
    Sent(u8),
    /// The storage has it; the client does not know.
    Durable(u8),
}

/// The volume: objects, each a set of writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    /// The content of each object. `AfterLease`: generations, by the epoch from which they are read; else only object 0.
    pub objects: [Option<Set>; EPOCHS],
    /// `AtOnce`: epochs that were cut off.
    pub revoked: Set,
}

/// What the properties judge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// The highest epoch that ever mounted.
    pub mounted: u8,
    /// The object that it reads.
    pub present: u8,
    /// The present content was changed by a lower epoch.
    pub late_write: bool,
    /// A holder was evicted that nobody told to give way.
    pub evicted: bool,
}

impl State {
    /// The life that `node` is in.
    pub fn life(&self, node: u8) -> Life {
        Life { node, number: self.nodes[usize::from(node)].life }
    }

    /// Whether `node`'s agent is at work.
    pub fn awake(&self, node: u8) -> bool {
        let node = &self.nodes[usize::from(node)];
        node.power && node.agent && !node.paused
    }

    /// Whether `node`'s agent can talk to a server.
    pub fn online(&self, node: u8) -> bool {
        self.servers && self.awake(node) && self.nodes[usize::from(node)].linked
    }

    /// Whether `node`'s agent can ask the agent of `voter`.
    pub fn reaches(&self, node: u8, voter: u8) -> bool {
        let linked = |node: u8| self.nodes[usize::from(node)].linked;
        self.awake(node) && self.awake(voter) && (node == voter || linked(node) && linked(voter))
    }

    /// Forgets promises to holders that are no more: nobody need wait for them to end.
    pub fn forget_promises(&mut self, epoch: u8) {
        for node in &mut self.nodes {
            node.promised = node.promised.without(epoch);
            node.forgotten = node.forgotten.without(epoch);
        }
    }

    /// The node where `epoch` is mounted.
    pub fn mount_of(&self, epoch: u8) -> Option<&Node> {
        self.nodes.iter().find(|node| node.mount.is_some_and(|mount| mount.epoch == epoch))
    }
}

impl Node {
    /// A node that has just got power, in its life `life`.
    pub fn started(life: u8) -> Self {
        Self {
            life,
            power: true,
            linked: true,
            paused: false,
            agent: true,
            turn: None,
            mount: None,
            left: 0,
            renounced: 0,
            promised: Set::default(),
            forgotten: Set::default(),
            fresh: true,
        }
    }
}

impl Store {
    /// The newest object, of which the next generation is made.
    pub fn newest(&self) -> u8 {
        (0u8..).zip(self.objects).filter(|(_, object)| object.is_some()).map(|(epoch, _)| epoch).last().unwrap_or(0)
    }

    /// Makes the generation that `epoch` reads out of the newest, in no time and only if there is none as new.
    pub fn reflink(&mut self, epoch: u8) {
        let newest = self.newest();
        if newest < epoch {
            self.objects[usize::from(epoch)] = self.objects[usize::from(newest)];
        }
    }
}
