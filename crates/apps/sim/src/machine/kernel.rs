//! A machine's kernel as its agent uses it: [`FakeHost`], with storage that may hang and steps at which things go wrong.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::faulty::{Faults, Moment};
use om_backend::host::ControlFile;
use om_backend::{ErrorKind, Host, Mount, PortError, Result, Source};
use om_model::{Incarnation, NodeId};

use super::Machine;
use crate::env::Env;
use crate::storage::{Cached, Change, Storage, read_path};

/// A call that waits for storage is given up after so long.
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The kernel, for one process of the machine.
pub struct Kernel {
    env: Env,
    machine: Arc<Machine>,
    storage: Storage,
    steps: Arc<dyn Faults>,
}

impl Kernel {
    /// The kernel of `machine`, for a process with these steps.
    pub fn new(env: Env, machine: Arc<Machine>, storage: Storage, steps: Arc<dyn Faults>) -> Self {
        Self { env, machine, storage, steps }
    }

    async fn call<T>(&self, name: &str, work: impl Future<Output = Result<T>> + Send) -> Result<T> {
        let failed = |reason| PortError::new(ErrorKind::Unavailable, name, &self.machine.id, reason);
        if let Some(reason) = self.steps.at(Moment::Before, name).await {
            return Err(failed(reason));
        }
        let result = work.await;
        match self.steps.at(Moment::After, name).await {
            Some(reason) if result.is_ok() => Err(failed(reason)),
            _ => result,
        }
    }

