//! Making mounts and taking them away. Blocking; [`SystemHost`](crate::SystemHost) calls it off the runtime's threads.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use om_backend::{ErrorKind, PortError, Result, Source};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::{ext4, loopdev, mountinfo};

/// The major number of loop devices.
const LOOP_MAJOR: u32 = 7;
/// How long the kernel may take to let go of a loop device after the last unmount (udev looks at it first).
const LOOP_GONE_WITHIN: Duration = Duration::from_secs(5);

/// An error of the operating system, with the kind that its number means.
pub(crate) fn failed(action: &str, subject: &Path, error: &io::Error) -> PortError {
    let kind = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT | Errno::NXIO) => ErrorKind::NotFound,
        Some(Errno::BUSY | Errno::TXTBSY | Errno::NOTEMPTY) => ErrorKind::Refused,
        Some(Errno::NOSPC | Errno::DQUOT | Errno::NOMEM | Errno::MFILE | Errno::NFILE) => ErrorKind::Exhausted,
        Some(Errno::INVAL | Errno::NOTDIR | Errno::ISDIR | Errno::NAMETOOLONG) => ErrorKind::Invalid,
        _ => ErrorKind::Unavailable,
    };
    let failure = PortError::new(kind, action, subject.display(), error);
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => failure.advise("run the agent as root"),
        Some(Errno::NOSPC) => failure.advise("free some room on that disk"),
        _ => failure,
    }
}

/// The topmost mount at exactly `target`.
pub(crate) fn mounted_at(target: &Path) -> Result<Option<mountinfo::Entry>> {
    let target = &mountinfo::resolved(target);
    let mounts = mountinfo::own().map_err(|error| failed("read the mounts at", target, &error))?;
    Ok(mounts.into_iter().rfind(|entry| entry.target == *target))
}

pub(crate) fn mount(source: &Source, target: &Path) -> Result<()> {
    let done = mounted_at(target)?.is_some();
    if !done {
        prepare(source, target)?;
    }
    let wrong = |error: Errno| failed("mount", target, &error.into());
    let safe = MountFlags::NOSUID | MountFlags::NODEV;
    match source {
        _ if done && !matches!(source, Source::ReadOnlyFile(_)) => Ok(()),
        Source::Directory(folder) => rustix::mount::mount_bind(folder, target).map_err(wrong),
        Source::Image { path, format, direct } => mount_image(path, *format, *direct, target),
        Source::Memory { size } => {
            let options = std::ffi::CString::new(format!("mode=0700,size={size}")).expect("digits hold no zero byte");
            rustix::mount::mount("openmanage", target, "tmpfs", safe, options.as_c_str()).map_err(wrong)
        }
        Source::ReadOnlyFile(file) => {
            if !done {
                rustix::mount::mount_bind(file, target).map_err(wrong)?;
            }
            // A bind takes no flags of its own at first. Also when it is there already: we may have died in between.
            rustix::mount::mount_remount(target, MountFlags::BIND | MountFlags::RDONLY | safe, "").map_err(wrong)
        }
    }
}

/// Makes what is mounted upon: a directory, or for a file an empty file.
fn prepare(source: &Source, target: &Path) -> Result<()> {
    let made = match source {
        Source::ReadOnlyFile(_) => {
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(target).map(drop)
        }
        _ => DirBuilder::new().recursive(true).mode(0o700).create(target),
    };
    made.map_err(|error| failed("make the mount point", target, &error))
}

fn mount_image(image: &Path, format: bool, direct: bool, target: &Path) -> Result<()> {
    // A second mount of a mounted image succeeds silently and ruins it: the kernel does not protect us here.
    let busy = loopdev::device_of(image).map_err(|error| failed("look for users of", image, &error))?;
    if let Some(device) = busy {
        let detail = format!("it is in use as {}", device.display());
        return Err(PortError::new(ErrorKind::Refused, "mount", image.display(), detail)
            .advise(format!("find who has it mounted: grep -l {} /proc/*/mountinfo", device.display())));
    }
    if format {
        ext4::format_if_blank(image)?;
    }
    ext4::check(image)?;
    ext4::fill(image)?;
    let device = loopdev::LoopDevice::bind(image, direct).map_err(|error| match error.kind() {
        io::ErrorKind::Unsupported => {
            let detail = "the file system it lies on has no direct I/O";
            PortError::new(ErrorKind::Refused, "bind to a loop device past the page cache", image.display(), detail)
                .advise("put the pool on a file system with direct I/O (xfs, ext4, btrfs, NFS)")
        }
        _ => failed("bind to a loop device", image, &error),
    })?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOATIME;
    rustix::mount::mount(&device.path, target, "ext4", flags, c"errors=remount-ro")
        .map_err(|error| failed("mount", target, &error.into()))
}

