//! Who wrote what when, and whether two wrote at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

/// A file of the backing: the same however it is called, another if it was made anew.
#[derive(Debug, PartialEq, Eq)]
pub struct Object {
    /// Inode number and time of birth.
    pub(super) identity: (u64, SystemTime),
    /// Its path below the backing when it was opened.
    pub path: PathBuf,
}

/// One opening of a file for writing.
#[derive(Debug, PartialEq, Eq)]
pub struct Writer {
    /// The host.
    pub host: String,
    /// Tells openings apart.
    pub opening: u64,
    /// When the file was opened.
    pub opened: Instant,
    /// The command line of the process that opened it.
    pub process: String,
}

/// One write that reached the backing.
#[derive(Clone, Debug)]
pub struct Record {
    /// Who.
    pub writer: Arc<Writer>,
    /// To what.
    pub object: Arc<Object>,
    /// From which byte on.
    pub offset: u64,
    /// How many bytes.
    pub length: u64,
    /// When.
    pub at: Instant,
}

/// Where a write goes and who it is by.
pub(super) struct Target<'a> {
    pub(super) file: &'a File,
    pub(super) object: &'a Arc<Object>,
    pub(super) writer: &'a Arc<Writer>,
}

pub(super) struct Records {
    began: Instant,
    list: Mutex<Vec<Record>>,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), list: Mutex::default() }
    }

    pub(super) fn all(&self) -> Vec<Record> {
        self.list.lock().expect("no panic while held").clone()
    }

    /// Writes to the backing and records it.
    pub(super) fn write(&self, target: &Target<'_>, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.change(target, offset, data.len() as u64, || target.file.write_all_at(data, offset))
    }

    /// Changes a range of a file in another way, and records it.
    pub(super) fn change<T>(
        &self,
        target: &Target<'_>,
        offset: u64,
        length: u64,
        change: impl FnOnce() -> std::io::Result<T>,
    ) -> std::io::Result<T> {
        let mut list = self.list.lock().expect("no panic while held");
        let done = change()?;
        let (writer, object) = (Arc::clone(target.writer), Arc::clone(target.object));
        list.push(Record { writer, object, offset, length, at: Instant::now() });
        Ok(done)
    }

    pub(super) fn write_log(&self, path: &Path) -> std::io::Result<()> {
        let mut log = std::io::BufWriter::new(File::create(path)?);
        for record in self.all() {
            let Record { writer, object, offset, length, at } = &record;
            let micros = at.duration_since(self.began).as_micros();
            let (host, opening, process) = (&writer.host, writer.opening, &writer.process);
            writeln!(log, "{micros} {host} {opening} {} {offset} {length} {process}", object.path.display())?;
        }
        log.flush()
    }
}

/// How many overlaps are told of one object: the first ones say it all.
const TOLD: usize = 3;

pub(super) fn overlaps(records: &[Record]) -> Vec<String> {
    let mut objects: BTreeMap<_, Vec<&Record>> = BTreeMap::new();
    for record in records {
        objects.entry(record.object.identity).or_default().push(record);
    }
    objects.values().flat_map(|records| overlaps_on_one(records)).collect()
}

fn overlaps_on_one(records: &[&Record]) -> Vec<String> {
    let mut tenures: BTreeMap<u64, (&Writer, Instant)> = BTreeMap::new();
    for record in records {
        tenures.insert(record.writer.opening, (&record.writer, record.at));
    }
    let mut found = Vec::new();
    for (writer, last) in tenures.values() {
        let within = |record: &&&Record| record.at > writer.opened && record.at < *last;
        let foreign = records.iter().filter(|record| record.writer.host != writer.host).filter(within);
        found.extend(foreign.take(TOLD).map(|record| {
            format!(
                "{} wrote {} bytes at {} of {} while {} had it open, {:?} before the last write of {}",
                record.writer.host,
                record.length,
                record.offset,
                record.object.path.display(),
                writer.host,
                last.duration_since(record.at),
                writer.host,
            )
        }));
    }
    found
}

pub(super) fn epoch_overlaps(records: &[Record], epoch: impl Fn(&str) -> Option<(String, u64)>) -> Vec<String> {
    let mut highest: BTreeMap<String, u64> = BTreeMap::new();
    let mut known: BTreeMap<u64, Option<(String, u64)>> = BTreeMap::new();
    let mut found = Vec::new();
    for record in records {
        let writer = &record.writer;
        let Some((volume, own)) = known.entry(writer.opening).or_insert_with(|| epoch(&writer.process)).clone() else {
            continue;
        };
        let reached = highest.entry(volume.clone()).or_insert(own);
        if own < *reached {
            found.push(format!("{volume}: a write for epoch {own} after the first for epoch {reached}"));
        }
        *reached = own.max(*reached);
    }
    found
}

#[cfg(test)]
mod tests;
