//! What mounting and unmounting do to the machine in memory.

use std::path::{Path, PathBuf};

use super::{LOOP_MAJOR, Mounted, ROOT_DEVICE, State, lasting};
use crate::error::{ErrorKind, PortError, Result};
use crate::host::{Mount, Source};

impl State {
    /// The file system that `path` lies in, and its path there.
    pub(super) fn locate(&self, path: &Path) -> ((u32, u32), PathBuf) {
        let around = self.mounts.iter().filter(|m| path.starts_with(&m.mount.target));
        match around.max_by_key(|m| m.mount.target.components().count()) {
            Some(m) => (m.mount.device, path.strip_prefix(&m.mount.target).unwrap_or(path).to_owned()),
            None => (ROOT_DEVICE, path.to_owned()),
        }
    }

    pub(super) fn device_at(&self, target: &Path) -> Option<(u32, u32)> {
        self.mounts.iter().rfind(|m| m.mount.target == target).map(|m| m.mount.device)
    }

    pub(super) fn in_use(&self, device: (u32, u32)) -> bool {
        let elsewhere = self.containers.values().flatten().any(|mount| mount.device == device);
        elsewhere || self.mounts.iter().any(|m| m.mount.device == device)
    }

    pub(super) fn device_for(&mut self, source: &Source) -> Result<((u32, u32), &'static str)> {
        match source {
            Source::Directory(_) | Source::ReadOnlyFile(_) => return Ok((ROOT_DEVICE, "ext4")),
            Source::Image { path, format, .. } => {
                let known = self.images.iter().find(|(_, image)| *image == path).map(|(device, _)| *device);
                if known.is_some_and(|device| self.in_use(device)) {
                    return Err(PortError::new(ErrorKind::Refused, "mount", path.display(), "it is in use"));
                }
                if *format {
                    *self.formatted.entry(path.clone()).or_default() += 1;
                }
                if !self.formatted.contains_key(path) {
                    return Err(PortError::new(ErrorKind::Refused, "mount", path.display(), "no file system on it"));
                }
                // An image keeps its number, by which its files are kept.
                let device = known.unwrap_or_else(|| {
                    self.next_minor += 1;
                    (LOOP_MAJOR, self.next_minor)
                });
                self.images.insert(device, path.clone());
                return Ok((device, "ext4"));
            }
            Source::Memory { .. } => {}
        }
        self.next_minor += 1;
        Ok(((0, self.next_minor), "tmpfs"))
    }

    pub(super) fn mount(&mut self, source: &Source, target: &Path) -> Result<()> {
        if self.mounts.iter().any(|m| m.mount.target == target) {
            return Ok(());
        }
        let (device, kind) = self.device_for(source)?;
        let mount = Mount { target: target.to_owned(), device, kind: kind.to_owned() };
        self.folders.remove(target);
        self.mounts.push(Mounted { mount, source: source.clone() });
        Ok(())
    }

    pub(super) fn unmount(&mut self, target: &Path) -> Result<()> {
        let under = self.mounts.iter().any(|m| m.mount.target != target && m.mount.target.starts_with(target));
        if under {
            return Err(PortError::new(
                ErrorKind::Refused,
                "unmount",
                target.display(),
                "something is mounted below it",
            ));
        }
        if let Some(at) = self.mounts.iter().rposition(|m| m.mount.target == target) {
            let device = self.mounts.remove(at).mount.device;
            if !self.in_use(device) {
                // The next mount is a new life of the file system.
                self.shut_down.remove(&device);
                self.frozen.remove(&device);
                self.files.retain(|(held, _), _| *held != device || lasting(device));
            }
        }
        self.folders.remove(target);
        Ok(())
    }

    /// Everything but PID 1 of the containers that have the file system stops.
    pub(super) fn stop(&mut self, device: (u32, u32)) {
        let has = |mounts: &[Mount]| mounts.iter().any(|mount| mount.device == device);
        let holders = self.containers.iter().filter(|(_, mounts)| has(mounts)).map(|(pid, _)| *pid);
        self.stopped.extend(holders);
    }
}
