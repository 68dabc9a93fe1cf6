//! One volume's folder. Blocking.
//!
//! | name | meaning |
//! |---|---|
//! | `e<n>.img` | the content since epoch n attached or n - 1 was revoked; **the highest is the present one** |
//! | `floor.<n>` | empty; epochs below n are over |
//! | `size.<n>` | empty; the volume has n bytes |
//! | `.new-…` | something being made; nobody reads it |
//!
//! **Invariant:** of each kind the highest number holds, and it only rises. Names are made by `link` and exclusive
//! creation, which fail when the name is there: of two nodes that make a generation one wins, and both see its.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use om_backend::{ErrorKind, PortError, Result};
use om_model::{ByteSize, Epoch, VolumeId};

use crate::clone::{Cloning, clone};
use crate::os::{done_if_gone, done_if_there, failed, names, nonce, sync_folder};

/// How often cloning starts anew because somebody else removed the generation that was about to be cloned.
const ATTEMPTS: usize = 8;

/// The folder of a volume that exists, or is being made.
pub(crate) struct Volume {
    pub(crate) id: VolumeId,
    pub(crate) folder: PathBuf,
}

/// The number in a name like `floor.7` or `e7.img`.
fn number(name: &str, before: &str, after: &str) -> Option<u64> {
    let digits = name.strip_prefix(before)?.strip_suffix(after)?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

impl Volume {
    fn image(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("e{generation}.img"))
    }

    fn subject(&self) -> String {
        format!("volume {}", self.id)
    }

    fn highest(&self, before: &str, after: &str) -> Result<Option<u64>> {
        let names = names(&self.folder).map_err(|error| failed("list", &self.folder, &error))?;
        Ok(names.iter().filter_map(|name| number(name, before, after)).max())
    }

    /// The present generation and its image.
    pub(crate) fn present(&self) -> Result<(u64, PathBuf)> {
        let gone = || PortError::new(ErrorKind::NotFound, "find the image of", self.subject(), "it has none any more");
        let generation = self.highest("e", ".img")?.ok_or_else(gone)?;
        Ok((generation, self.image(generation)))
    }

    fn floor(&self) -> Result<u64> {
        Ok(self.highest("floor.", "")?.unwrap_or(0))
    }

    pub(crate) fn size(&self) -> Result<u64> {
        Ok(self.highest("size.", "")?.unwrap_or(0))
    }

    /// Raises a number, durably.
    pub(crate) fn raise(&self, kind: &str, to: u64) -> Result<()> {
        let path = self.folder.join(format!("{kind}.{to}"));
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map(drop);
        // Synced also if it was there: whoever made it may not have come so far.
        let raised = done_if_there(made).and_then(|_| sync_folder(&self.folder));
        raised.map_err(|error| failed("write", &path, &error))
    }

    /// The image for the holder of `epoch`: a generation that begins with it, cloned when it first attaches, so that writes
    /// of lower epochs that are still on their way reach a file that nobody reads. Where the pool cannot clone, the only one.
    pub(crate) fn attach(&self, epoch: Epoch, how: Cloning) -> Result<PathBuf> {
        self.refuse_if_over(epoch, self.floor()?)?;
        // Marked before a generation is picked, looked at again after: whoever marks a higher number later either clones
        // what we return, or we see its mark.
        self.raise("floor", epoch.get())?;
        if how != Cloning::Not {
            self.begin_generation("attach", epoch.get(), how)?;
        }
        let (generation, image) = self.present()?;
        // Neither a successor's generation nor one of an epoch that a successor has cloned meanwhile.
        self.refuse_if_over(epoch, generation.max(self.floor()?))?;
        self.fill_up(&image)?;
        self.tidy()?;
        Ok(image)
    }

    fn refuse_if_over(&self, epoch: Epoch, floor: u64) -> Result<()> {
        if epoch.get() >= floor {
            return Ok(());
        }
        let detail = format!("epoch {epoch} is over: the volume belongs to epoch {floor} already");
        Err(PortError::new(ErrorKind::Refused, "attach", self.subject(), detail)
            .advise("if the control database was restored from a backup, raise the member's epoch"))
    }

    /// Gives the image the volume's size: it may have been cloned just before the volume grew.
    pub(crate) fn fill_up(&self, image: &Path) -> Result<()> {
        let size = self.size()?;
        let filled = OpenOptions::new().write(true).open(image).and_then(|file| {
            if file.metadata()?.len() >= size {
                return Ok(());
            }
            file.set_len(size)?;
            file.sync_all()
        });
        filled.map_err(|error| failed("enlarge", image, &error))
    }

    /// Gives epochs after `epoch` an image of their own.
    pub(crate) fn revoke(&self, epoch: Epoch, how: Cloning) -> Result<()> {
        let next = epoch.next().get();
        self.raise("floor", next)?;
        self.begin_generation("revoke", next, how)
    }

    /// Makes the generation `next` a clone of the present one, unless that is as high.
    fn begin_generation(&self, action: &str, next: u64, how: Cloning) -> Result<()> {
        for _ in 0..ATTEMPTS {
            let (generation, image) = self.present()?;
            if generation >= next {
                return Ok(());
            }
            match self.make_clone(&image, &self.image(next), how) {
                Err(error) if error.kind == ErrorKind::NotFound => {}
                done => return done,
            }
        }
        let detail = "its generations change faster than they can be cloned";
        Err(PortError::new(ErrorKind::Unavailable, action, self.subject(), detail))
    }

    /// Makes `target` a clone of `image`, unless it is there.
    pub(crate) fn make_clone(&self, image: &Path, target: &Path, how: Cloning) -> Result<()> {
        let folder = target.parent().unwrap_or(&self.folder);
        let wrong = |error: io::Error| failed(&format!("clone {} to", image.display()), target, &error);
        let fresh = folder.join(format!(".new-image.{}", nonce().map_err(wrong)?));
        let made = (|| {
            let source = File::open(image)?;
            let copy = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&fresh)?;
            clone(&source, &copy, how)?;
            done_if_there(fs::hard_link(&fresh, target))
        })();
        drop(fs::remove_file(&fresh));
        made.and_then(|_| sync_folder(folder)).map_err(wrong)
    }

    /// Removes what no longer holds: lower numbers, and images of former generations. A former holder that still writes
    /// to one of these loses nothing that counts.
    pub(crate) fn tidy(&self) -> Result<()> {
        let (generation, _) = self.present()?;
        let (floor, size) = (self.floor()?, self.size()?);
        let over = |name: &str| {
            number(name, "e", ".img").is_some_and(|found| found < generation)
                || number(name, "floor.", "").is_some_and(|found| found < floor)
                || number(name, "size.", "").is_some_and(|found| found < size)
        };
        let tidied = names(&self.folder).and_then(|names| {
            for name in names.iter().filter(|name| over(name)) {
                done_if_gone(fs::remove_file(self.folder.join(name)))?;
            }
            Ok(())
        });
        tidied.map_err(|error| failed("tidy up", &self.folder, &error))
    }

    /// Enlarges it, also while it is in use.
    pub(crate) fn grow(&self, size: ByteSize) -> Result<()> {
        let present = self.size()?;
        if size.as_bytes() < present {
            let detail = format!("it has {}, and volumes do not shrink to {size}", ByteSize::bytes(present));
            return Err(PortError::new(ErrorKind::Invalid, "enlarge", self.subject(), detail));
        }
        self.raise("size", size.as_bytes())?;
        let (_, image) = self.present()?;
        self.fill_up(&image)
    }
}

#[cfg(test)]
mod tests;
