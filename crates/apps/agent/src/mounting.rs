//! Mount, step by step as in design §5: claim, fence, mount, publish.
//!
//! It may be cut off at any point and asked again: every step is done when it finds itself done. Where the node needs a
//! lease, all of it happens in one spell of the lease, begun before the claim: so the claim confirms the epoch, and whoever
//! claims next waits for the deadline that the mount is given last.

use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;

use om_backend::host::ControlFile;
use om_backend::{Attachment, ErrorKind, Grant, MountName, PortError, Result, Source};
use om_engines::member::{CONFIG_FILE, CONTROL_DIR, PROGRAM, SECRETS_DIR};
use om_model::mutation::{Mutation, planted};
use om_model::{MemberName, VolumeId, VolumeRole};

use crate::agent::Agent;
use crate::survey::{Mounted, Record, folder_name};

/// Size of a control tmpfs: configuration, secrets and a socket. An upper bound; memory is used as it is filled.
const CONTROL_SIZE: u64 = 4 << 20;
/// Between the answer to a Mount and the start of its container nothing in the kernel shows that the volume is taken.
/// For so long another request has to wait and see.
const STARTS_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Agent {
    /// Mounts the volume that Docker calls `name` for its request `id`; returns where.
    pub(crate) async fn mount(&self, name: &MountName, id: &str) -> Result<PathBuf> {
        let mounted = self.mount_in_turn(name, id).await;
        if let Some(member) = &name.member {
            let mut unmounted = self.known.unmounted.lock().unwrap_or_else(PoisonError::into_inner);
            let of = (name.service.clone(), member.clone());
            match &mounted {
                Ok(_) => unmounted.remove(&of),
                Err(error) => unmounted.insert(of, error.clone()),
            };
        }
        mounted
    }

    async fn mount_in_turn(&self, name: &MountName, id: &str) -> Result<PathBuf> {
        loop {
            // Not under the lock: to get the lease back, members that are over may have to be fenced first.
            let spell = self.spell_to_mount_in().await?;
            let _ordered = self.locks.hold(&name.service, name.member.as_ref()).await;
            if !self.still_in(spell) {
                continue;
            }
            let here = self.survey().await?;
            let present = here.iter().rfind(|mounted| mounted.answers_to(name));
            if let Some(present) = present {
                self.refuse_while_taken(present, id).await?;
            }

            // Step 1, claim.
            let asked = MountName { member: member_meant(name, present, &here), ..name.clone() };
            let (node, incarnation) = (self.ports.host.node(), self.ports.host.incarnation());
            let elsewhere = mounted_members(name, &here);
            let grant = match (self.ports.control.claim(&asked, &node, &incarnation, &elsewhere).await, present) {
                (Ok(grant), _) => grant,
                // No server answers, but this node, in this life, had the volume mounted already: same holder, same epoch.
                (Err(error), Some(present)) if error.may_pass() && present.record.is_some() => {
                    tracing::warn!(%name, %error, "mounted again without a server");
                    return self.hand_over(present, name, id, spell).await;
                }
                (Err(error), _) => return Err(error),
            };

            // The member that was found for us must stay ours: from here on by its own name too.
            let found = name.member.is_none().then_some(&grant.member);
            let _ours = match found {
                Some(member) => Some(self.locks.hold(&name.service, Some(member)).await),
                None => None,
            };
            if found.is_some() && mounted_members(name, &self.survey().await?).contains(&grant.member) {
                continue;
            }
            if self.gave_up(&name.service, &grant).await? {
                self.ports.control.released(&name.service, &grant.member, grant.epoch).await?;
                continue;
            }
            return self.mount_granted(name, id, &grant, spell).await;
        }
    }

    /// Steps 2 to 4, with the claim won.
    async fn mount_granted(&self, name: &MountName, id: &str, grant: &Grant, spell: Option<u64>) -> Result<PathBuf> {
        let volume = VolumeId { service: name.service.clone(), member: grant.member.clone(), role: name.role };

        // Step 2, fence. Epochs of this node that it gave up itself are no former holders: they go once nobody has them.
        self.fence_formers(&volume.service, grant).await?;
        let mut present = None;
        for mounted in self.survey().await? {
            if mounted.is_of(&volume.service, &volume.member) && mounted.epoch != grant.epoch {
                self.clear(&mounted).await?;
            } else if mounted.volume == volume {
                present = Some(mounted);
            }
        }
        if let Some(present) = present {
            if present.was_made_for(id) {
                return Ok(present.path);
            }
            self.refuse_while_taken(&present, id).await?;
            // What the last container left in the control folder is not the next one's.
            self.clear_control(&present).await?;
        }

        if planted(Mutation::PublishBeforeMount) {
            self.publish(&volume, grant).await?;
        }
        // Step 3, mount.
        let path = self.settings.mounts.join(folder_name(&volume, grant.epoch));
        self.mount_volume(&volume, grant, &path).await?;
        let control = path.join(CONTROL_DIR);
        self.ports.host.mount(&Source::Memory { size: CONTROL_SIZE }, &control).await?;
        if name.role == VolumeRole::Data {
            self.ports.host.write_files(&control, &control_files(grant)?).await?;
            let program = Source::ReadOnlyFile(self.settings.program.clone());
            self.ports.host.mount(&program, &control.join(PROGRAM)).await?;
            // The configuration is there by now: by it the address is known to be in use.
            self.add_address(grant.config.address).await?;

            // Step 4, publish.
            self.publish(&volume, grant).await?;
        }
        let mounted = Mounted { volume, epoch: grant.epoch, path, mounts: Vec::new(), record: None };
        self.begin(&mounted, name, id, spell).await?;
        Ok(mounted.path)
    }

    async fn publish(&self, volume: &VolumeId, grant: &Grant) -> Result<()> {
        let published = self.ports.control.publish(&volume.service, &volume.member, grant.epoch).await;
        if let Err(error) = &published
            && !error.may_pass()
        {
            // The epoch has moved on: what is mounted under it must go.
            self.clear_member(&volume.service, &volume.member).await?;
        }
        published
    }

    async fn mount_volume(&self, volume: &VolumeId, grant: &Grant, path: &std::path::Path) -> Result<()> {
        let granted = grant.volumes.iter().find(|granted| granted.id == *volume).ok_or_else(|| {
            PortError::new(ErrorKind::NotFound, "mount", format!("volume {volume}"), "the member has no such volume")
        })?;
        match self.ports.volumes.attach(volume, grant.epoch).await? {
            Attachment::Directory(folder) => self.ports.host.mount(&Source::Directory(folder), path).await,
            Attachment::Image { path: image, direct } => {
                // Made only if the record says never *and* no signature is found: one of the two may be behind.
                let format = !granted.formatted || planted(Mutation::FormatsAgain);
                let source = Source::Image { path: image, format, direct };
                self.ports.host.mount(&source, path).await?;
                if granted.formatted { Ok(()) } else { self.ports.control.formatted(volume).await }
            }
        }
    }

    /// Gives a complete mount, whose container is gone, to the request `id`.
    async fn hand_over(&self, present: &Mounted, name: &MountName, id: &str, spell: Option<u64>) -> Result<PathBuf> {
        if self.is_over(present) {
            let detail = format!("its epoch {} is over; it is being taken from this node", present.epoch);
            return Err(PortError::new(ErrorKind::Refused, "mount", format!("volume {}", present.volume), detail));
        }
        self.begin(present, name, id, spell).await?;
        Ok(present.path.clone())
    }

    /// The last of a Mount: from here on a container may run.
    async fn begin(&self, mounted: &Mounted, name: &MountName, id: &str, spell: Option<u64>) -> Result<()> {
        self.begin_under_lease(mounted, spell).await?;
        let record = Record { name: name.to_string(), id: id.to_owned(), since: self.now() };
        self.ports.host.write_files(&mounted.control(), &[record.file()?]).await
    }

    /// Returns once no container but the one that `id` stands for can have the mount. Refused while another does.
    async fn refuse_while_taken(&self, present: &Mounted, id: &str) -> Result<()> {
        if present.was_made_for(id) || planted(Mutation::TakenFromUnderContainer) {
            return Ok(());
        }
        self.wait_until_unheld("mount", present).await?;
        while let Some(record) = &present.record {
            if self.now().saturating_sub(record.since) >= STARTS_WITHIN {
                break;
            }
            self.sleep(LOOK_AGAIN).await;
            self.wait_until_unheld("mount", present).await?;
        }
        Ok(())
    }
}

