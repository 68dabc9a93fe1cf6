//! The reverse of mounting: nothing is taken from under a container, and "gone" means gone from the kernel.

use std::time::Duration;

use om_backend::{ErrorKind, MountName, PortError, Result};
use om_model::{MemberName, ServiceId, VolumeId, VolumeRole};

use crate::agent::Agent;
use crate::survey::{Mounted, folder_prefix};

/// How long the kernel may take to end the mount namespace of a container that has exited.
const NAMESPACE_ENDS_WITHIN: Duration = Duration::from_secs(2);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

impl Agent {
    /// Unmounts what was mounted for Docker's request `id`. Done also if it is not, or no longer, or another's.
    pub(crate) async fn unmount(&self, name: &MountName, id: &str) -> Result<()> {
        let _ordered = self.locks.hold(&name.service, name.member.as_ref()).await;
        let made_for = |mounted: &Mounted| mounted.was_made_for(id) && mounted.answers_to(name);
        let Some(mounted) = self.survey().await?.into_iter().find(made_for) else { return Ok(()) };
        let _ours = match name.member {
            None => Some(self.locks.hold(&name.service, Some(&mounted.volume.member)).await),
            Some(_) => None,
        };
        self.clear(&mounted).await?;
        self.sweep_addresses().await
    }

    /// Waits while another namespace has the mount, but not for long.
    pub(crate) async fn wait_until_unheld(&self, action: &str, mounted: &Mounted) -> Result<()> {
        let Some(device) = mounted.control_device() else { return Ok(()) };
        let since = self.now();
        while let Some(process) = self.ports.host.held_elsewhere(device).await? {
            if self.now().saturating_sub(since) >= NAMESPACE_ENDS_WITHIN {
                let detail = format!("another container has it mounted (process {process})");
                return Err(PortError::new(ErrorKind::Refused, action, format!("volume {}", mounted.volume), detail)
                    .advise("stop that container first"));
            }
            self.sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Takes a volume's mounts down, deepest first, and detaches it. Refused while a container has them.
    pub(crate) async fn clear(&self, mounted: &Mounted) -> Result<()> {
        self.wait_until_unheld("unmount", mounted).await?;
        // A frozen file system can be unmounted, but would not be gone.
        self.thaw(mounted).await?;
        self.take_down(mounted).await
    }

    /// Takes a volume's mounts down, deepest first, and detaches it.
    pub(crate) async fn take_down(&self, mounted: &Mounted) -> Result<()> {
        self.clear_control(mounted).await?;
        let control = mounted.control();
        for mount in mounted.mounts.iter().rev().filter(|mount| !mount.target.starts_with(&control)) {
            self.ports.host.unmount(&mount.target).await?;
        }
        self.ports.host.unmount(&mounted.path).await?;
        // A later epoch of the same volume is attached in its own right.
        if self.survey().await?.iter().any(|other| other.volume == mounted.volume) {
            return Ok(());
        }
        self.ports.volumes.detach(&mounted.volume).await
    }

    /// Takes down only the control folder, which nobody holds.
    pub(crate) async fn clear_control(&self, mounted: &Mounted) -> Result<()> {
        let control = mounted.control();
        // Nobody is to write a lease's deadline there while it goes: it would end up on the volume, or below it.
        let _gone = self.known.folders.hold(&mounted.volume.service, Some(&mounted.volume.member)).await;
        for mount in mounted.mounts.iter().rev().filter(|mount| mount.target.starts_with(&control)) {
            self.ports.host.unmount(&mount.target).await?;
        }
        Ok(())
    }

    /// Takes down everything of a member, under whatever epoch, and what interrupted mounts left. The caller has its lock.
    pub(crate) async fn clear_member(&self, service: &ServiceId, member: &MemberName) -> Result<()> {
        for mounted in self.survey().await?.iter().filter(|mounted| mounted.is_of(service, member)) {
            self.clear(mounted).await?;
        }
        for role in [VolumeRole::Data, VolumeRole::Journal] {
            let volume = VolumeId { service: service.clone(), member: member.clone(), role };
            self.ports.host.remove_empty(&self.settings.mounts, &folder_prefix(&volume)).await?;
            self.ports.volumes.detach(&volume).await?;
        }
        self.sweep_addresses().await
    }
}
