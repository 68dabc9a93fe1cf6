//! What is planted to see that the checker finds it, and what goes wrong by itself.
//!
//! Main pieces: [`Fault`] (a rule of the protocol that is broken on purpose), [`Mishap`] (what the world does to a sound
//! protocol), [`Storage`] (by what the storage keeps out a former holder).

/// By what a former holder is kept out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// `nbd`: writes of an epoch that was revoked are refused, whenever they arrive.
    AtOnce,
    /// `shared-file`: the image is reflinked to a new generation; late writes reach one that nobody reads.
    AfterLease,
    /// `--timed-fencing`: neither; the lease, and a bound on how long a write may be under way, are all there is.
    Timed,
}

/// What the holder's side does so that nothing is acknowledged that the next holder will not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restraint {
    /// PID 1 alone stops the engine.
    FirstProcess,
    /// PID 1, and the agent freezes the file system.
    AgentFreezes,
    /// PID 1, and the agent stops the engine's processes from outside the container.
    AgentStops,
    /// The same, and an answer leaves the node only while the lease holds: looked at after the storage has the write.
    Gate,
}

/// A rule broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A claim keeps only the last of the former holders on its list.
    FencesOnlyLast,
    /// A claim is admitted though another node holds the member and nobody told it to give way.
    StrayEvicts,
    /// That the container exited is taken as proof that its holder is fenced.
    ExitIsProof,
    /// A holder whose epoch is over is killed and thawed before its file system is shut down.
    KillBeforeShutdown,
    /// The image is reflinked before the former holder's lease is over.
    ReflinkBeforeLeaseOver,
    /// A voter that has started anew answers as if it had never promised anything.
    VoterForgets,
    /// The name is published by the claim.
    PublishBeforeFence,
    /// Several former holders are fenced youngest first.
    YoungestFirst,
    /// Attaching under a new epoch leaves the storage open to lower ones: proofs of a holder's death are taken as proofs
    /// about its writes.
    AttachCutsNothing,
    /// Attaching opens the newest generation, whatever its epoch.
    AttachNewest,
    /// An engine goes on as soon as the lease is back.
    ContinueUnconfirmed,
    /// What a server said of the epoch before the lease was back is good enough to go on.
    ConfirmedEarlier,
    /// After telling that it gave the member up, a node mounts it again under that epoch.
    MountAfterRelease,
    /// An agent that restarts forgets that it told so.
    RestartForgets,
    /// The clock by which the holder measures its lease stands still while the machine is paused.
    StandingClock,
}

/// What may go wrong in the world; each happening counts against the model's bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// A node loses power; what was on the wire stays there.
    PowerOff,
    /// A node's link to all others is cut; its storage may still be reached.
    Cut,
    /// The container exits; its mount may stay.
    Exit,
    /// All servers stop.
    ServersDown,
    /// The container is paused, PID 1 in it too.
    ContainerPaused,
    /// The whole machine is paused.
    MachinePaused,
    /// The agent is stopped or killed.
    AgentDown,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::PowerOff,
        Self::Cut,
        Self::Exit,
        Self::ServersDown,
        Self::ContainerPaused,
        Self::MachinePaused,
        Self::AgentDown,
    ];
}
