//! The control database of the cluster: reached through the network, and every change of a member's binding looked at.
//!
//! [`Etcd`] is the database as one server has it: it answers only whom a majority of its members, one on each machine, reaches.
//! [`Watched`] is what all of them write to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use om_controldb::memory::MemoryDb;
use om_controldb::{ControlDb, Entry, Error, ErrorKind, Key, PAGE_MAX, Page, Result, Revision, Watch};
use om_model::{Former, MemberName, MemberRecord, NodeId, Phase, ServiceId, ServiceRecord, VolumeId, VolumeRole};

use crate::audit::{self, Written, record_in};
use crate::env::Env;
use crate::ledger::Ledger;
use crate::net::Net;
use crate::storage::Storage;
use crate::town::Town;

/// Where an agent mounts.
pub const MOUNTS: &str = "/mnt";

/// The records, and who looks at them. Clones are the same records.
#[derive(Clone)]
pub struct Watched {
    db: MemoryDb,
    town: Town,
    storage: Storage,
    ledger: Ledger,
    /// Services that are being deleted, and which of their members' records were written since.
    deleting: Arc<Mutex<BTreeMap<ServiceId, BTreeSet<MemberName>>>>,
    /// Which process of a server took over each operation last.
    owners: Arc<Mutex<BTreeMap<Key, (NodeId, Duration)>>>,
}

fn member_in(value: &[u8]) -> Option<MemberRecord> {
    audit::record_in(value)
}

/// A member's binding in words.
fn bound(member: &MemberRecord) -> String {
    let binding = &member.binding;
    let holder = binding.holder.as_ref().map_or("nobody", |holder| holder.node.as_str());
    let mut words = format!("{}: epoch {}, held by {holder}", member.name, binding.epoch);
    if let Some(assigned) = &binding.assigned {
        words += &format!(", for {assigned}");
    }
    for former in &binding.unfenced {
        words += &format!(", after {} (epoch {})", former.node, former.epoch);
    }
    words + if binding.published { ", published" } else { "" }
}

impl Watched {
    /// Empty.
    pub fn new(town: Town, storage: Storage, ledger: Ledger) -> Self {
        Self { db: MemoryDb::new(), town, storage, ledger, deleting: Arc::default(), owners: Arc::default() }
    }

    /// The records themselves.
    pub fn db(&self) -> &MemoryDb {
        &self.db
    }

    fn deleting(&self) -> MutexGuard<'_, BTreeMap<ServiceId, BTreeSet<MemberName>>> {
        self.deleting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every record of one kind, as it is stored.
    pub(crate) async fn stored(&self, kind: &str) -> Vec<Entry> {
        let Ok(kind) = Key::new(kind) else { return Vec::new() };
        self.db.list(&kind, None, PAGE_MAX).await.map(|page| page.entries).unwrap_or_default()
    }

    async fn look(&self, key: &Key, before: Option<&[u8]>, value: &[u8]) {
        let wrong = match before {
            Some(before) if key.as_str().starts_with("operations/") => audit::went_back(before, value),
            Some(before) if key.as_str().starts_with("roster/") => audit::unawaited(&self.town, before).await,
            _ => None,
        };
        if let Some(wrong) = wrong {
            self.ledger.violated(&wrong);
        }
        if key.as_str().starts_with("services/")
            && let Some(service) = record_in::<ServiceRecord>(value)
            && service.phase == Phase::Deleting
        {
            self.deleting().entry(service.id).or_default();
        }
        if !key.as_str().starts_with("members/") {
            return;
        }
        let Some(next) = member_in(value) else { return };
        self.ledger.note(|| bound(&next));
        if let Some(before) = before.and_then(member_in) {
            self.look_at_change(&before, &next);
        }
        self.look_at_publication(before.and_then(member_in).as_ref(), &next);
    }

