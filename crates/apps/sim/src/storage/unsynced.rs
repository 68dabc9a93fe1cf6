//! What machines have written and nobody has synced: lost with their power, each write by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use om_model::NodeId;

use super::{Cached, Change, Content};

/// A kernel writes back what is older than this.
const WRITTEN_BACK: Duration = Duration::from_secs(30);

/// By whom, where and when something is written.
pub(super) struct Written<'a> {
    pub(super) node: &'a NodeId,
    pub(super) path: &'a Path,
    pub(super) at: Duration,
}

/// A write that may be lost.
pub(super) struct Unsynced {
    node: NodeId,
    path: PathBuf,
    at: Duration,
    undo: Undo,
}

/// What was there before.
enum Undo {
    File(String, Option<String>),
    Files(BTreeMap<String, String>),
    All(Content),
}

/// Notes what a change makes that may be lost, and what it makes safe.
pub(super) fn note(
    unsynced: &mut Vec<Unsynced>,
    content: &Content,
    change: &Change,
    cached: Cached,
    written: Written<'_>,
) {
    let Written { node, path, at } = written;
    unsynced.retain(|one| one.is_fresh(at));
    let undo = match change {
        Change::Sync => return unsynced.retain(|one| !one.is_of(node, Some(path))),
        Change::Write(name, _) => Undo::File(name.clone(), content.files.get(name).cloned()),
        Change::Remove(prefix) => {
            let removed = content.files.iter().filter(|(name, _)| name.starts_with(prefix));
            Undo::Files(removed.map(|(name, text)| (name.clone(), text.clone())).collect())
        }
        Change::Copy(_) => Undo::All(content.clone()),
        // A log is flushed before anybody is told; a file system is made and synced.
        Change::Row(_) | Change::Format => return,
    };
    match cached {
        Cached::Yes => unsynced.push(Unsynced { node: node.clone(), path: path.to_owned(), at, undo }),
        Cached::No => unsynced.retain(|one| !(one.is_of(node, Some(path)) && one.same_file(&undo))),
    }
}

impl Unsynced {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_of(&self, node: &NodeId, path: Option<&Path>) -> bool {
        self.node == *node && path.is_none_or(|path| self.path == path)
    }

    pub(super) fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.at) < WRITTEN_BACK
    }

    fn same_file(&self, other: &Undo) -> bool {
        matches!((&self.undo, other), (Undo::File(one, _), Undo::File(other, _)) if one == other)
    }

    /// As if it had never been written.
    pub(super) fn undo(&self, content: &mut Content) {
        match &self.undo {
            Undo::File(name, Some(text)) => drop(content.files.insert(name.clone(), text.clone())),
            Undo::File(name, None) => drop(content.files.remove(name)),
            Undo::Files(files) => content.files.extend(files.clone()),
            Undo::All(before) => *content = before.clone(),
        }
    }
}