    /// Returns once the storage answers.
    async fn storage_answers(&self, action: &str) -> Result<()> {
        let until = self.env.now() + PATIENCE;
        while !self.storage.answers(&self.machine.id) {
            if self.env.now() >= until {
                return Err(PortError::new(ErrorKind::TimedOut, action, &self.machine.id, "the storage hangs"));
            }
            self.env.sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// What the kernel has in memory is written to an image. A storage that refuses it takes nothing any more.
    async fn write_back(&self, image: &Path, action: &str) -> Result<()> {
        self.storage_answers(action).await?;
        self.storage.write(&self.machine.id, image, Change::Sync, Cached::No).await.ok();
        Ok(())
    }

    /// The image that is mounted there and whose file system is not ended: the kernel would have to write to it.
    async fn live_image(&self, target: &Path) -> Option<PathBuf> {
        let Some(Source::Image { path, .. }) = self.machine.host.source_of(target) else { return None };
        let mounts = self.machine.host.mounts(target).await.ok()?;
        let device = mounts.iter().find(|mount| mount.target == target)?.device;
        (!self.machine.host.was_shut_down(device)).then_some(path)
    }

    /// Makes the file system if it may be made and there is none; a kernel mounts only what it knows.
    async fn mount_image(&self, image: &Path, format: bool, direct: bool, target: &Path) -> Result<()> {
        self.storage_answers("mount").await?;
        let refuse = |detail: &str| Err(PortError::new(ErrorKind::Refused, "mount", image.display(), detail));
        if let Some((volume, epoch)) = read_path(image)
            && let Some(given_up) = self.machine.given_up(&volume.service, &volume.member).await
            && epoch <= given_up
        {
            let (machine, ledger) = (&self.machine.id, self.storage.ledger());
            ledger.violated(&format!("{machine} mounts {volume} under epoch {epoch}, and has given up {given_up}"));
        }
        let Ok(content) = self.storage.read(&self.machine.id, image).await else {
            return refuse("the device gives errors");
        };
        if format && !content.rows.is_empty() {
            self.storage.ledger().violated(&format!("{} has rows, and may be formatted", image.display()));
        }
        if !content.formatted {
            if !format {
                return refuse("no file system on it");
            }
            if self.storage.write(&self.machine.id, image, Change::Format, Cached::No).await.is_err() {
                return refuse("the device gives errors");
            }
        }
        let source = Source::Image { path: image.to_owned(), format: true, direct };
        self.machine.host.mount(&source, target).await
    }
}

#[async_trait]
impl Host for Kernel {
    fn node(&self) -> NodeId {
        self.machine.id.clone()
    }

    fn incarnation(&self) -> Incarnation {
        self.machine.host.incarnation()
    }

    async fn mount(&self, source: &Source, target: &Path) -> Result<()> {
        let work = async {
            match source {
                Source::Image { path, format, direct } if self.machine.host.source_of(target).is_none() => {
                    self.mount_image(path, *format, *direct, target).await
                }
                _ => self.machine.host.mount(source, target).await,
            }
        };
        self.call(&format!("host.mount {}", target.display()), work).await
    }

    async fn unmount(&self, target: &Path) -> Result<()> {
        let work = async {
            if let Some(image) = self.live_image(target).await {
                self.write_back(&image, "unmount").await?;
            }
            self.machine.host.unmount(target).await
        };
        self.call(&format!("host.unmount {}", target.display()), work).await
    }

    async fn mounts(&self, folder: &Path) -> Result<Vec<Mount>> {
        self.machine.host.mounts(folder).await
    }

    async fn held_elsewhere(&self, device: (u32, u32)) -> Result<Option<u32>> {
        self.machine.host.held_elsewhere(device).await
    }

    async fn remove_empty(&self, folder: &Path, prefix: &str) -> Result<()> {
        self.call("host.remove-empty", self.machine.host.remove_empty(folder, prefix)).await
    }

    async fn grow_file_system(&self, target: &Path) -> Result<()> {
        self.call("host.grow", self.machine.host.grow_file_system(target)).await
    }

    async fn shut_down(&self, target: &Path) -> Result<()> {
        let work = async {
            if let Some(image) = self.live_image(target).await {
                self.storage.lose_unsynced(&self.machine.id, Some(&image));
            }
            self.machine.host.shut_down(target).await
        };
        self.call(&format!("host.shut-down {}", target.display()), work).await
    }

    async fn freeze(&self, target: &Path) -> Result<()> {
        let work = async {
            if let Some(image) = self.live_image(target).await {
                self.write_back(&image, "freeze").await?;
            }
            self.machine.host.freeze(target).await
        };
        self.call(&format!("host.freeze {}", target.display()), work).await
    }

    async fn thaw(&self, target: &Path) -> Result<()> {
        self.call(&format!("host.thaw {}", target.display()), self.machine.host.thaw(target)).await
    }

    async fn stop_holders(&self, device: (u32, u32)) -> Result<()> {
        self.call("host.stop", self.machine.host.stop_holders(device)).await
    }

    async fn kill_holders(&self, device: (u32, u32)) -> Result<()> {
        let work = async {
            // Who waits in a frozen file system does not die of it, unless that has ended.
            if self.machine.host.is_frozen(device) && !self.machine.host.was_shut_down(device) {
                let detail = "processes wait in a frozen file system";
                return Err(PortError::new(ErrorKind::TimedOut, "kill", &self.machine.id, detail));
            }
            self.machine.host.kill_holders(device).await?;
            self.machine.reap();
            Ok(())
        };
        self.call("host.kill", work).await
    }

    async fn add_address(&self, interface: &str, address: (IpAddr, u8)) -> Result<()> {
        self.call("host.add-address", self.machine.host.add_address(interface, address)).await
    }

    async fn remove_address(&self, interface: &str, address: IpAddr) -> Result<()> {
        self.call("host.remove-address", self.machine.host.remove_address(interface, address)).await
    }

    async fn addresses(&self, interface: &str) -> Result<Vec<IpAddr>> {
        self.machine.host.addresses(interface).await
    }

    async fn sever(&self, peer: IpAddr, port: u16) -> Result<()> {
        self.machine.host.sever(peer, port).await
    }

    async fn write_files(&self, folder: &Path, files: &[ControlFile]) -> Result<()> {
        self.call("host.write-files", self.machine.host.write_files(folder, files)).await
    }

    async fn read_file(&self, path: &Path) -> Result<Option<Vec<u8>>> {
        self.machine.host.read_file(path).await
    }

    async fn sync(&self, target: &Path) -> Result<()> {
        self.call("host.sync", self.machine.host.sync(target)).await
    }
}
