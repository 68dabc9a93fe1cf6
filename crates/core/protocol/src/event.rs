//! What can happen next, one thing at a time.
//!
//! Main piece: [`Event`]; [`Event::all`] lists every one of them, enabled or not. Numbers in the names of nodes, voters,
//! epochs and writes are those of [`crate::State`]. **Invariant:** the steps bear the numbers of the design, section 5.

use crate::fault::Mishap;
use crate::record::EPOCHS;
use crate::state::{NODES, WRITES};

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A server decides, rightly or not, that the holder is lost and this node is to take over.
    Assign(u8),
    /// Step 1: a container starts on the node, and its agent claims.
    Claim(u8),
    /// Step 2: the claimant cuts the former holder off that is its turn, once that is allowed.
    Fence(u8),
    /// Step 2: the claimant tells a server what it has fenced.
    ReportFenced(u8),
    /// Step 2: a server finds proof against the former holder of an epoch without the storage: its agent confirms that
    /// nothing is left, or its node is in a new life.
    ProveFenced(u8),
    /// Step 3: attach and mount.
    Mount(u8),
    /// Step 4.
    Publish(u8),
    /// The agent renews the lease with a majority.
    Renew(u8),
    /// The deadline passes by the holder's clock.
    Lapse(u8),
    /// The promise of a voter to the holder of an epoch ends by the voter's clock.
    Expire(u8, u8),
    /// A whole term has passed since a voter started.
    TermPasses(u8),
    /// PID 1 stops the engine, the deadline having passed.
    FirstProcessStops(u8),
    /// The agent does its part, the deadline having passed.
    AgentRestrains(u8),
    /// A server confirms to the agent that the epoch is the present one.
    Confirm(u8),
    /// The engine goes on (or starts), the file system is thawed.
    Continue(u8),
    /// The agent hears from a server that the epoch is over.
    Learn(u8),
    /// It shuts the file system down.
    Shutdown(u8),
    /// It kills what is in the container.
    Kill(u8),
    /// It thaws the file system.
    Thaw(u8),
    /// It unmounts what is over.
    Unmount(u8),
    /// The container starts again on the same mount, under the same epoch; no server is asked.
    Restart(u8),
    /// The container is gone for good: the agent unmounts in good order.
    Leave(u8),
    /// The agent sends "released".
    Release(u8),
    /// A server reads "released".
    ReadRelease,
    /// A client asks for a write.
    Write(u8),
    /// The kernel sends the write to the storage.
    WriteBack(u8),
    /// A write reaches the storage, however late.
    Deliver(u8),
    /// The engine tells the client that its write is safe.
    Acknowledge(u8),
    /// Something goes wrong.
    Happens(Mishap, u8),
    /// A node starts, in a new life.
    PowerOn(u8),
    /// A link is whole again.
    Heal(u8),
    /// The servers are back.
    ServersUp,
    /// A paused container goes on.
    ContainerResumes(u8),
    /// A paused machine goes on.
    MachineResumes(u8),
    /// The agent starts anew and remembers nothing but kernel facts.
    AgentUp(u8),
}

impl Event {
    /// Every event there is, for the checker to try.
    pub fn all(mishaps: &[Mishap]) -> Vec<Self> {
        let of_node: [fn(u8) -> Self; 30] = [
            Self::Assign,
            Self::Claim,
            Self::Fence,
            Self::ReportFenced,
            Self::Mount,
            Self::Publish,
            Self::Renew,
            Self::Lapse,
            Self::TermPasses,
            Self::FirstProcessStops,
            Self::AgentRestrains,
            Self::Confirm,
            Self::Continue,
            Self::Learn,
            Self::Shutdown,
            Self::Kill,
            Self::Thaw,
            Self::Unmount,
            Self::Restart,
            Self::Leave,
            Self::Release,
            Self::Write,
            Self::WriteBack,
            Self::Acknowledge,
            Self::PowerOn,
            Self::Heal,
            Self::ContainerResumes,
            Self::MachineResumes,
            Self::AgentUp,
            Self::ProveFenced,
        ];
        let nodes = || 0..NODES as u8;
        let mut all = vec![Self::ServersUp, Self::ReadRelease];
        for event in of_node {
            all.extend(nodes().map(event));
        }
        all.extend((NODES as u8..EPOCHS as u8).map(Self::ProveFenced));
        all.extend((0..WRITES as u8).map(Self::Deliver));
        for node in nodes() {
            all.extend((1..EPOCHS as u8).map(|epoch| Self::Expire(node, epoch)));
            all.extend(mishaps.iter().map(|mishap| Self::Happens(*mishap, node)));
        }
        all
    }
}