pub(crate) fn unmount(target: &Path) -> Result<()> {
    while let Some(entry) = mounted_at(target)? {
        let image = match entry.device {
            (LOOP_MAJOR, minor) => {
                loopdev::image_of(minor).map_err(|error| failed("look at the device of", target, &error))?
            }
            _ => None,
        };
        // No MNT_DETACH: a lazy unmount would hide a file system that is still written to.
        rustix::mount::unmount(target, UnmountFlags::NOFOLLOW).map_err(|error| {
            let failure = failed("unmount", target, &error.into());
            if failure.kind == ErrorKind::Refused {
                failure.advise(format!("find who uses it: fuser -vm {}", target.display()))
            } else {
                failure
            }
        })?;
        let here = mountinfo::own_of(entry.device).map_err(|error| failed("read the mounts at", target, &error))?;
        if let Some(image) = image.filter(|_| here.is_empty()) {
            wait_until_unbound(&image, entry.device.1)?;
        }
    }
    remove_mount_point(target)
}

#[allow(clippy::disallowed_methods, reason = "waits for the kernel, on a thread where blocking is allowed")]
/// The device lets go of the image when the file system's last mount in any namespace is gone.
fn wait_until_unbound(image: &Path, minor: u32) -> Result<()> {
    let since = Instant::now();
    loop {
        let now = loopdev::image_of(minor).map_err(|error| failed("look at the device of", image, &error))?;
        if now.as_deref() != Some(image) {
            return Ok(());
        }
        if since.elapsed() > LOOP_GONE_WITHIN {
            let detail = format!("/dev/loop{minor} is still in use, by a mount in another namespace or an open device");
            return Err(PortError::new(ErrorKind::Refused, "let go of", image.display(), detail));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Removes the empty directory or file that a mount was on. One that is not empty was there before us, and stays.
fn remove_mount_point(target: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(target) {
        Ok(found) if found.is_dir() => fs::remove_dir(target),
        Ok(found) if found.is_file() && found.len() == 0 => fs::remove_file(target),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::DirectoryNotEmpty) => Ok(()),
        Err(error) => Err(failed("remove the mount point", target, &error)),
    }
}

pub(crate) fn remove_empty(folder: &Path, prefix: &str) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("list", folder, &error)),
    };
    for entry in entries {
        let entry = entry.map_err(|error| failed("list", folder, &error))?;
        if !entry.file_name().as_encoded_bytes().starts_with(prefix.as_bytes()) {
            continue;
        }
        // rmdir refuses mount points and whatever is not empty: exactly what has to stay.
        match fs::remove_dir(entry.path()) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::ResourceBusy) => {}
            Err(error) => return Err(failed("remove", &entry.path(), &error)),
        }
    }
    Ok(())
}

pub(crate) fn grow_file_system(target: &Path) -> Result<()> {
    let entry = mounted_at(target)?
        .ok_or_else(|| PortError::new(ErrorKind::NotFound, "enlarge", target.display(), "nothing is mounted there"))?;
    let wrong = |error: io::Error| failed("enlarge the file system at", target, &error);
    let (LOOP_MAJOR, minor) = entry.device else { return Ok(()) };
    let Some(image) = loopdev::image_of(minor).map_err(wrong)? else { return Ok(()) };
    let wanted = fs::metadata(&image).map_err(wrong)?.len();
    let device = Path::new("/dev").join(format!("loop{minor}"));
    loopdev::take_up_size(&device).map_err(wrong)?;
    match ext4::stated_size(&device).map_err(wrong)? {
        Some(stated) if stated + ext4::SLACK > wanted => Ok(()),
        _ => ext4::grow(&device),
    }
}

pub(crate) fn sync(target: &Path) -> Result<()> {
    let folder = fs::File::open(target).map_err(|error| failed("sync", target, &error))?;
    rustix::fs::syncfs(&folder).map_err(|error| failed("sync", target, &error.into()))
}
