//! What is mounted where: `/proc/PID/mountinfo`, for this process and for every other mount namespace.

use std::collections::HashSet;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The mount's id: no two mounts of the machine share one, whatever their namespaces.
    pub(crate) id: u32,
    /// Where it is mounted, as the process sees it.
    pub(crate) target: PathBuf,
    /// Device number of the file system.
    pub(crate) device: (u32, u32),
    /// Type of the file system.
    pub(crate) kind: String,
    /// Peer groups that it sends to or receives from (`shared:N`, `master:N`).
    pub(crate) groups: Vec<u32>,
}

/// Undoes the kernel's escapes: a space is `\040`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match (first, tail) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                plain.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                plain.push(*first);
                rest = tail;
            }
        }
    }
    plain
}

/// Reads one line; `None` if it is not one.
fn entry(line: &[u8]) -> Option<Entry> {
    let mut words = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    let device = std::str::from_utf8(words.nth(1)?).ok()?;
    let (major, minor) = device.split_once(':')?;
    let target = PathBuf::from(std::ffi::OsString::from_vec(unescape(words.nth(1)?)));
    let mut groups = Vec::new();
    for optional in words.by_ref().skip(1).take_while(|word| *word != b"-") {
        let text = std::str::from_utf8(optional).ok()?;
        let group = text.strip_prefix("shared:").or_else(|| text.strip_prefix("master:"));
        groups.extend(group.and_then(|number| number.parse::<u32>().ok()));
    }
    let kind = String::from_utf8_lossy(words.next()?).into_owned();
    Some(Entry { id, target, device: (major.parse().ok()?, minor.parse().ok()?), kind, groups })
}

/// All lines of a mountinfo file. A line that cannot be read is an error: a mount must not be overlooked.
pub(crate) fn parse(text: &[u8]) -> io::Result<Vec<Entry>> {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let complaint = || format!("cannot read the mountinfo line {:?}", String::from_utf8_lossy(line));
            entry(line).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, complaint()))
        })
        .collect()
}

/// The mounts of our own namespace.
pub(crate) fn own() -> io::Result<Vec<Entry>> {
    parse(&std::fs::read("/proc/self/mountinfo")?)
}

/// `path` as the kernel names it: without symbolic links. What is not there yet is taken as it stands.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    let by_parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize().ok().or_else(by_parent).unwrap_or_else(|| path.to_owned())
}

/// Mounts of our namespace at or below `folder`, parents first; of several at one place, the lowest first. Their targets
/// begin with `folder` as the caller wrote it.
pub(crate) fn below(folder: &Path) -> io::Result<Vec<Entry>> {
    let real = resolved(folder);
    let mut found: Vec<Entry> = own()?.into_iter().filter(|entry| entry.target.starts_with(&real)).collect();
    for entry in &mut found {
        let rest = entry.target.strip_prefix(&real).map(Path::to_owned).unwrap_or_default();
        entry.target = if rest.as_os_str().is_empty() { folder.to_owned() } else { folder.join(rest) };
    }
    found.sort_by_key(|entry| entry.target.components().count());
    Ok(found)
}

/// True where an error only says that the process is gone or is a zombie.
fn vanished(error: &io::Error) -> bool {
    const ESRCH: i32 = 3;
    const EINVAL: i32 = 22;
    error.kind() == io::ErrorKind::NotFound || matches!(error.raw_os_error(), Some(ESRCH | EINVAL))
}

/// Does `theirs`, seen by another process, keep the file system mounted when `ours` (all our mounts of it) are gone? Not
/// if it is one of ours, nor if it is a peer or a slave of one (a service with a private view of the machine's mounts):
/// the kernel unmounts those with ours.
fn keeps(theirs: &Entry, device: (u32, u32), ours: &[Entry]) -> bool {
    let goes_along = |own: &Entry| own.id == theirs.id || own.groups.iter().any(|group| theirs.groups.contains(group));
    theirs.device == device && !ours.iter().any(goes_along)
}

/// A process in another mount namespace that keeps the file system `device` mounted, if there is one. A process whose
/// mounts cannot be read is an error, not a "no".
pub(crate) fn held_elsewhere(device: (u32, u32)) -> io::Result<Option<u32>> {
    let ours: Vec<Entry> = own()?.into_iter().filter(|entry| entry.device == device).collect();
    let mut seen = HashSet::from([std::fs::metadata("/proc/self/ns/mnt")?.ino()]);
    for process in std::fs::read_dir("/proc")? {
        let process = process?;
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // Only saves work: where the namespace may not be looked at, the mounts are read all the same.
        let namespace = std::fs::metadata(process.path().join("ns/mnt")).map(|found| found.ino()).ok();
        if namespace.is_some_and(|namespace| seen.contains(&namespace)) {
            continue;
        }
        match std::fs::read(process.path().join("mountinfo")).and_then(|text| parse(&text)) {
            Ok(theirs) if theirs.iter().any(|entry| keeps(entry, device, &ours)) => return Ok(Some(pid)),
            // Only now: had this process vanished, another of its namespace would have to be asked.
            Ok(_) => seen.extend(namespace),
            Err(error) if vanished(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
