//! [`SystemHost`]: the `Host` port on this machine.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use om_backend::host::ControlFile;
use om_backend::{ErrorKind, Host, Mount, PortError, Result, Source};
use om_model::{Incarnation, NodeId};

use crate::{files, mount, mountinfo};

/// This machine. Every call runs on a thread where blocking is allowed, and runs to its end even if the caller stops
/// waiting.
#[derive(Clone, Debug)]
pub struct SystemHost {
    node: NodeId,
    incarnation: Incarnation,
}

impl SystemHost {
    /// This machine under its host name, in the life that the kernel's boot id names.
    ///
    /// # Errors
    /// If the host name is no node name or the boot id cannot be read.
    pub fn detect() -> Result<Self> {
        let name = rustix::system::uname();
        let name = name.nodename().to_string_lossy().into_owned();
        let node = name.parse().map_err(|problem| {
            PortError::new(ErrorKind::Invalid, "take the host name as node name", &name, problem)
                .advise("set a host name of letters, digits, hyphens and dots")
        })?;
        Self::named(node)
    }

    /// This machine under another name.
    ///
    /// # Errors
    /// If the boot id cannot be read.
    pub fn named(node: NodeId) -> Result<Self> {
        const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
        let text = std::fs::read_to_string(BOOT_ID)
            .map_err(|error| PortError::new(ErrorKind::Unavailable, "read", BOOT_ID, error))?;
        let incarnation =
            text.trim().parse().map_err(|problem| PortError::new(ErrorKind::Invalid, "read", BOOT_ID, problem))?;
        Ok(Self { node, incarnation })
    }
}

fn not_yet(action: &str, subject: impl ToString) -> PortError {
    PortError::new(ErrorKind::Refused, action, subject, "not implemented")
}

/// Runs `work` where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(PortError::new(ErrorKind::Unavailable, "run", "a call to the operating system", error))
    })
}

fn read_failed(folder: &Path, error: &io::Error) -> PortError {
    mount::failed("read the mounts below", folder, error)
}

#[async_trait]
impl Host for SystemHost {
    fn node(&self) -> NodeId {
        self.node.clone()
    }

    fn incarnation(&self) -> Incarnation {
        self.incarnation.clone()
    }

    async fn mount(&self, source: &Source, target: &Path) -> Result<()> {
        let (source, target) = (source.clone(), target.to_owned());
        blocking(move || mount::mount(&source, &target)).await
    }

    async fn unmount(&self, target: &Path) -> Result<()> {
        let target = target.to_owned();
        blocking(move || mount::unmount(&target)).await
    }

    async fn mounts(&self, folder: &Path) -> Result<Vec<Mount>> {
        let folder = folder.to_owned();
        blocking(move || {
            let found = mountinfo::below(&folder).map_err(|error| read_failed(&folder, &error))?;
            Ok(found.into_iter().map(|e| Mount { target: e.target, device: e.device, kind: e.kind }).collect())
        })
        .await
    }

    async fn held_elsewhere(&self, device: (u32, u32)) -> Result<Option<u32>> {
        blocking(move || {
            mountinfo::held_elsewhere(device).map_err(|error| read_failed(&PathBuf::from("/proc"), &error))
        })
        .await
    }

    async fn remove_empty(&self, folder: &Path, prefix: &str) -> Result<()> {
        let (folder, prefix) = (folder.to_owned(), prefix.to_owned());
        blocking(move || mount::remove_empty(&folder, &prefix)).await
    }

    async fn grow_file_system(&self, target: &Path) -> Result<()> {
        let target = target.to_owned();
        blocking(move || mount::grow_file_system(&target)).await
    }

    async fn write_files(&self, folder: &Path, files: &[ControlFile]) -> Result<()> {
        let (folder, files) = (folder.to_owned(), files.to_vec());
        blocking(move || files::write(&folder, &files)).await
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        let path = path.to_owned();
        blocking(move || files::read(&path)).await
    }

    async fn shut_down(&self, target: &Path) -> Result<()> {
        Err(not_yet("shut down", target.display()))
    }

    async fn freeze(&self, target: &Path) -> Result<()> {
        Err(not_yet("freeze", target.display()))
    }

    async fn thaw(&self, target: &Path) -> Result<()> {
        Err(not_yet("thaw", target.display()))
    }

    async fn kill_holders(&self, device: (u32, u32)) -> Result<()> {
        Err(not_yet("kill holders of", format!("{device:?}")))
    }

    async fn add_address(&self, interface: &str, _address: (IpAddr, u8)) -> Result<()> {
        Err(not_yet("add an address to", interface))
    }

    async fn remove_address(&self, interface: &str, _address: IpAddr) -> Result<()> {
        Err(not_yet("remove an address from", interface))
    }

    async fn addresses(&self, _interface: &str) -> Result<Vec<IpAddr>> {
        Ok(Vec::new())
    }

    async fn sync(&self, target: &Path) -> Result<()> {
        let target = target.to_owned();
        blocking(move || mount::sync(&target)).await
    }
}
