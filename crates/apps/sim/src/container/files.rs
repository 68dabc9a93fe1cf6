//! Files of a container: on its data volume, in its control folder, or nowhere that lasts.

use async_trait::async_trait;
use om_backend::host::ControlFile;
use om_backend::process::Account;
use om_backend::{ErrorKind, Files, Host, PortError, Result};
use om_engines::member::{CONTROL_DIR, DATA_MOUNT};

use super::Container;
use crate::storage::{Cached, Change};

/// Where a path of the container leads.
enum Place {
    /// To the control folder: this path on the node.
    Control(std::path::PathBuf),
    Volume,
    Elsewhere,
}

impl Container {
    fn place(&self, path: &str) -> Place {
        let Some(below) = path.strip_prefix(DATA_MOUNT).and_then(|below| below.strip_prefix('/')) else {
            return Place::Elsewhere;
        };
        match (below.strip_prefix(CONTROL_DIR), self.made.mounts.get(DATA_MOUNT)) {
            (Some(_), Some(data)) => Place::Control(data.join(below)),
            _ => Place::Volume,
        }
    }

    /// Changes what is on the data volume, and returns once that is safe.
    pub(super) async fn change(&self, change: Change) -> Result<()> {
        self.writes(change, Cached::No).await
    }

    /// Changes what is on the data volume: waits while the file system is frozen, fails once it was shut down.
    pub(super) async fn writes(&self, change: Change, cached: Cached) -> Result<()> {
        let fail = |detail: &str| {
            let subject = format!("the volume of container {}", self.made.pid);
            Err(PortError::new(ErrorKind::Unavailable, "write", subject, detail))
        };
        loop {
            if self.made.host.was_shut_down(self.device) {
                return fail("the file system was shut down");
            }
            if !self.made.host.is_frozen(self.device) {
                break;
            }
            self.made.env.sleep(std::time::Duration::from_millis(50)).await;
        }
        let (storage, node, image) = (self.made.storage.clone(), self.made.node.clone(), self.image.clone());
        // On its own: what a kernel has begun to write it writes, whatever becomes of the process.
        let (answer, answered) = futures::channel::oneshot::channel();
        self.made.env.beside(async move {
            answer.send(storage.write(&node, &image, change, cached).await).ok();
        });
        match answered.await {
            Ok(Ok(())) if self.made.host.was_shut_down(self.device) => fail("the file system was shut down"),
            Ok(Ok(())) => Ok(()),
            Ok(Err(lost)) => fail(&format!("{lost:?}")),
            Err(_) => fail("nobody writes it any more"),
        }
    }

    /// What is on the data volume, as the node's kernel has it.
    pub(super) async fn content(&self) -> Result<crate::storage::Content> {
        if self.made.host.was_shut_down(self.device) {
            return Err(PortError::new(ErrorKind::Unavailable, "read", "the volume", "it was shut down"));
        }
        let read = self.made.storage.read(&self.made.node, &self.image).await;
        read.map_err(|lost| PortError::new(ErrorKind::Unavailable, "read", "the volume", format!("{lost:?}")))
    }
}

#[async_trait]
impl Files for Container {
    async fn account(&self, _user: &str) -> Result<Account> {
        Ok(Account { uid: 101, gid: 102 })
    }

    async fn make_dir(&self, _: &str, _: &Account, _: u32) -> Result<()> {
        Ok(())
    }

    async fn write(&self, path: &str, content: &str, _: &Account, mode: u32) -> Result<()> {
        match self.place(path) {
            Place::Control(path) => {
                let folder = path.parent().map(std::path::Path::to_owned).unwrap_or_default();
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
                let file = ControlFile { path: name, content: content.as_bytes().to_vec(), mode };
                self.made.host.write_files(&folder, &[file]).await
            }
            Place::Volume => self.change(Change::Write(path.to_owned(), content.to_owned())).await,
            Place::Elsewhere => {
                self.lock().files.insert(path.to_owned(), content.to_owned());
                Ok(())
            }
        }
    }

    async fn grant(&self, _: &str, _: &Account, _: u32) -> Result<()> {
        Ok(())
    }

    async fn read(&self, path: &str) -> Result<Option<String>> {
        match self.place(path) {
            Place::Control(path) => {
                let content = self.made.host.read_file(&path).await?;
                Ok(content.map(|content| String::from_utf8_lossy(&content).into_owned()))
            }
            Place::Volume => Ok(self.content().await?.files.get(path).cloned()),
            Place::Elsewhere => Ok(self.lock().files.get(path).cloned()),
        }
    }

    async fn empty_dir(&self, path: &str) -> Result<()> {
        match self.place(path) {
            Place::Volume => self.writes(Change::Remove(format!("{path}/")), Cached::Yes).await,
            Place::Control(_) | Place::Elsewhere => Ok(()),
        }
    }

    async fn link(&self, _: &str, _: &str) -> Result<()> {
        Ok(())
    }
}
