//! A machine in memory: mounts, images, containers' mount namespaces, reboots.
//!
//! Every call gives way before and after its effect, so that a test can drop it on either side: a crash at every await.

mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use om_model::{Incarnation, NodeId};

use crate::error::{ErrorKind, PortError, Result};
use crate::host::{ControlFile, Host, Mount, Source};

/// The device number of whatever holds the machine's own directories.
const ROOT_DEVICE: (u32, u32) = (254, 0);
/// The major number of loop devices.
const LOOP_MAJOR: u32 = 7;

/// A machine in memory. Clones are the same machine.
#[derive(Clone)]
pub struct FakeHost {
    node: NodeId,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    boots: u32,
    /// How many containers there ever were.
    started: u32,
    next_minor: u32,
    mounts: Vec<Mounted>,
    /// Empty directories made to mount upon.
    folders: BTreeSet<PathBuf>,
    /// Mounts in each container's namespace.
    containers: BTreeMap<u32, Vec<Mount>>,
    /// Files by device number and path below the file system's root.
    files: BTreeMap<((u32, u32), PathBuf), Vec<u8>>,
    /// Images with a file system on them, and how often there was leave to make one.
    formatted: BTreeMap<PathBuf, u32>,
    /// Which image each loop device was bound to.
    images: BTreeMap<(u32, u32), PathBuf>,
    grown: u32,
    /// File systems that were shut down: nothing can be read or written there any more.
    shut_down: BTreeSet<(u32, u32)>,
    frozen: BTreeSet<(u32, u32)>,
    /// Containers of which everything but PID 1 was stopped.
    stopped: BTreeSet<u32>,
    addresses: BTreeSet<(String, IpAddr)>,
    /// What was done to file systems, processes, addresses and connections, in order.
    history: Vec<String>,
}

/// True for file systems on a disk.
fn lasting(device: (u32, u32)) -> bool {
    device == ROOT_DEVICE || device.0 == LOOP_MAJOR
}

#[derive(Clone)]
struct Mounted {
    mount: Mount,
    source: Source,
}

/// Gives way once.
pub(crate) async fn give_way() {
    let mut gave = false;
    futures::future::poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}

