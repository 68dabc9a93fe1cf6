//! [`SystemHost`]: the `Host` port on this machine.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use om_backend::host::ControlFile;
use om_backend::{ErrorKind, Host, Mount, PortError, Result, Source};
use om_model::{Incarnation, NodeId};

use crate::patience::{Kind, Patience, blocking};
use crate::{address, files, holders, mount, mountinfo, quiesce, sever};

/// This machine. Every call runs on a thread where blocking is allowed, and runs to its end even if the caller stops
/// waiting. What waits for storage is answered with `TimedOut` when the storage hangs (`patience`); the others ask only
/// the kernel's own memory: `mounts`, `held_elsewhere` and `shut_down` answer whatever the storage does.
#[derive(Clone, Debug)]
pub struct SystemHost {
    node: NodeId,
    incarnation: Incarnation,
    patience: Patience,
}

impl SystemHost {
    /// This machine under its host name. Its life is named by the kernel's boot id and the start of PID 1: a host that is
    /// a set of namespaces begins a new one without the kernel.
    ///
    /// # Errors
    /// If the host name is no node name, or the boot id or the start of PID 1 cannot be read.
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
    /// If the boot id or the start of PID 1 cannot be read.
    pub fn named(node: NodeId) -> Result<Self> {
        let read = |path: &str| {
            std::fs::read_to_string(path).map_err(|error| PortError::new(ErrorKind::Unavailable, "read", path, error))
        };
        let boot = read("/proc/sys/kernel/random/boot_id")?;
        let stat = read("/proc/1/stat")?;
        let unclear = |detail: &str| PortError::new(ErrorKind::Invalid, "read", "/proc/1/stat", detail);
        let start = start_time(&stat).ok_or_else(|| unclear("it has no start time"))?;
        let incarnation = format!("{}-{start}", boot.trim()).parse();
        let incarnation = incarnation.map_err(|problem| unclear(&format!("{problem}")))?;
        Ok(Self { node, incarnation, patience: Patience::default() })
    }
}

/// When a process started, in ticks since boot: the 22nd field of its stat. The second, its name, may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let after_name = stat.rsplit_once(')')?.1;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
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
        let source = source.clone();
        self.patience.run(Kind::Mount, target, move |target| mount::mount(&source, target)).await
    }

    async fn unmount(&self, target: &Path) -> Result<()> {
        self.patience.run(Kind::Mount, target, mount::unmount).await
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
        self.patience.run(Kind::Mount, target, mount::grow_file_system).await
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
        self.patience.run(Kind::ShutDown, target, quiesce::shut_down).await
    }

    async fn freeze(&self, target: &Path) -> Result<()> {
        self.patience.run(Kind::Freeze, target, quiesce::freeze).await
    }

    async fn thaw(&self, target: &Path) -> Result<()> {
        self.patience.run(Kind::Thaw, target, quiesce::thaw).await
    }

    async fn stop_holders(&self, device: (u32, u32)) -> Result<()> {
        blocking(move || holders::stop(device)).await
    }

    async fn kill_holders(&self, device: (u32, u32)) -> Result<()> {
        blocking(move || holders::kill(device)).await
    }

    async fn add_address(&self, interface: &str, address: (IpAddr, u8)) -> Result<()> {
        address::add(interface, address).await
    }

    async fn remove_address(&self, interface: &str, address: IpAddr) -> Result<()> {
        address::remove(interface, address).await
    }

    async fn addresses(&self, interface: &str) -> Result<Vec<IpAddr>> {
        address::list(interface).await
    }

    async fn sever(&self, peer: IpAddr, port: u16) -> Result<()> {
        blocking(move || sever::sever(peer, port)).await
    }

    async fn sync(&self, target: &Path) -> Result<()> {
        self.patience.run(Kind::Sync, target, mount::sync).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_read_whatever_the_program_is_called() {
        let rest = "S 0 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 100 200";
        for name in ["init", "a) b (c", "x 1 2 3"] {
            assert_eq!(start_time(&format!("1 ({name}) {rest}")), Some(4711), "{name}");
        }
        assert_eq!(start_time("1 (init) S 0"), None);
    }

    #[test]
    fn a_life_is_named_by_boot_and_pid_1() {
        let host = SystemHost::named("n".parse().unwrap()).unwrap();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let start = host.incarnation.as_str().strip_prefix(&format!("{}-", boot.trim())).map(str::parse::<u64>);
        assert!(matches!(start, Some(Ok(_))), "{}", host.incarnation);
    }
}
