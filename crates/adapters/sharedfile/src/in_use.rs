//! Whether this node uses an image, from kernel facts. What other nodes do cannot be seen from here.

use std::fs;
use std::io;
use std::path::Path;

/// The loop device bound to `image`; it stays bound while its file system is mounted in any namespace.
pub(crate) fn loop_device_of(image: &Path) -> io::Result<Option<String>> {
    let image = match image.canonicalize() {
        Ok(image) => image,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for device in fs::read_dir("/sys/block")? {
        let device = device?;
        match fs::read_to_string(device.path().join("loop/backing_file")) {
            Ok(backing) if Path::new(backing.trim_end_matches('\n')) == image => {
                return Ok(Some(format!("/dev/{}", device.file_name().to_string_lossy())));
            }
            // Not a loop device, not bound, or let go of while we looked.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}
