//! Whether a volume is in use on this node, from kernel facts.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Who uses the image or directory at `path`, in words; `None` if nobody does.
pub(crate) fn user_of(path: &Path) -> io::Result<Option<String>> {
    let path = match path.canonicalize() {
        Ok(path) => path,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let found = fs::metadata(&path)?;
    if found.is_dir() { bind_of(&path, found.dev()) } else { loop_device_of(&path) }
}

/// The loop device bound to an image. It stays bound while the file system is mounted in any namespace.
fn loop_device_of(image: &Path) -> io::Result<Option<String>> {
    for device in fs::read_dir("/sys/block")? {
        let device = device?;
        match fs::read_to_string(device.path().join("loop/backing_file")) {
            Ok(backing) if Path::new(backing.trim_end_matches('\n')) == image => {
                return Ok(Some(format!("bound to /dev/{}", device.file_name().to_string_lossy())));
            }
            // Not a loop device, not bound, or let go of while we looked.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// A mount of a directory elsewhere, or of something else below it.
fn bind_of(directory: &Path, device: u64) -> io::Result<Option<String>> {
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    for line in fs::read_to_string("/proc/self/mountinfo")?.lines() {
        let mut words = line.split(' ').skip(2);
        let (Some(number), Some(root), Some(target)) = (words.next(), words.next(), words.next()) else { continue };
        let (root, target) = (root.replace("\\040", " "), target.replace("\\040", " "));
        // `root` is the path from the top of its file system, of which `directory` is a suffix or the whole.
        let is_bind = number == device && root != "/" && directory.ends_with(root.trim_start_matches('/'));
        if is_bind || Path::new(&target).starts_with(directory) {
            return Ok(Some(format!("mounted at {target}")));
        }
    }
    Ok(None)
}
