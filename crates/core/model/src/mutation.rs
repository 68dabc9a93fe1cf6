//! Deliberate bugs, with which the simulator is tested: one that it misses shows that it looks too little.
//!
//! The places where they are planted ask [`planted`], right where the rule is that they break. Without the feature
//! `mutations`, which no program of the product has, that is `false` and the compiler drops them.
//!
//! **Invariant:** at most one is planted at a time, on one thread: each simulated run has a thread of its own.

/// Lists the mutations: each with its name for people, and what is wrong while it is planted.
macro_rules! mutations {
    ($($mutation:ident $name:literal $wrong:literal,)*) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Mutation {
            $(#[doc = $wrong] $mutation,)*
        }

        impl Mutation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mutation,)*];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$mutation => $name,)*
                }
            }

            /// What is wrong while it is planted.
            pub fn wrong(self) -> &'static str {
                match self {
                    $(Self::$mutation => $wrong,)*
                }
            }
        }
    };
}

mutations! {
    ClaimWithoutCondition "claim-without-condition" "A claim is admitted whoever holds the member: a stray container evicts a healthy holder.",
    EpochNotRaised "epoch-not-raised" "A claim that is won does not raise the epoch.",
    LastFormerOnly "last-former-only" "Of several lost holders only the last is kept to be fenced.",
    PublishWhateverEpoch "publish-whatever-epoch" "A member is published whatever epoch the agent says it has mounted.",
    ReleaseWhateverEpoch "release-whatever-epoch" "A release of a former epoch frees the present holder.",
    PublishBeforeMount "publish-before-mount" "The name is published before the volume is mounted.",
    NoShutdownBeforeKill "no-shutdown-before-kill" "The file system of a fenced member is not shut down before its processes are killed.",
    RevokeBeforeLeaseEnds "revoke-before-lease-ends" "A volume is revoked without waiting for the former holder's lease to end.",
    NotRevoked "not-revoked" "Former holders are told fenced without the storage cutting them off.",
    LeaseFromReply "lease-from-reply" "A lease is counted from the reply instead of from before the request.",
    VoterForgets "voter-forgets" "A voter that starts anew takes it that it has promised nothing.",
    UnconfirmedAfterLapse "unconfirmed-after-lapse" "After a lapse of its lease an agent goes on without asking a server.",
    NotThawed "not-thawed" "What a lapse of the lease froze is not thawed.",
    RunsPastDeadline "runs-past-deadline" "PID 1 of a member goes on past the deadline of the lease.",
    GivenUpForgotten "given-up-forgotten" "What a node has given up is mounted again under the same epoch.",
    OverIgnored "over-ignored" "An agent that is told that an epoch is over does not take it away.",
    OverNotCompared "over-not-compared" "A server does not compare the epochs that an agent reports.",
    AddressKept "address-kept" "A member's address stays on the node that it was taken from.",
    TakenFromUnderContainer "taken-from-under-container" "A mount is handed to another container while one has it.",
    FormatsAgain "formats-again" "A volume is mounted with leave to format it although the record says that it was formatted.",
    LostUpdate "lost-update" "A record is replaced whatever its revision is by now.",
    RetryWithoutKey "retry-without-key" "The idempotency key of a request is not looked at: a repeated one is another operation.",
    OwnerNotChecked "owner-not-checked" "A worker of a former process goes on writing the progress of an operation.",
    PendingNotCleared "pending-not-cleared" "The pending mark of an operation stays after its end.",
    RollbackSkipped "rollback-skipped" "A failed operation ends as rolled back without anything being taken back.",
    ExitTakenForProof "exit-taken-for-proof" "That a container has ended is taken for proof that its volume is unmounted.",
    SecretsInTheClear "secrets-in-the-clear" "Secrets are stored as they are.",
    NamedUnpublished "named-unpublished" "The zone has members that are not published.",
    ZonePushedOnce "zone-pushed-once" "Name servers are given the zone once, and never again.",
    FormerDeploymentKept "former-deployment-kept" "The deployment on the former node is not removed.",
    VolumesLeft "volumes-left" "Deleting a service leaves its volumes.",
    AddressGivenTwice "address-given-twice" "An address is given to a member though another has it.",
    StoppedIsStarted "stopped-is-started" "Members of a stopped service are started as if they had failed.",
    RosterNotAwaited "roster-not-awaited" "The roster is changed again before a majority of the agents knows the last change.",
    RecoveryNotStarted "recovery-not-started" "Members of a lost node are not recovered.",
}

impl std::str::FromStr for Mutation {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|mutation| mutation.name() == name);
        found.copied().ok_or_else(|| Self::ALL.iter().map(|mutation| mutation.name()).collect::<Vec<_>>().join(", "))
    }
}

/// Whether this bug is planted.
#[cfg(not(feature = "mutations"))]
#[inline]
pub const fn planted(_: Mutation) -> bool {
    false
}

#[cfg(feature = "mutations")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether this bug is planted on this thread.
#[cfg(feature = "mutations")]
pub fn planted(mutation: Mutation) -> bool {
    PLANTED.get() == Some(mutation)
}

/// Plants a bug on this thread, or none.
#[cfg(feature = "mutations")]
pub fn plant(mutation: Option<Mutation>) {
    PLANTED.set(mutation);
}
