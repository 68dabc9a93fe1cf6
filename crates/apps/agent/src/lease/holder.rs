//! Holding the node's lease: renewing it, and enforcing it on what is mounted.
//!
//! Two loops, so that neither waits for the other: one asks voters and nothing else; the other writes the deadline where the
//! members' programs read it. Past the deadline a member's program stops its engine without us; for one that was paused
//! the agent takes the address away, so that no client is answered, stops the engine from outside, so that it does not run on
//! when it is resumed, and freezes the file system. **Invariant:** a mount's deadline is written after all that was undone or
//! (the stop, which PID 1 undoes) is over, so that a deadline in the future means that nothing is frozen: an agent that
//! starts anew knows by it how things stand.

use std::time::Duration;

use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream::FuturesUnordered;
use om_backend::host::ControlFile;
use om_backend::{ErrorKind, PortError, Result};
use om_engines::member::LEASE_FILE;
use om_model::VolumeRole;
use om_model::mutation::{Mutation, planted};

use super::Lease;
use crate::agent::Agent;
use crate::survey::Mounted;

/// How often in a term the lease is renewed.
const RENEWALS: u32 = 5;
/// How many terms a mount waits for the lease.
const TERMS: u32 = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Agent {
    /// Keeps the lease for ever, if there is one to keep.
    pub(crate) async fn keep_lease(&self) {
        let Some(lease) = &self.known.lease else { return };
        while let Err(error) = self.resume_lease(lease).await {
            tracing::warn!(%error, "cannot tell how the lease stands");
            self.sleep(LOOK_AGAIN).await;
        }
        futures::join!(self.renew_always(lease), self.enforce_always(lease));
    }

    /// Finds out how the agent before this one left things.
    pub(crate) async fn resume_lease(&self, lease: &Lease) -> Result<()> {
        let mut until: Option<Duration> = None;
        for mounted in &self.survey().await? {
            let deadline = self.written_deadline(mounted).await?;
            if deadline <= self.now() {
                // Also where a Mount was interrupted: the volume below it may be frozen from before.
                lease.note_frozen(&mounted.path, false);
            }
            if mounted.record.is_some() {
                until = Some(until.map_or(deadline, |until| until.min(deadline)));
            }
        }
        // Where one of them has run out, there was a lapse.
        if let Some(until) = until.filter(|until| *until > self.now()) {
            lease.resume(until, self.now());
        }
        Ok(())
    }

    /// The deadline that a mount has; long ago if it has none.
    async fn written_deadline(&self, mounted: &Mounted) -> Result<Duration> {
        let text = self.ports.host.read_file(&mounted.control().join(LEASE_FILE)).await?;
        let deadline = text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok());
        Ok(Duration::from_millis(deadline.unwrap_or_default()))
    }

    async fn renew_always(&self, lease: &Lease) {
        let mut rounds = FuturesUnordered::new();
        loop {
            // Rounds overlap, so that a lost packet delays one of them only.
            rounds.push(self.ports.runtime.within(lease.term, self.renew_round(lease)));
            let mut tick = std::pin::pin!(self.sleep(lease.term / RENEWALS));
            while !rounds.is_empty() {
                match select(rounds.next(), tick.as_mut()).await {
                    Either::Left(_) => {}
                    Either::Right(_) => break,
                }
            }
            if rounds.is_empty() {
                tick.await;
            }
        }
    }

    /// Asks every voter for a term. The lease is extended as soon as a majority promised; the others are heard out.
    pub(crate) async fn renew_round(&self, lease: &Lease) {
        let (node, life, roster) = (self.ports.host.node(), self.ports.host.incarnation(), self.roster());
        // From before anybody is asked: every promise lasts longer than what is counted on here.
        let asked = self.now();
        let ask = |voter| {
            let voter = self.voter(voter);
            let (node, life, roster) = (&node, &life, &roster);
            async move { voter.renew(node, life, roster.revision, lease.term).await }
        };
        let mut answers: FuturesUnordered<_> = roster.nodes.iter().map(ask).collect();
        let mut promised = 0;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(()) => promised += 1,
                Err(error) => self.not_voted(&error),
            }
            let asked = if planted(Mutation::LeaseFromReply) { self.now() } else { asked };
            if promised == roster.majority() && lease.extend(asked, self.now()) {
                tracing::info!("a majority of the agents promises the lease");
            }
        }
    }

    async fn enforce_always(&self, lease: &Lease) {
        let mut held = true;
        loop {
            self.enforce_lease(lease).await;
            let now = lease.spell(self.now()).is_some();
            if now != held {
                held = now;
                if held {
                    tracing::info!("the lease is held");
                    // Another node may have had an address meanwhile, or neighbours may have forgotten it.
                    self.announce_beside();
                } else {
                    tracing::warn!("the lease is not held: members on this node pause");
                }
            }
            self.sleep(lease.term / RENEWALS / 2).await;
        }
    }

    /// Confirms the lease, if it is back; freezes, or thaws and writes the deadline, wherever a container may run.
    pub(crate) async fn enforce_lease(&self, lease: &Lease) {
        if let (Some(spell), Some(cluster)) = (lease.unconfirmed(self.now()), &self.settings.cluster) {
            match self.report(cluster).await {
                Ok(()) => lease.confirm(spell, self.now()),
                Err(error) => tracing::debug!(%error, "the lease is back, but no server confirms what is held"),
            }
        }
        let here = match self.survey().await {
            Ok(here) => here,
            Err(error) => return tracing::warn!(%error, "cannot see what is mounted"),
        };
        for mounted in here.into_iter().filter(|mounted| mounted.record.is_some()) {
            let agent = self.clone();
            let subject = mounted.path.display().to_string();
            self.beside("enforce the lease on", subject, async move { agent.enforce_on(&mounted).await });
        }
    }

    async fn enforce_on(&self, mounted: &Mounted) -> Result<()> {
        let Some(lease) = &self.known.lease else { return Ok(()) };
        // What is over gets no deadline any more; it is being taken away.
        if self.is_over(mounted) {
            return Ok(());
        }
        let held = lease.deadline(self.now()).is_some();
        if held && lease.frozen(&mounted.path).is_none() {
            return self.write_deadline(mounted).await.map(|_| ());
        }
        let _ordered = self.locks.hold(&mounted.volume.service, Some(&mounted.volume.member)).await;
        // While the lock was waited for it may have been unmounted; and a path that is no mount is another file system's.
        match self.survey().await?.into_iter().find(|now| now.path == mounted.path) {
            None => {
                lease.note_thawed(&mounted.path);
                return Ok(());
            }
            // The next Mount is under way, and thaws what is frozen.
            Some(now) if now.record.is_none() => return Ok(()),
            Some(_) => {}
        }
        if lease.deadline(self.now()).is_none() {
            // An agent that starts anew may find a lapse in one mount and a deadline ahead in another. Until then that one is
            // promised; and PID 1, which undoes the stop, would not notice a lapse there.
            if self.written_deadline(mounted).await? > self.now() {
                return Ok(());
            }
            lease.note_frozen(&mounted.path, false);
            // The address first: a freeze waits for the storage, and meanwhile no client is to get an answer.
            if let Some(address) = self.address_of(mounted).await? {
                self.remove_address(address).await?;
            }
            let stopped = self.stop_beside_the_first(mounted).await;
            self.ports.host.freeze(&mounted.path).await?;
            lease.note_frozen(&mounted.path, true);
            return stopped;
        }
        if self.is_over(mounted) {
            return Ok(());
        }
        self.undo_freeze(lease, mounted).await?;
        if let Some(address) = self.address_of(mounted).await? {
            self.add_address(address).await?;
        }
        // Kept until here: an agent that dies in between begins with a lapse again.
        lease.note_thawed(&mounted.path);
        self.write_deadline(mounted).await.map(|_| ())
    }

    /// Thaws what a lapse has frozen, or may have. The caller has the member's lock.
    async fn undo_freeze(&self, lease: &Lease, mounted: &Mounted) -> Result<()> {
        if lease.frozen(&mounted.path) == Some(false) {
            // A freeze that was not waited for could still come, after the thaw. Behind this one none can.
            self.ports.host.freeze(&mounted.path).await?;
        }
        self.thaw(mounted).await
    }

    /// Stops the member's processes from outside, PID 1 being perhaps paused with them: they stop before they run again. PID 1
    /// continues them once it sees a deadline in the future again; so this is done only on behalf of the mount in which it
    /// looks for that, and never after the deadline was written there.
    async fn stop_beside_the_first(&self, mounted: &Mounted) -> Result<()> {
        match mounted.control_device().filter(|_| mounted.volume.role == VolumeRole::Data) {
            Some(device) => self.ports.host.stop_holders(device).await,
            None => Ok(()),
        }
    }

    /// Thaws what the lapse of a lease may have frozen.
    pub(crate) async fn thaw(&self, mounted: &Mounted) -> Result<()> {
        if self.known.lease.is_none() || planted(Mutation::NotThawed) {
            return Ok(());
        }
        self.ports.host.thaw(&mounted.path).await
    }

    /// Writes the present deadline into the control folder, if that is mounted; returns the spell it is of.
    async fn write_deadline(&self, mounted: &Mounted) -> Result<Option<u64>> {
        let Some(lease) = &self.known.lease else { return Ok(None) };
        let volume = &mounted.volume;
        let control = mounted.control();
        let _there = self.known.folders.hold(&volume.service, Some(&volume.member)).await;
        if !self.ports.host.mounts(&control).await?.iter().any(|mount| mount.target == control) {
            return Ok(None);
        }
        let now = self.now();
        let (Some(spell), Some(deadline)) = (lease.spell(now), lease.deadline(now)) else { return Ok(None) };
        let content = format!("{}\n", deadline.as_millis()).into_bytes();
        let file = ControlFile { path: LEASE_FILE.to_owned(), content, mode: 0o600 };
        self.ports.host.write_files(&control, &[file]).await?;
        Ok(Some(spell))
    }

    /// Waits until the lease is held; returns the spell. Nothing where no lease is needed.
    pub(crate) async fn spell_to_mount_in(&self) -> Result<Option<u64>> {
        let Some(lease) = &self.known.lease else { return Ok(None) };
        let began = self.now();
        loop {
            if let Some(spell) = lease.spell(self.now()) {
                return Ok(Some(spell));
            }
            if self.now().saturating_sub(began) > lease.term * TERMS {
                let detail = "a majority of the cluster's agents does not promise it, or no server confirms it";
                return Err(PortError::new(ErrorKind::Unavailable, "hold", "this node's lease", detail)
                    .advise("`openmanage node list` shows the nodes; the mount may be tried again"));
            }
            self.sleep(LOOK_AGAIN).await;
        }
    }

    /// True during a lapse of the lease.
    pub(crate) fn paused(&self) -> bool {
        self.known.lease.as_ref().is_some_and(|lease| lease.spell(self.now()).is_none())
    }

    /// True while that spell lasts, or where no lease is needed.
    pub(crate) fn still_in(&self, spell: Option<u64>) -> bool {
        self.known.lease.as_ref().is_none_or(|lease| lease.spell(self.now()) == spell)
    }

    /// Gives a new mount its deadline, before its container starts. Refused if the lease lapsed since that spell.
    pub(crate) async fn begin_under_lease(&self, mounted: &Mounted, spell: Option<u64>) -> Result<()> {
        let Some(lease) = &self.known.lease else { return Ok(()) };
        if lease.frozen(&mounted.path).is_some() {
            // Before there is a deadline: by one that is ahead, the next agent takes it that nothing is frozen.
            self.undo_freeze(lease, mounted).await?;
            lease.note_thawed(&mounted.path);
        }
        if !self.is_over(mounted) && self.write_deadline(mounted).await? == spell {
            return Ok(());
        }
        let detail = "this node's lease lapsed meanwhile";
        Err(PortError::new(ErrorKind::Unavailable, "mount", format!("volume {}", mounted.volume), detail))
    }
}
