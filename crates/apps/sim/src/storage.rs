//! The storage behind the volumes: it outlives nodes, and decides whose writes count.
//!
//! [`Storage`] is the pool with what is on it; `provider` is the volume provider as an agent uses it. Every volume has a
//! generation for each epoch that attached it. As `shared-file` it takes late writes into the generation they were meant for; as
//! `nbd` it refuses the writes of an epoch that is over when they arrive.
//!
//! **Invariants**, checked at every write: the present content is changed by the youngest epoch only, and an epoch never
//! writes to a generation that is not its own.

mod provider;
mod unsynced;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use om_backend::{ErrorKind, Fencing, PortError};
use om_model::{ByteSize, Epoch, NodeId, VolumeId};

use crate::env::Env;
use crate::ledger::Ledger;
use crate::net::Net;

pub use provider::Provider;
use unsynced::{Unsynced, Written};

/// How a pool keeps a volume to one writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Files that all nodes see; a generation for each epoch.
    SharedFile,
    /// Block devices over the network; an export for each epoch.
    Nbd,
}

impl Kind {
    /// A word for it, as on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::SharedFile => "shared-file",
            Self::Nbd => "nbd",
        }
    }

    /// How it cuts a former holder off.
    pub fn fencing(self) -> Fencing {
        match self {
            Self::SharedFile => Fencing::AfterLease,
            Self::Nbd => Fencing::AtOnce,
        }
    }
}

/// What is on a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// True once a file system was made on it.
    pub formatted: bool,
    /// Its files.
    pub files: BTreeMap<String, String>,
    /// The rows of the database on it.
    pub rows: BTreeSet<u64>,
}

/// A change of what is on a volume.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file system is made.
    Format,
    /// A file is written.
    Write(String, String),
    /// Files whose names begin so are removed.
    Remove(String),
    /// A row is committed.
    Row(u64),
    /// All of it is replaced, but that there is a file system.
    Copy(Content),
    /// Nothing; but what was written before does not get lost any more.
    Sync,
}

/// Whether a write is over once it is acknowledged, or lies in the machine's memory for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cached {
    /// Whoever wrote waited until it was safe.
    No,
    /// It is written back later: lost with the machine's power.
    Yes,
}

#[derive(Default)]
struct Volume {
    size: ByteSize,
    /// What each epoch has, or had.
    generations: BTreeMap<Epoch, Content>,
    /// Epochs below this one are over.
    floor: Epoch,
}

#[derive(Default)]
struct Pool {
    volumes: BTreeMap<VolumeId, Volume>,
    /// Which node has what attached.
    attached: BTreeSet<(NodeId, PathBuf)>,
    /// What machines have in memory only, oldest first.
    unsynced: Vec<Unsynced>,
    /// There is no room for anything.
    full: bool,
}

/// The storage. Clones are the same storage.
#[derive(Clone)]
pub struct Storage {
    env: Env,
    net: Net,
    ledger: Ledger,
    kind: Kind,
    host: NodeId,
    pool: Arc<Mutex<Pool>>,
}

/// Why a write or a read came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The storage refused it.
    Refused,
    /// It is not attached here any more.
    Gone,
    /// There is no room.
    Full,
}

fn path_of(id: &VolumeId, epoch: Epoch) -> PathBuf {
    PathBuf::from(format!("/pool/{id}/{epoch}"))
}

/// Which volume a path at the storage is of, and under which epoch.
pub fn read_path(path: &Path) -> Option<(VolumeId, Epoch)> {
    let mut parts = path.strip_prefix("/pool").ok()?.iter();
    let (id, epoch) = (parts.next()?.to_str()?, parts.next()?.to_str()?);
    let name: om_backend::MountName = id.parse().ok()?;
    let id = VolumeId { service: name.service, member: name.member?, role: name.role };
    Some((id, Epoch::new(epoch.parse().ok()?)))
}

