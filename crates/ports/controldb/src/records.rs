//! Typed records: JSON with a schema version around it.
//!
//! **Invariant:** a record written by a newer release than this one is never overwritten by accident: reading it fails
//! with [`ErrorKind::Corrupt`], and an update needs the revision that only a reading gives.

use std::marker::PhantomData;
use std::sync::Arc;

use om_model::mutation::{Mutation, planted};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{ControlDb, Entry, Error, ErrorKind, Key, PAGE_MAX, Result, Revision, Watch};

/// A kind of record: what it is, where it is kept and which schema this release writes.
pub trait Kind: Send + Sync + 'static {
    /// The record.
    type Value: Serialize + DeserializeOwned + Send + Sync;
    /// The folder of its keys, with the trailing slash.
    const FOLDER: &'static str;
    /// The schema this release writes. Older ones are read too: new fields have defaults.
    const SCHEMA: u32 = 1;
}

/// A record with its revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// The key below the record's folder.
    pub name: String,
    /// The record.
    pub value: T,
    /// For the condition of the next write.
    pub revision: Revision,
}

/// The records of one kind.
pub struct Records<K> {
    db: Arc<dyn ControlDb>,
    kind: PhantomData<fn() -> K>,
}

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    schema: u32,
    record: T,
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u32,
}

impl<K: Kind> Records<K> {
    /// The records of this kind in `db`.
    pub fn new(db: Arc<dyn ControlDb>) -> Self {
        Self { db, kind: PhantomData }
    }

    /// The record called `name`.
    ///
    /// # Errors
    /// As [`ControlDb::get`]; [`ErrorKind::Corrupt`] if it cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Stored<K::Value>>> {
        let key = key::<K>("get", name)?;
        self.db.get(&key).await?.map(decode::<K>).transpose()
    }

    /// Up to `limit` records whose name begins with `prefix`, after the name `after`; and whether there are more.
    ///
    /// # Errors
    /// As [`ControlDb::list`]; [`ErrorKind::Corrupt`] if one cannot be read.
    pub async fn page(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<(Vec<Stored<K::Value>>, bool)> {
        let after = after.map(|name| key::<K>("list", name)).transpose()?;
        let page = self.db.list(&key::<K>("list", prefix)?, after.as_ref(), limit).await?;
        let records = page.entries.into_iter().map(decode::<K>).collect::<Result<Vec<_>>>()?;
        Ok((records, page.more))
    }

    /// All records whose name begins with `prefix`, page by page.
    ///
    /// # Errors
    /// As [`Self::page`].
    pub async fn all(&self, prefix: &str) -> Result<Vec<Stored<K::Value>>> {
        let mut found: Vec<Stored<K::Value>> = Vec::new();
        loop {
            let after = found.last().map(|last| last.name.clone());
            let (mut page, more) = self.page(prefix, after.as_deref(), PAGE_MAX).await?;
            found.append(&mut page);
            if !more {
                return Ok(found);
            }
        }
    }

    /// A watch on the records whose name begins with `prefix`.
    ///
    /// # Errors
    /// As [`ControlDb::watch`].
    pub async fn watch(&self, prefix: &str) -> Result<Box<dyn Watch>> {
        self.db.watch(&key::<K>("watch", prefix)?).await
    }

    /// Writes a new record.
    ///
    /// # Errors
    /// As [`ControlDb::create`].
    pub async fn create(&self, name: &str, value: &K::Value) -> Result<Revision> {
        let key = key::<K>("create", name)?;
        self.db.create(&key, &encode::<K>("create", &key, value)?).await
    }

    /// Replaces the record that was read as `stored`.
    ///
    /// # Errors
    /// As [`ControlDb::update`].
    pub async fn update(&self, stored: &Stored<K::Value>, value: &K::Value) -> Result<Revision> {
        let key = key::<K>("update", &stored.name)?;
        let mut expected = stored.revision.clone();
        if planted(Mutation::LostUpdate) {
            expected = self.get(&stored.name).await?.map_or(expected, |now| now.revision);
        }
        self.db.update(&key, &expected, &encode::<K>("update", &key, value)?).await
    }

    /// Reads, changes and writes until nobody interfered. `change` returns `None` to leave the record as it is.
    /// Returns the record as it then stands, or `None` if there is none.
    ///
    /// # Errors
    /// As [`ControlDb::get`] and [`ControlDb::update`], but for conflicts, which are tried again.
    pub async fn change<F>(&self, name: &str, mut change: F) -> Result<Option<K::Value>>
    where
        F: FnMut(&K::Value) -> Option<K::Value> + Send,
    {
        loop {
            let Some(stored) = self.get(name).await? else {
                return Ok(None);
            };
            let Some(wanted) = change(&stored.value) else {
                return Ok(Some(stored.value));
            };
            match self.update(&stored, &wanted).await {
                Ok(_) => return Ok(Some(wanted)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes the record called `name` whatever its revision; done also if there is none.
    ///
    /// # Errors
    /// As [`ControlDb::delete`], but for conflicts, which are tried again.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let key = key::<K>("delete", name)?;
        loop {
            let Some(entry) = self.db.get(&key).await? else {
                return Ok(());
            };
            match self.db.delete(&key, &entry.revision).await {
                Err(error) if error.is_conflict() => {}
                other => return other,
            }
        }
    }

    /// Removes the record that was read as `stored`, if nobody changed it since.
    ///
    /// # Errors
    /// As [`ControlDb::delete`].
    pub async fn delete(&self, stored: &Stored<K::Value>) -> Result<()> {
        self.db.delete(&key::<K>("delete", &stored.name)?, &stored.revision).await
    }
}

fn key<K: Kind>(operation: &'static str, name: &str) -> Result<Key> {
    let text = format!("{}{name}", K::FOLDER);
    Key::new(text.as_str()).map_err(|error| Error::new(ErrorKind::Invalid, operation, text, error))
}

fn encode<K: Kind>(operation: &'static str, key: &Key, value: &K::Value) -> Result<Vec<u8>> {
    serde_json::to_vec(&Envelope { schema: K::SCHEMA, record: value })
        .map_err(|error| Error::new(ErrorKind::Invalid, operation, key, error))
}

fn decode<K: Kind>(entry: Entry) -> Result<Stored<K::Value>> {
    let corrupt = |detail: String| Error::new(ErrorKind::Corrupt, "get", &entry.key, detail);
    let SchemaOnly { schema } = serde_json::from_slice(&entry.value).map_err(|error| corrupt(error.to_string()))?;
    if schema > K::SCHEMA {
        return Err(corrupt(format!("schema {schema} is newer than {}, the newest this release reads", K::SCHEMA)));
    }
    let envelope: Envelope<K::Value> =
        serde_json::from_slice(&entry.value).map_err(|error| corrupt(error.to_string()))?;
    let name = entry.key.as_str().strip_prefix(K::FOLDER).unwrap_or_default().to_owned();
    Ok(Stored { name, value: envelope.record, revision: entry.revision })
}

#[cfg(test)]
mod tests;
