//! The volatile cache of one host: blocks that were written and not flushed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::files::Open;
use super::record::{Records, Target};

const BLOCK: u64 = 4096;

/// What a host wrote to one file and did not flush.
#[derive(Default)]
pub(super) struct Dirty {
    blocks: BTreeMap<u64, Block>,
    /// The end of the last write: the file is at least so long.
    pub(super) end: u64,
}

struct Block {
    data: Box<[u8]>,
    /// Through which opening it was written last.
    open: Arc<Open>,
}

impl Dirty {
    /// Takes a write.
    pub(super) fn write(&mut self, open: &Arc<Open>, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut done = 0;
        while done < data.len() {
            let at = offset + done as u64;
            let within = (at % BLOCK) as usize;
            let length = (BLOCK as usize - within).min(data.len() - done);
            let block = match self.blocks.entry(at / BLOCK) {
                std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
                std::collections::btree_map::Entry::Vacant(entry) => {
                    let mut content = vec![0; BLOCK as usize].into_boxed_slice();
                    if length < BLOCK as usize {
                        read_what_is_there(&open.file, at - within as u64, &mut content)?;
                    }
                    entry.insert(Block { data: content, open: Arc::clone(open) })
                }
            };
            block.open = Arc::clone(open);
            block.data[within..within + length].copy_from_slice(&data[done..done + length]);
            done += length;
        }
        self.end = self.end.max(offset + data.len() as u64);
        Ok(())
    }

    /// Lays what was written over what was read from the backing.
    pub(super) fn overlay(&self, offset: u64, buffer: &mut [u8]) {
        let end = offset + buffer.len() as u64;
        for (number, block) in self.blocks.range(offset / BLOCK..end.div_ceil(BLOCK)) {
            let begin = number * BLOCK;
            let (from, to) = (begin.max(offset), (begin + BLOCK).min(end));
            let source = &block.data[(from - begin) as usize..(to - begin) as usize];
            buffer[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
        }
    }

    /// Writes all of it to the backing, adjoining blocks of one opening at once.
    pub(super) fn flush(self, records: &Records) -> io::Result<()> {
        let Some(block) = self.blocks.values().next() else { return Ok(()) };
        let end = self.end.max(block.open.file.metadata()?.len());
        let mut run: Vec<u8> = Vec::new();
        let mut begin = 0;
        let mut of: Option<Arc<Open>> = None;
        for (number, block) in self.blocks {
            let adjoins = begin + run.len() as u64 == number * BLOCK;
            if !(adjoins && of.as_ref().is_some_and(|open| Arc::ptr_eq(open, &block.open))) {
                write_run(records, of.as_deref(), begin, &run)?;
                (begin, of) = (number * BLOCK, Some(block.open));
                run.clear();
            }
            let length = end.saturating_sub(number * BLOCK).min(BLOCK);
            run.extend_from_slice(&block.data[..length as usize]);
        }
        write_run(records, of.as_deref(), begin, &run)
    }
}

fn write_run(records: &Records, open: Option<&Open>, begin: u64, run: &[u8]) -> io::Result<()> {
    match open {
        Some(open) if !run.is_empty() => {
            let target: Target<'_> = open.target();
            records.write(&target, begin, run)
        }
        _ => Ok(()),
    }
}

/// Fills the buffer from a file as far as the file goes. Yields how far.
pub(super) fn read_what_is_there(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