/// The member that a name means: the one it says; without one, the one already mounted under it, or under the name of
/// its other volume (data and journal of one container).
fn member_meant(name: &MountName, present: Option<&Mounted>, here: &[Mounted]) -> Option<MemberName> {
    let partner = partner_of(name);
    let by_partner = || here.iter().rfind(|mounted| mounted.answers_to(&partner));
    name.member.clone().or_else(|| present.or_else(by_partner).map(|mounted| mounted.volume.member.clone()))
}

/// The name of the other volume of the same container.
fn partner_of(name: &MountName) -> MountName {
    let role = match name.role {
        VolumeRole::Data => VolumeRole::Journal,
        VolumeRole::Journal => VolumeRole::Data,
    };
    MountName { role, ..name.clone() }
}

/// Members of the service that are mounted here under other names: not to be found for a name without a member.
fn mounted_members(name: &MountName, here: &[Mounted]) -> Vec<MemberName> {
    let partner = partner_of(name);
    let others = here.iter().filter(|mounted| {
        let own = mounted.answers_to(name) || mounted.answers_to(&partner);
        mounted.volume.service == name.service && mounted.record.is_some() && !own
    });
    let mut members: Vec<MemberName> = others.map(|mounted| mounted.volume.member.clone()).collect();
    members.sort();
    members.dedup();
    members
}

/// What a member is told: its configuration, and each secret as a file that only root can read.
pub(crate) fn control_files(grant: &Grant) -> Result<Vec<ControlFile>> {
    let config = serde_json::to_vec_pretty(&grant.config)
        .map_err(|error| PortError::new(ErrorKind::Invalid, "write", CONFIG_FILE, error))?;
    let secret = |(name, content): &(String, Vec<u8>)| ControlFile {
        path: format!("{SECRETS_DIR}/{name}"),
        content: content.clone(),
        mode: 0o600,
    };
    let mut files: Vec<ControlFile> = grant.secrets.iter().map(secret).collect();
    // Last, so that a configuration never names a secret that is not there yet.
    files.push(ControlFile { path: CONFIG_FILE.to_owned(), content: config, mode: 0o600 });
    Ok(files)
}
