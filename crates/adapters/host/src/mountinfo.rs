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
    /// What of the file system is mounted: `/` is the whole.
    pub(crate) root: PathBuf,
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
    let root = PathBuf::from(std::ffi::OsString::from_vec(unescape(words.next()?)));
    let target = PathBuf::from(std::ffi::OsString::from_vec(unescape(words.next()?)));
    let mut groups = Vec::new();
    for optional in words.by_ref().skip(1).take_while(|word| *word != b"-") {
        let text = std::str::from_utf8(optional).ok()?;
        let group = text.strip_prefix("shared:").or_else(|| text.strip_prefix("master:"));
        groups.extend(group.and_then(|number| number.parse::<u32>().ok()));
    }
    let kind = String::from_utf8_lossy(words.next()?).into_owned();
    Some(Entry { id, root, target, device: (major.parse().ok()?, minor.parse().ok()?), kind, groups })
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

/// `path` as the kernel names it: without symbolic links. What is not there yet is taken as it stands. Links are followed
/// by readlink(2) alone, which asks nothing of the file system at `path`: it may hang.
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
/// mounts cannot be read is an error, not a "no". Nothing is asked of any file system but proc: storage may hang.
pub(crate) fn held_elsewhere(device: (u32, u32)) -> io::Result<Option<u32>> {
    let ours = own_of(device)?;
    let mut seen = HashSet::from([own_namespace()?]);
    for pid in processes()? {
        // Only saves work: where the namespace may not be looked at, the mounts are read all the same.
        let namespace = namespace_of(pid, "mnt");
        if namespace.is_some_and(|namespace| seen.contains(&namespace)) {
            continue;
        }
        match keeps_mounted(pid, device, &ours)? {
            Some(true) => return Ok(Some(pid)),
            // Only now: had this process vanished, another of its namespace would have to be asked.
            Some(false) => seen.extend(namespace),
            None => {}
        }
    }
    Ok(None)
}

/// All processes that we see.
pub(crate) fn processes() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for process in std::fs::read_dir("/proc")? {
        found.extend(process?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(found)
}

/// Our own mount namespace.
pub(crate) fn own_namespace() -> io::Result<u64> {
    Ok(std::fs::metadata("/proc/self/ns/mnt")?.ino())
}

/// The namespace of that kind that the process is in, where it may be looked at and the process has not ended.
pub(crate) fn namespace_of(pid: u32, kind: &str) -> Option<u64> {
    std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).map(|found| found.ino()).ok()
}

/// All our mounts of the file system `device`.
pub(crate) fn own_of(device: (u32, u32)) -> io::Result<Vec<Entry>> {
    Ok(own()?.into_iter().filter(|entry| entry.device == device).collect())
}

/// Whether the process `pid` keeps the file system `device` mounted beside `ours`; `None` if it is gone.
pub(crate) fn keeps_mounted(pid: u32, device: (u32, u32), ours: &[Entry]) -> io::Result<Option<bool>> {
    match std::fs::read(format!("/proc/{pid}/mountinfo")).and_then(|text| parse(&text)) {
        Ok(theirs) => Ok(Some(theirs.iter().any(|entry| keeps(entry, device, ours)))),
        Err(error) if vanished(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests;
