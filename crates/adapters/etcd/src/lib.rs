//! The control database over etcd, for servers that run several at once.
//!
//! Main pieces: [`EtcdDb`] (the store), [`Options`] and [`Tls`] (how to reach the cluster), `cluster` (calls that outlive
//! the silence of a member), `endpoint` and `standing` (the members, and which is asked first), `failure` (what etcd's
//! errors mean here), `watching` (etcd's own watches, which need etcd 3.4 or newer).
//!
//! A record is one etcd key, its revision etcd's `mod_revision`: the number of the change in the whole cluster's history,
//! so it never comes back. (An etcd cluster restored from a snapshot counts on from the snapshot: stop all servers first.)
//! Every write is one transaction that compares and puts; every read goes through the leader's quorum.
//!
//! **Invariant:** a write is sent once. When its answer does not come, the outcome is unknown and the error says so: sent
//! again, a write that had been applied would meet its own result and report a conflict. Reads are tried again, on other
//! members, until the call's time is up.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "its time-outs bound calls over the network, which no simulator runs")]

mod cluster;
mod endpoint;
mod failure;
mod options;
mod standing;
mod watching;

use std::sync::Arc;

use async_trait::async_trait;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, KeyValue, Txn, TxnOp};
use om_controldb::{
    ControlDb, Entry, Error, ErrorKind, Key, Page, Result, Revision, Watch, check_page_limit, check_value,
};

use crate::cluster::{Asked, Cluster};
use crate::endpoint::Connection;
pub use options::{Options, Tls};

/// The layout of our keys in etcd. A newer one is refused.
const FORMAT: u32 = 1;

/// The store below one prefix of an etcd cluster.
pub struct EtcdDb {
    cluster: Arc<Cluster>,
    /// Where our records are: `<prefix>/records/`.
    folder: String,
}

impl EtcdDb {
    /// Connects to the cluster at `endpoints` (`http://host:2379`, or `https://` with [`Options::tls`]). Everything is
    /// kept below `prefix`, so that several installations can share a cluster.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the prefix or an endpoint is no good; [`ErrorKind::Unavailable`] if no endpoint answers;
    /// [`ErrorKind::Corrupt`] if the records there were written by a newer release.
    pub async fn connect(endpoints: &[String], prefix: &str, options: Options) -> Result<Self> {
        let prefix = prefix.trim_end_matches('/');
        Key::new(prefix).map_err(|error| Error::new(ErrorKind::Invalid, "connect", prefix, error))?;
        let place = endpoints.join(",");
        let cluster = Arc::new(Cluster::new(endpoints, &options).await?);
        let db = Self { cluster, folder: format!("{prefix}/records/") };
        db.check_format(&format!("{prefix}/format"), &place).await?;
        Ok(db)
    }

    /// Writes the layout's version if there is none, and refuses a newer one.
    async fn check_format(&self, key: &str, place: &str) -> Result<()> {
        let read = TxnOp::get(key, None);
        let txn = Txn::new()
            .when([Compare::version(key, CompareOp::Equal, 0)])
            .and_then([TxnOp::put(key, FORMAT.to_string(), None)])
            .or_else([read]);
        // It may be sent again: it changes nothing the second time.
        let answer = self
            .cluster
            .read(Asked { operation: "connect", subject: place }, |mut connection: Connection| {
                let txn = txn.clone();
                async move { connection.records.txn(txn).await }
            })
            .await?;
        if answer.succeeded() {
            return Ok(());
        }
        let found = answer.op_responses().into_iter().find_map(|response| match response {
            etcd_client::TxnOpResponse::Get(got) => got.kvs().first().and_then(|kv| kv.value_str().ok()?.parse().ok()),
            _ => None,
        });
        match found {
            Some(found) if (1..=FORMAT).contains(&found) => Ok(()),
            Some(found) => {
                let detail = format!(
                    "the records at {key} have format {found}, and this release knows formats up to {FORMAT}; start the \
                     newer release that wrote them, or name another prefix"
                );
                Err(Error::new(ErrorKind::Corrupt, "connect", place, detail))
            }
            None => {
                let detail = format!("{key} holds something that is not ours; name another prefix");
                Err(Error::new(ErrorKind::Corrupt, "connect", place, detail))
            }
        }
    }

    /// Removes every record below the prefix, and the mark of the layout: nothing of ours is left there. For an
    /// installation that is given up, whose servers have ended.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if etcd does not answer: repeat it.
    pub async fn erase(self) -> Result<()> {
        let place = self.folder.trim_end_matches("records/");
        let all = DeleteOptions::new().with_prefix();
        // Deleting what is gone changes nothing, so it may be sent again.
        let erase = |mut connection: Connection| {
            let all = all.clone();
            async move { connection.records.delete(place, Some(all)).await }
        };
        self.cluster.read(Asked { operation: "delete", subject: place }, erase).await.map(drop)
    }