impl FakeHost {
    /// A machine that was just started, with nothing mounted.
    pub fn new(node: NodeId) -> Self {
        Self { node, state: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn note(&self, call: &str, subject: impl std::fmt::Display) {
        self.state().history.push(format!("{call} {subject}"));
    }

    /// A container starts with a recursive bind of `folder`: its namespace now holds those mounts. Returns its process.
    pub fn start_container(&self, folder: &Path) -> u32 {
        let mut state = self.state();
        let held =
            state.mounts.iter().filter(|m| m.mount.target.starts_with(folder)).map(|m| m.mount.clone()).collect();
        // Never one that was there before: what was stopped was another's.
        state.started += 1;
        let pid = 999 + state.started;
        state.containers.insert(pid, held);
        pid
    }

    /// How many mounts the container of that process has; none once it was killed.
    pub fn held_by(&self, pid: u32) -> usize {
        self.state().containers.get(&pid).map_or(0, Vec::len)
    }

    /// True if everything of the container of that process but PID 1 was stopped.
    pub fn is_stopped(&self, pid: u32) -> bool {
        self.state().stopped.contains(&pid)
    }

    /// PID 1 of the container continues everything.
    pub fn continue_container(&self, pid: u32) {
        self.state().stopped.remove(&pid);
    }

    /// The container's last process ends.
    pub fn end_container(&self, pid: u32) {
        self.state().containers.remove(&pid);
    }

    /// Power off and on: mounts and containers are gone, images and directories stay, it is a new incarnation.
    pub fn reboot(&self) {
        let mut state = self.state();
        state.boots += 1;
        state.mounts.clear();
        state.containers.clear();
        state.addresses.clear();
        state.frozen.clear();
        state.shut_down.clear();
        state.files.retain(|(device, _), _| lasting(*device));
    }

    /// How often `image` was mounted with leave to make a file system on it.
    pub fn times_format_allowed(&self, image: &Path) -> u32 {
        self.state().formatted.get(image).copied().unwrap_or_default()
    }

    /// True if the file system with this device number was shut down.
    pub fn was_shut_down(&self, device: (u32, u32)) -> bool {
        self.state().shut_down.contains(&device)
    }

    /// True if the file system with this device number is frozen.
    pub fn is_frozen(&self, device: (u32, u32)) -> bool {
        self.state().frozen.contains(&device)
    }

    /// What was done to file systems, processes, addresses and connections, in order: the call and its subject.
    pub fn history(&self) -> Vec<String> {
        self.state().history.clone()
    }

    /// How often a file system was enlarged.
    pub fn times_grown(&self) -> u32 {
        self.state().grown
    }

    /// Everything that mounting left: mount points and the directories made for them. Empty when nothing leaked.
    pub fn left_behind(&self) -> Vec<PathBuf> {
        let state = self.state();
        state.mounts.iter().map(|m| m.mount.target.clone()).chain(state.folders.iter().cloned()).collect()
    }

    /// The source of the mount at `target`.
    pub fn source_of(&self, target: &Path) -> Option<Source> {
        self.state().mounts.iter().rfind(|m| m.mount.target == target).map(|m| m.source.clone())
    }
}

#[async_trait]
impl Host for FakeHost {
    fn node(&self) -> NodeId {
        self.node.clone()
    }

    fn incarnation(&self) -> Incarnation {
        format!("boot-{}", self.state().boots).parse().expect("letters, a hyphen and digits")
    }

    async fn mount(&self, source: &Source, target: &Path) -> Result<()> {
        give_way().await;
        self.state().folders.insert(target.to_owned());
        give_way().await;
        let mounted = self.state().mount(source, target);
        if mounted.is_ok() {
            self.state().folders.remove(target);
        }
        give_way().await;
        mounted
    }

    async fn unmount(&self, target: &Path) -> Result<()> {
        give_way().await;
        self.note("unmount", target.display());
        let unmounted = self.state().unmount(target);
        give_way().await;
        unmounted
    }

    async fn mounts(&self, folder: &Path) -> Result<Vec<Mount>> {
        give_way().await;
        let state = self.state();
        let mut found: Vec<Mount> = state.mounts.iter().map(|m| m.mount.clone()).collect();
        found.retain(|mount| mount.target.starts_with(folder));
        found.sort_by_key(|mount| mount.target.components().count());
        Ok(found)
    }

    async fn held_elsewhere(&self, device: (u32, u32)) -> Result<Option<u32>> {
        give_way().await;
        let state = self.state();
        let holder = state.containers.iter().find(|(_, mounts)| mounts.iter().any(|mount| mount.device == device));
        Ok(holder.map(|(pid, _)| *pid))
    }

    async fn remove_empty(&self, folder: &Path, prefix: &str) -> Result<()> {
        give_way().await;
        let begins = |name: &Path| name.to_str().is_some_and(|name| name.starts_with(prefix));
        self.state().folders.retain(|path| !path.strip_prefix(folder).is_ok_and(begins));
        Ok(())
    }

    async fn grow_file_system(&self, target: &Path) -> Result<()> {
        give_way().await;
        let mut state = self.state();
        if !state.mounts.iter().any(|m| m.mount.target == target) {
            return Err(PortError::new(ErrorKind::NotFound, "enlarge", target.display(), "nothing is mounted there"));
        }
        state.grown += 1;
        Ok(())
    }

    async fn write_files(&self, folder: &Path, files: &[ControlFile]) -> Result<()> {
        for file in files {
            give_way().await;
            let mut state = self.state();
            let place = state.locate(&folder.join(&file.path));
            if state.shut_down.contains(&place.0) {
                return Err(PortError::new(ErrorKind::Unavailable, "write", &file.path, "it was shut down"));
            }
            state.files.insert(place, file.content.clone());
        }
        give_way().await;
        Ok(())
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        give_way().await;
        let state = self.state();
        Ok(state.files.get(&state.locate(path)).cloned())
    }

    async fn shut_down(&self, target: &Path) -> Result<()> {
        give_way().await;
        self.note("shut down", target.display());
        let device = self.state().device_at(target);
        self.state().shut_down.extend(device);
        give_way().await;
        Ok(())
    }

    async fn freeze(&self, target: &Path) -> Result<()> {
        give_way().await;
        self.note("freeze", target.display());
        let device = self.state().device_at(target);
        self.state().frozen.extend(device);
        give_way().await;
        Ok(())
    }

    async fn thaw(&self, target: &Path) -> Result<()> {
        give_way().await;
        self.note("thaw", target.display());
        let mut state = self.state();
        let device = state.device_at(target);
        state.frozen.retain(|frozen| Some(*frozen) != device);
        Ok(())
    }

    async fn stop_holders(&self, device: (u32, u32)) -> Result<()> {
        give_way().await;
        self.note("stop", format!("{device:?}"));
        self.state().stop(device);
        give_way().await;
        Ok(())
    }

    async fn kill_holders(&self, device: (u32, u32)) -> Result<()> {
        give_way().await;
        self.note("kill", format!("{}:{}", device.0, device.1));
        self.state().containers.retain(|_, mounts| !mounts.iter().any(|mount| mount.device == device));
        give_way().await;
        Ok(())
    }

    async fn add_address(&self, interface: &str, address: (IpAddr, u8)) -> Result<()> {
        give_way().await;
        self.note("add", address.0);
        self.state().addresses.insert((interface.to_owned(), address.0));
        give_way().await;
        Ok(())
    }

    async fn remove_address(&self, interface: &str, address: IpAddr) -> Result<()> {
        give_way().await;
        self.note("remove", address);
        self.state().addresses.remove(&(interface.to_owned(), address));
        give_way().await;
        Ok(())
    }

    async fn addresses(&self, interface: &str) -> Result<Vec<IpAddr>> {
        give_way().await;
        let state = self.state();
        Ok(state.addresses.iter().filter(|(on, _)| on == interface).map(|(_, address)| *address).collect())
    }

    async fn sever(&self, peer: IpAddr, port: u16) -> Result<()> {
        give_way().await;
        self.note("sever", SocketAddr::new(peer, port));
        give_way().await;
        Ok(())
    }

    async fn sync(&self, _: &Path) -> Result<()> {
        give_way().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn conforms() {
        let host = super::FakeHost::new("n".parse().unwrap());
        let (folder, image) = (std::path::PathBuf::from("/m"), std::path::PathBuf::from("/i"));
        let hold = |folder: &std::path::Path| {
            let (host, pid) = (host.clone(), host.start_container(folder));
            Box::new(move || host.end_container(pid)) as Box<dyn FnOnce() + Send>
        };
        futures::executor::block_on(crate::conformance::host::suite(&host, &folder, &image, &hold));
    }
}