    /// Progress is written only by the process that took the operation over last.
    fn look_at_owner(&self, key: &Key, process: (&NodeId, Duration), before: &[u8], value: &[u8]) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        match audit::written(before, value) {
            Some(Written::TakenOver) => drop(owners.insert(key.clone(), (process.0.clone(), process.1))),
            Some(Written::Progress) if owners.get(key).is_some_and(|(node, begun)| (node, *begun) != process) => {
                self.ledger.violated(&format!("{key}: progress is written by a former owner, on {}", process.0));
            }
            _ => {}
        }
    }

    fn look_at_change(&self, before: &MemberRecord, next: &MemberRecord) {
        let (old, new) = (&before.binding, &next.binding);
        let name = &next.name;
        if new.epoch < old.epoch {
            self.ledger.violated(&format!("{name}: epoch {} follows {}", new.epoch, old.epoch));
        }
        let life = |holder: &Option<om_model::Holder>| {
            holder.as_ref().map(|holder| (holder.node.clone(), holder.incarnation.clone()))
        };
        let (was, is) = (life(&old.holder), life(&new.holder));
        if new.epoch > old.epoch {
            self.ledger.claimed();
        }
        if is.is_some() && was != is && new.epoch <= old.epoch {
            self.ledger.violated(&format!("{name}: another holder under epoch {}", new.epoch));
        }
        if let Some(wrong) = audit::evicted(old, new) {
            self.ledger.violated(&format!("{name}: {wrong}"));
        }
        if let Some(written) = self.deleting().get_mut(&next.service) {
            // The first write may be of a claim that was under way; whoever claims after it knows.
            let since = !written.insert(name.clone());
            if since && new.holder.is_some() && new.epoch > old.epoch {
                self.ledger.violated(&format!("{name}: claimed while its service is being deleted"));
            }
            return;
        }
        let mut formers = old.unfenced.clone();
        if let Some((node, incarnation)) = was.filter(|was| Some(was) != is.as_ref()) {
            formers.push(Former { node, incarnation, epoch: old.epoch });
        }
        for former in formers.iter().filter(|former| !new.unfenced.contains(former)) {
            if let Some(how) = self.may_write(next, former) {
                self.ledger.violated(&format!(
                    "{name}: {} (epoch {}) is taken for fenced, and {how}",
                    former.node, former.epoch
                ));
            }
        }
    }

    /// How a former holder could still change what the next one finds.
    fn may_write(&self, member: &MemberRecord, former: &Former) -> Option<&'static str> {
        let machine = self.town.machine(&former.node)?;
        let volume = VolumeId { service: member.service.clone(), member: member.name.clone(), role: VolumeRole::Data };
        let path = format!("{MOUNTS}/{volume}.e{}", former.epoch);
        let mounted = machine.host.source_of(std::path::Path::new(&path)).is_some();
        let same_life = om_backend::Host::incarnation(&machine.host) == former.incarnation;
        let cut_off = self.storage.is_over(&volume, former.epoch);
        (machine.is_on() && same_life && mounted && !cut_off).then_some("has it mounted, and the storage lets it write")
    }

    fn look_at_publication(&self, before: Option<&MemberRecord>, next: &MemberRecord) {
        let binding = &next.binding;
        if !binding.published {
            return;
        }
        self.ledger.published(&next.service, &next.name, binding.epoch);
        if before.is_some_and(|before| before.binding.published && before.binding.epoch == binding.epoch) {
            return;
        }
        let Some(holder) = &binding.holder else {
            return self.ledger.violated(&format!("{}: published without a holder", next.name));
        };
        if !binding.unfenced.is_empty() {
            self.ledger.violated(&format!("{}: published with former holders not fenced", next.name));
        }
        let Some(machine) = self.town.machine(&holder.node) else { return };
        let volume = VolumeId { service: next.service.clone(), member: next.name.clone(), role: VolumeRole::Data };
        let path = format!("{MOUNTS}/{volume}.e{}", binding.epoch);
        let same_life = om_backend::Host::incarnation(&machine.host) == holder.incarnation;
        if machine.is_on() && same_life && machine.host.source_of(std::path::Path::new(&path)).is_none() {
            let epoch = binding.epoch;
            self.ledger.violated(&format!("{}: published under epoch {epoch} before it is mounted", next.name));
        }
    }
}

/// The control database as the server on one machine has it.
#[derive(Clone)]
pub struct Etcd {
    /// The surroundings.
    pub env: Env,
    /// The network.
    pub net: Net,
    /// The records.
    pub records: Watched,
    /// The server's machine.
    pub here: NodeId,
    /// When that server began: which of them it is.
    pub begun: Duration,
    /// The machines with a member of it.
    pub members: Arc<Vec<NodeId>>,
}

/// Without an answer after so long the database is not there.
const GIVEN_UP_AFTER: Duration = Duration::from_millis(1500);

impl Etcd {
    /// The way to a majority.
    async fn reach(&self, operation: &'static str, key: &Key) -> Result<()> {
        let there = self.members.iter().filter(|member| self.net.both_ways(&self.here, member)).count();
        if there * 2 > self.members.len() {
            self.env.sleep(self.env.between(Duration::from_micros(300), Duration::from_millis(6))).await;
            return Ok(());
        }
        self.env.sleep(GIVEN_UP_AFTER).await;
        Err(Error::new(ErrorKind::Unavailable, operation, key, "no majority of its members answers"))
    }
}

#[async_trait]
impl ControlDb for Etcd {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        self.reach("get", key).await?;
        self.records.db.get(key).await
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        self.reach("list", prefix).await?;
        self.records.db.list(prefix, after, limit).await
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        self.reach("create", key).await?;
        let done = self.records.db.create(key, value).await;
        if done.is_ok() {
            self.records.look(key, None, value).await;
        }
        done
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        self.reach("update", key).await?;
        let before = self.records.db.get(key).await?;
        let done = self.records.db.update(key, expected, value).await;
        if let (Ok(_), Some(before)) = (&done, &before)
            && key.as_str().starts_with("operations/")
        {
            self.records.look_at_owner(key, (&self.here, self.begun), &before.value, value);
        }
        if done.is_ok() {
            self.records.look(key, before.as_ref().map(|entry| entry.value.as_slice()), value).await;
        }
        done
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        self.reach("delete", key).await?;
        self.records.db.delete(key, expected).await
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        self.reach("watch", prefix).await?;
        self.records.db.watch(prefix).await
    }
}