    fn path(&self, key: &Key) -> String {
        format!("{}{key}", self.folder)
    }

    /// Writes: one transaction, sent once. Its revision, if the condition held.
    async fn once(&self, operation: &'static str, key: &Key, condition: Compare, then: TxnOp) -> Result<Revision> {
        let txn = Txn::new().when([condition]).and_then([then]);
        let asked = Asked { operation, subject: key.as_str() };
        let answer = self.cluster.write(asked, &self.path(key), &txn).await?;
        if !answer.succeeded() {
            let detail = if operation == "create" { "exists" } else { "is at another revision or gone" };
            return Err(Error::new(ErrorKind::Conflict, operation, key, detail));
        }
        let header = answer.header().ok_or_else(|| {
            Error::new(
                ErrorKind::Unavailable,
                operation,
                key,
                "etcd's answer has no header; the write is done: read it",
            )
        })?;
        Ok(Revision::new(header.revision().to_string()))
    }

    /// The condition "is at `expected`". A revision that is not etcd's was never given out, and holds nowhere.
    fn at(&self, operation: &'static str, key: &Key, expected: &Revision) -> Result<Compare> {
        match expected.as_str().parse::<i64>() {
            // 0 is etcd's number for an absent key.
            Ok(number) if number > 0 => Ok(Compare::mod_revision(self.path(key), CompareOp::Equal, number)),
            _ => Err(Error::new(
                ErrorKind::Conflict,
                operation,
                key,
                "is not at that revision, which etcd never gave out",
            )),
        }
    }

    fn entry(&self, found: &KeyValue) -> Result<Entry> {
        let text = String::from_utf8_lossy(found.key());
        let name = text.strip_prefix(&self.folder).unwrap_or_default();
        let key = Key::new(name).map_err(|error| Error::new(ErrorKind::Corrupt, "get", &text, error))?;
        let revision = Revision::new(found.mod_revision().to_string());
        Ok(Entry { key, value: found.value().to_vec(), revision })
    }
}

#[async_trait]
impl ControlDb for EtcdDb {
    async fn get(&self, key: &Key) -> Result<Option<Entry>> {
        let path = self.path(key);
        let answer = self
            .cluster
            .read(Asked { operation: "get", subject: key.as_str() }, |mut connection: Connection| {
                let path = path.as_str();
                async move { connection.records.get(path, None).await }
            })
            .await?;
        answer.kvs().first().map(|found| self.entry(found)).transpose()
    }

    async fn list(&self, prefix: &Key, after: Option<&Key>, limit: usize) -> Result<Page> {
        check_page_limit(prefix, limit)?;
        let end = format!("{}{}", self.folder, prefix.prefix_end());
        let from = match after {
            // The first possible key after `after`.
            Some(after) if after >= prefix => format!("{}\0", self.path(after)),
            _ => self.path(prefix),
        };
        if from >= end {
            return Ok(Page { entries: Vec::new(), more: false });
        }
        let range = GetOptions::new().with_range(end).with_limit(limit as i64);
        let answer = self
            .cluster
            .read(Asked { operation: "list", subject: prefix.as_str() }, |mut connection: Connection| {
                let (from, range) = (from.as_str(), range.clone());
                async move { connection.records.get(from, Some(range)).await }
            })
            .await?;
        let entries = answer.kvs().iter().map(|found| self.entry(found)).collect::<Result<_>>()?;
        Ok(Page { entries, more: answer.more() })
    }

    async fn create(&self, key: &Key, value: &[u8]) -> Result<Revision> {
        check_value("create", key, value)?;
        let path = self.path(key);
        let absent = Compare::version(path.as_str(), CompareOp::Equal, 0);
        self.once("create", key, absent, TxnOp::put(path, value, None)).await
    }

    async fn update(&self, key: &Key, expected: &Revision, value: &[u8]) -> Result<Revision> {
        check_value("update", key, value)?;
        let condition = self.at("update", key, expected)?;
        self.once("update", key, condition, TxnOp::put(self.path(key), value, None)).await
    }

    async fn delete(&self, key: &Key, expected: &Revision) -> Result<()> {
        let condition = self.at("delete", key, expected)?;
        self.once("delete", key, condition, TxnOp::delete(self.path(key), None)).await.map(drop)
    }

    async fn watch(&self, prefix: &Key) -> Result<Box<dyn Watch>> {
        let range = (self.path(prefix), format!("{}{}", self.folder, prefix.prefix_end()));
        watching::arm(self.cluster.clone(), prefix, range).await
    }
}
