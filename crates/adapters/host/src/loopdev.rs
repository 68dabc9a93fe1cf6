//! Loop devices: an image file as a block device, gone by itself when its last user is.
//!
//! Unsafe: `ioctl`s of the loop driver that no safe crate offers.

use std::ffi::{CString, c_void};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::ioctl::{Getter, Ioctl, IoctlOutput, NoArg, Opcode, Setter, ioctl};

// linux/loop.h
const LOOP_GET_STATUS64: Opcode = 0x4C05;
const LOOP_SET_CAPACITY: Opcode = 0x4C07;
const LOOP_CONFIGURE: Opcode = 0x4C0A;
const LOOP_CTL_GET_FREE: Opcode = 0x4C82;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;
/// How long the file system of a bound image may take to tell which file it is: it has it in memory.
const TELLS_WITHIN: Duration = Duration::from_secs(1);
/// Another process may take the free device before we do; it cannot always win.
const ATTEMPTS: usize = 64;

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopInfo {
    device: u64,
    inode: u64,
    rdevice: u64,
    offset: u64,
    size_limit: u64,
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
#[derive(Clone, Copy)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `LOOP_CTL_GET_FREE`: takes nothing, returns the number of a free device.
struct GetFree;

// SAFETY: the request takes no argument and writes nothing; the kernel's answer is the return value.
#[allow(unsafe_code, reason = "no safe crate offers LOOP_CTL_GET_FREE")]
unsafe impl Ioctl for GetFree {
    type Output = u32;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        LOOP_CTL_GET_FREE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    #[allow(unsafe_code, reason = "the trait's signature")]
    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> rustix::io::Result<u32> {
        u32::try_from(out).map_err(|_| rustix::io::Errno::RANGE)
    }
}

/// A loop device bound to an image. While this lives the device does; afterwards as long as it is mounted.
pub(crate) struct LoopDevice {
    /// `/dev/loopN`.
    pub(crate) path: PathBuf,
    _open: File,
}

impl LoopDevice {
    /// Binds `image` to a free device; with `direct`, past the page cache or not at all
    /// ([`Unsupported`](io::ErrorKind::Unsupported)).
    pub(crate) fn bind(image: &Path, direct: bool) -> io::Result<Self> {
        let backing = OpenOptions::new().read(true).write(true).open(image)?;
        let control = OpenOptions::new().read(true).write(true).open("/dev/loop-control")?;
        for _ in 0..ATTEMPTS {
            // SAFETY: `GetFree` describes this request exactly, and `control` is the loop control device.
            #[allow(unsafe_code, reason = "no safe crate offers LOOP_CTL_GET_FREE")]
            let number = unsafe { ioctl(&control, GetFree) }?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = OpenOptions::new().read(true).write(true).open(&path)?;
            match configure(&device, &backing, image, number, direct) {
                // Some kernels only drop the flag where the file system cannot.
                Ok(()) if direct && !is_direct(number)? => return Err(io::ErrorKind::Unsupported.into()),
                Ok(()) => return Ok(Self { path, _open: device }),
                Err(rustix::io::Errno::BUSY) => {}
                Err(rustix::io::Errno::INVAL) if direct => return Err(io::ErrorKind::Unsupported.into()),
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::Error::other("every free loop device was taken by somebody else"))
    }
}

/// Whether the device goes past the page cache, by the kernel's own word.
fn is_direct(number: u32) -> io::Result<bool> {
    Ok(std::fs::read_to_string(format!("/sys/block/loop{number}/loop/dio"))?.trim() == "1")
}

fn configure(device: &File, backing: &File, image: &Path, number: u32, direct: bool) -> rustix::io::Result<()> {
    let mut file_name = [0; 64];
    let name = CString::new(image.as_os_str().as_encoded_bytes()).unwrap_or_default();
    let length = name.as_bytes().len().min(file_name.len() - 1);
    file_name[..length].copy_from_slice(&name.as_bytes()[..length]);
    let info = LoopInfo {
        device: 0,
        inode: 0,
        rdevice: 0,
        offset: 0,
        size_limit: 0,
        number,
        encrypt_type: 0,
        encrypt_key_size: 0,
        flags: LO_FLAGS_AUTOCLEAR | if direct { LO_FLAGS_DIRECT_IO } else { 0 },
        file_name,
        crypt_name: [0; 64],
        encrypt_key: [0; 32],
        init: [0; 2],
    };
    let fd = u32::try_from(backing.as_raw_fd()).map_err(|_| rustix::io::Errno::BADF)?;
    let config = LoopConfig { fd, block_size: 0, info, reserved: [0; 8] };
    // SAFETY: LOOP_CONFIGURE reads one `struct loop_config`, which `LoopConfig` mirrors field by field, and keeps its own
    // reference to the file behind `fd`.
    #[allow(unsafe_code, reason = "no safe crate offers LOOP_CONFIGURE")]
    unsafe {
        ioctl(device, Setter::<LOOP_CONFIGURE, LoopConfig>::new(config))
    }
}

/// Tells the loop device that its image has grown.
pub(crate) fn take_up_size(device: &Path) -> io::Result<()> {
    let device = OpenOptions::new().read(true).write(true).open(device)?;
    // SAFETY: LOOP_SET_CAPACITY takes no argument.
    #[allow(unsafe_code, reason = "no safe crate offers LOOP_SET_CAPACITY")]
    unsafe { ioctl(&device, NoArg::<LOOP_SET_CAPACITY>::new()) }?;
    Ok(())
}

/// The image behind the block device `minor` of the loop driver, if it is bound.
pub(crate) fn image_of(minor: u32) -> io::Result<Option<PathBuf>> {
    match std::fs::read_to_string(format!("/sys/block/loop{minor}/loop/backing_file")) {
        Ok(text) => Ok(Some(PathBuf::from(text.trim_end_matches('\n')))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // The device is being taken down while we look.
        Err(error) if error.raw_os_error() == Some(19) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A loop device that `image` is bound to, if there is one.
///
/// The kernel names images by the path under which they were bound, and a host that is a set of namespaces may have
/// another file there: then the device is asked which file it has.
pub(crate) fn device_of(image: &Path) -> io::Result<Option<PathBuf>> {
    let image = image.canonicalize()?;
    let file = || std::fs::metadata(&image).map(|found| (found.dev(), found.ino()));
    let ours = file()?;
    for device in std::fs::read_dir("/sys/block")? {
        let name = device?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("loop")).and_then(|number| number.parse().ok());
        let Some(number) = number else { continue };
        if image_of(number)?.as_deref() != Some(&image) {
            continue;
        }
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let same = match file_behind(path.clone()) {
            Some(theirs) => theirs == ours,
            // What hangs or may not be asked is another file than the one that answers us; looked at again, lest it be
            // ours that hangs.
            None => file().is_err(),
        };
        if same {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Device and inode of the file behind a loop device; `None` if its file system does not tell.
#[allow(clippy::disallowed_methods, reason = "a thread that may be left behind, waiting for storage that hangs")]
fn file_behind(device: PathBuf) -> Option<(u64, u64)> {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let asked = File::open(device).and_then(|device| {
            // SAFETY: LOOP_GET_STATUS64 writes one `struct loop_info64`, which `LoopInfo` mirrors; any bytes are valid.
            #[allow(unsafe_code, reason = "no safe crate offers LOOP_GET_STATUS64")]
            let info = unsafe { ioctl(&device, Getter::<LOOP_GET_STATUS64, LoopInfo>::new()) }?;
            Ok((info.device, info.inode))
        });
        let _ = tell.send(asked);
    });
    told.recv_timeout(TELLS_WITHIN).ok()?.ok()
}