impl Storage {
    /// An empty pool on the machine `host`.
    pub fn new(env: Env, net: Net, ledger: Ledger, kind: Kind, host: NodeId) -> Self {
        Self { env, net, ledger, kind, host, pool: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is promised.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How it keeps a volume to one writer.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What whoever attaches next finds, seen by nobody in the world.
    pub fn present(&self, id: &VolumeId) -> Option<Content> {
        self.lock().volumes.get(id)?.generations.last_key_value().map(|(_, content)| content.clone())
    }

    /// Whether what is written under `epoch` changes nothing any more that others find.
    pub fn is_over(&self, id: &VolumeId, epoch: Epoch) -> bool {
        self.lock().volumes.get(id).is_none_or(|volume| epoch < volume.floor)
    }

    /// Every volume there is.
    pub fn volumes(&self) -> Vec<VolumeId> {
        self.lock().volumes.keys().cloned().collect()
    }

    /// A node has lost its power: nothing is attached there any more.
    pub fn power_off(&self, node: &NodeId) {
        self.lose_unsynced(node, None);
        self.lock().attached.retain(|(at, _)| at != node);
    }

    /// From now on there is no room for anything; or there is again.
    pub fn fill(&self, full: bool) {
        self.lock().full = full;
    }

    /// What a node has in memory only is gone, each write by itself: of what is attached at `path`, or of everything.
    pub fn lose_unsynced(&self, node: &NodeId, path: Option<&Path>) {
        let mut pool = self.lock();
        let Pool { volumes, unsynced, .. } = &mut *pool;
        let of_it = |one: &Unsynced| one.is_of(node, path);
        for lost in unsynced.iter().rev().filter(|one| of_it(one)).filter(|one| one.is_fresh(self.env.now())) {
            let content =
                read_path(lost.path()).and_then(|(id, epoch)| volumes.get_mut(&id)?.generations.get_mut(&epoch));
            if let Some(content) = content
                && self.env.weather.chance().happens(500)
            {
                lost.undo(content);
            }
        }
        unsynced.retain(|one| !of_it(one));
    }

    fn is_attached(&self, node: &NodeId, path: &Path) -> bool {
        self.lock().attached.contains(&(node.clone(), path.to_owned()))
    }

    /// Writes through what is attached at `path` on `node`; returns once the storage has acknowledged it. While the storage
    /// cannot be reached the write waits, and what is under way when the node dies may arrive all the same.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn write(&self, node: &NodeId, path: &Path, change: Change, cached: Cached) -> Result<(), Lost> {
        loop {
            if !self.is_attached(node, path) {
                return Err(Lost::Gone);
            }
            if self.net.travels(node, &self.host).await {
                break;
            }
            self.env.sleep(RETRY).await;
        }
        // At the storage: whether its sender still lives does not matter.
        self.apply(node, path, change, cached)?;
        while !self.net.travels(&self.host, node).await {
            self.env.sleep(RETRY).await;
        }
        Ok(())
    }

    fn apply(&self, node: &NodeId, path: &Path, change: Change, cached: Cached) -> Result<(), Lost> {
        let (id, epoch) = read_path(path).ok_or(Lost::Refused)?;
        let now = self.env.now();
        let mut pool = self.lock();
        let Pool { volumes, unsynced, full, .. } = &mut *pool;
        let volume = volumes.get_mut(&id).ok_or(Lost::Refused)?;
        if *full && !matches!(change, Change::Remove(_) | Change::Sync) {
            return Err(Lost::Full);
        }
        if self.kind == Kind::Nbd && epoch < volume.floor {
            return Err(Lost::Refused);
        }
        let youngest = volume.generations.last_key_value().map(|(youngest, _)| *youngest).ok_or(Lost::Refused)?;
        let late = epoch < youngest;
        if late && self.kind == Kind::Nbd {
            self.ledger.violated(&format!("{id}: written under epoch {epoch} after {youngest} had attached"));
        }
        let content = volume.generations.get_mut(&epoch).ok_or(Lost::Refused)?;
        unsynced::note(unsynced, content, &change, cached, Written { node, path, at: now });
        match change {
            Change::Format => content.formatted = true,
            Change::Write(name, text) => drop(content.files.insert(name, text)),
            Change::Remove(prefix) => content.files.retain(|name, _| !name.starts_with(&prefix)),
            Change::Row(row) => drop(content.rows.insert(row)),
            Change::Copy(other) => *content = Content { formatted: content.formatted, ..other },
            Change::Sync => {}
        }
        Ok(())
    }

    /// Whether what is written at `path` goes to a generation of which another has a copy by now. Where the lease keeps a
    /// volume to one writer, nobody writes to such a one.
    pub fn is_overtaken(&self, path: &Path) -> bool {
        let Some((id, epoch)) = read_path(path).filter(|_| self.kind == Kind::SharedFile) else { return false };
        let pool = self.lock();
        let youngest = pool.volumes.get(&id).and_then(|volume| volume.generations.last_key_value());
        youngest.is_some_and(|(youngest, _)| epoch < *youngest)
    }

    /// Reads through what is attached at `path` on `node`, waiting for the storage.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn read(&self, node: &NodeId, path: &Path) -> Result<Content, Lost> {
        loop {
            if !self.is_attached(node, path) {
                return Err(Lost::Gone);
            }
            if self.net.travels(node, &self.host).await && self.net.travels(&self.host, node).await {
                break;
            }
            self.env.sleep(RETRY).await;
        }
        self.seen(path).ok_or(Lost::Refused)
    }

    /// What is at `path`, without a way there: for what a kernel has in memory.
    pub fn seen(&self, path: &Path) -> Option<Content> {
        let (id, epoch) = read_path(path)?;
        let pool = self.lock();
        let volume = pool.volumes.get(&id)?;
        if self.kind == Kind::Nbd && epoch < volume.floor {
            return None;
        }
        volume.generations.get(&epoch).cloned()
    }

    /// Whether the storage answers `node` now.
    pub fn answers(&self, node: &NodeId) -> bool {
        self.net.both_ways(node, &self.host)
    }
}

/// How soon a write that got no answer is sent again.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

impl Pool {
    /// Begins a generation for `epoch` with what has reached the present one; of what the former holder has in memory only, that
    /// is a selection.
    fn begin(&mut self, id: &VolumeId, epoch: Epoch, env: &Env) -> om_backend::Result<()> {
        let fail = |detail| Err(PortError::new(ErrorKind::Unavailable, "begin", format!("volume {id}"), detail));
        if self.full {
            return fail("no room left on the storage");
        }
        let Some(volume) = self.volumes.get_mut(id) else { return fail("there is no such volume") };
        let present = volume.generations.last_key_value().map(|(epoch, content)| (*epoch, content.clone()));
        let (before, mut content) = present.unwrap_or_default();
        let path = path_of(id, before);
        for lost in self.unsynced.iter().rev().filter(|one| one.path() == path && one.is_fresh(env.now())) {
            if env.weather.chance().happens(500) {
                lost.undo(&mut content);
            }
        }
        volume.generations.insert(epoch, content);
        Ok(())
    }
}
