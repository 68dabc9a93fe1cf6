//! ext4 on images: made once, checked before every mount, grown on request. By the distribution's own programs.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

use om_backend::{ErrorKind, PortError, Result};
use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Where these programs lie; a service's PATH often lacks `sbin`.
const PATH: &str = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin";

/// File systems are whole blocks of at most this size: a smaller rest of an image stays unused.
pub(crate) const SLACK: u64 = 64 << 10;

struct Finished {
    code: Option<i32>,
    said: String,
}

fn run(program: &str, arguments: &[&str], on: &Path) -> Result<Finished> {
    let mut command = Command::new(program);
    command.args(arguments).arg(on).env("PATH", PATH).env("LC_ALL", "C").stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        PortError::new(ErrorKind::Unavailable, format!("run {program} on"), on.display(), error)
            .advise("install the packages e2fsprogs and util-linux")
    })?;
    let said = [output.stdout, output.stderr].concat();
    Ok(Finished { code: output.status.code(), said: String::from_utf8_lossy(&said).trim().replace('\n', "; ") })
}

/// True if any file system, partition table or RAID signature is found on the image.
fn has_signature(image: &Path) -> Result<bool> {
    let found = run("blkid", &["-p"], image)?;
    match found.code {
        Some(2) => Ok(false),
        // 8: several signatures at once. All the more reason to keep off.
        Some(0 | 8) => Ok(true),
        _ => Err(PortError::new(ErrorKind::Unavailable, "look for a file system on", image.display(), found.said)),
    }
}

/// Makes a file system on `image`, unless there is something on it.
pub(crate) fn format_if_blank(image: &Path) -> Result<()> {
    if has_signature(image)? {
        return Ok(());
    }
    // mke2fs writes the primary superblock last: after a crash in the middle there is no signature, and it is made anew.
    // Blocks of 4096 bytes also on small volumes: a file that shares extents with another (a reflink) is written by direct
    // I/O in such blocks only, and its loop device refuses a file system with smaller ones.
    let made = run("mkfs.ext4", &["-q", "-F", "-b", "4096", "-m", "1", "-E", "nodiscard"], image)?;
    match made.code {
        Some(0) => Ok(()),
        _ => Err(PortError::new(ErrorKind::Unavailable, "make a file system on", image.display(), made.said)),
    }
}

/// Checks the unmounted `image` and mends what can be mended without asking (the mount then replays the journal). What
/// needs an answer, since data may be lost either way, is left to a person; who mends it holds a lock on the image, for two
/// that write to one file system ruin it.
pub(crate) fn check(image: &Path) -> Result<()> {
    let refused =
        |detail: String| PortError::new(ErrorKind::Refused, "check the file system on", image.display(), detail);
    let locked = File::open(image)
        .map_err(|error| PortError::new(ErrorKind::Unavailable, "open", image.display(), error))
        .map(|file| (rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive), file))?;
    // Any other answer says that there are no such locks here, or that it is ours.
    if let (Err(Errno::WOULDBLOCK), _) = locked {
        return Err(refused("somebody else has locked it, to mend it perhaps".to_owned())
            .advise("it is looked at again once that program has ended"));
    }
    let checked = run("e2fsck", &["-p"], image)?;
    match checked.code {
        // 1: mended. 2: mended, and a mounted file system would need a reboot; ours is not mounted.
        Some(0..=3) => Ok(()),
        _ => {
            let detail = format!("it has errors that only a person may mend: {}", complaint(&checked.said, image));
            let advice = "keep a copy of it, then mend it, and the member starts again by itself";
            Err(refused(detail).advise(format!("{advice}: flock {0} e2fsck -f {0}", image.display())))
        }
    }
}

/// The first thing that e2fsck found and did not mend.
fn complaint(said: &str, image: &Path) -> String {
    let prefix = format!("{}: ", image.display());
    let frame =
        ["contains a file system with errors", "recovering journal", "UNEXPECTED INCONSISTENCY", "RUN fsck", "(i.e."];
    let found =
        said.split("; ").map(str::trim).find(|line| !line.is_empty() && !frame.iter().any(|part| line.contains(part)));
    found.map_or(said, |line| line.strip_prefix(&prefix).unwrap_or(line)).trim_end_matches('.').to_owned()
}

/// The size in bytes that the superblock states, read from an image or a device.
pub(crate) fn stated_size(device: &Path) -> io::Result<Option<u64>> {
    let mut block = [0; 1024];
    match File::open(device)?.read_exact_at(&mut block, 1024) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let word = |at: usize| u64::from(u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]]));
    // Offsets of ext4's superblock: s_blocks_count_lo, s_log_block_size, s_magic, s_feature_incompat, s_blocks_count_hi.
    let (low, log_size, magic, features, high) = (word(0x4), word(0x18), word(0x38) & 0xffff, word(0x60), word(0x150));
    if magic != 0xef53 || log_size > 6 {
        return Ok(None);
    }
    const INCOMPAT_64BIT: u64 = 0x80;
    let blocks = if features & INCOMPAT_64BIT == 0 { low } else { high << 32 | low };
    Ok(blocks.checked_shl(10 + u32::try_from(log_size).unwrap_or(0)))
}

/// Enlarges the unmounted file system on `image` to the image's size, if that is larger.
pub(crate) fn fill(image: &Path) -> Result<()> {
    let look = |error: io::Error| PortError::new(ErrorKind::Unavailable, "look at", image.display(), error);
    let size = std::fs::metadata(image).map_err(look)?.len();
    if stated_size(image).map_err(look)?.is_none_or(|stated| stated + SLACK > size) {
        return Ok(());
    }
    // resize2fs asks for a full check first.
    let checked = run("e2fsck", &["-f", "-p"], image)?;
    let grown = if matches!(checked.code, Some(0..=3)) { run("resize2fs", &[], image)? } else { checked };
    match grown.code {
        Some(0) => Ok(()),
        _ => Err(PortError::new(ErrorKind::Unavailable, "enlarge the file system on", image.display(), grown.said)),
    }
}

/// Enlarges the mounted file system on `device` to the device's size.
pub(crate) fn grow(device: &Path) -> Result<()> {
    let grown = run("resize2fs", &[], device)?;
    match grown.code {
        Some(0) => Ok(()),
        // The kernel wants CAP_SYS_RESOURCE, which root lacks in some containers and sandboxes.
        _ if grown.said.contains("Permission denied") => {
            Err(PortError::new(ErrorKind::Refused, "enlarge the mounted file system on", device.display(), grown.said)
                .advise("restart the member: the file system is enlarged when it is next mounted"))
        }
        _ => Err(PortError::new(ErrorKind::Unavailable, "enlarge the file system on", device.display(), grown.said)),
    }
}
