//! A node's end of an export: a `qemu-storage-daemon` that shows it as a file, by FUSE. Blocking.
//!
//! `<state>/<volume>.e<n>/` holds the credential (`keys.psk`) and `disk`, the file that the daemon covers with the export.
//! The daemon has a session of its own and outlives the agent; it is found by the path of that file in its words.
//!
//! While the storage host cannot be reached, reading and writing wait, and go on as if nothing had been when it can; they
//! fail only after [`PATIENCE`], or when the daemon is killed.
//!
//! **Invariant:** at most one write to the file is under way at a time. Before QEMU 10.1 the daemon reads a request that comes
//! while it waits for the storage host into the one buffer that it has, over the data of the write it waits for: blocks then
//! hold what belongs elsewhere, and nobody is told. Requests other than writes end where a write's data begins, and do no
//! harm. The kernel sends one write at a time to a file that is written through the page cache, as the writers wait for its
//! inode's lock; it sends many where a loop device goes past the page cache, so it must not.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use om_backend::{ErrorKind, PortError, Result};
use om_model::{Epoch, VolumeId};
use rustix::mount::UnmountFlags;

use crate::export::quoted;
use crate::line::Exported;
use crate::os::{done_if_gone, failed, names, private_folder, write_private};
use crate::processes::{self, Process};

const PROGRAM: &str = "qemu-storage-daemon";
const PACKAGE: &str = "qemu-system-common";
/// How long reads and writes wait for a storage host that is away.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long the first connection may take.
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How long a daemon may take to end by itself; one whose storage host is away never does.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

/// The daemons of a node.
#[derive(Clone, Debug)]
pub(crate) struct Daemons {
    pub(crate) state: PathBuf,
    /// The storage host's address or name.
    pub(crate) host: String,
}

/// One epoch's daemon, or what is left of it.
pub(crate) struct Daemon {
    pub(crate) epoch: Epoch,
    folder: PathBuf,
    process: Option<Process>,
}

impl Daemons {
    pub(crate) fn place(&self, id: &VolumeId, epoch: Epoch) -> Daemon {
        Daemon { epoch, folder: self.state.join(format!("{id}.e{epoch}")), process: None }
    }

    /// All that is there of a volume's daemons.
    pub(crate) fn of(&self, id: &VolumeId) -> Result<Vec<Daemon>> {
        let prefix = format!("{id}.e");
        let mut found = Vec::new();
        for name in names(&self.state)? {
            let Some(epoch) = name.strip_prefix(&prefix).and_then(|epoch| epoch.parse().ok()) else { continue };
            let mut daemon = self.place(id, Epoch::new(epoch));
            daemon.process = daemon.find()?;
            found.push(daemon);
        }
        Ok(found)
    }

    /// Starts a daemon for an export.
    pub(crate) fn start(&self, id: &VolumeId, epoch: Epoch, export: &Exported) -> Result<Daemon> {
        let mut daemon = self.place(id, epoch);
        daemon.prepare()?;
        write_private(&daemon.folder.join("keys.psk"), &format!("{}:{}\n", export.user, export.key))?;
        let words = [
            "--daemonize".to_owned(),
            format!(
                "--object=tls-creds-psk,id=epoch,endpoint=client,username={},dir={}",
                export.user,
                quoted(&daemon.folder)
            ),
            format!(
                "--blockdev=driver=nbd,node-name=disk,server.type=inet,server.host={},server.port={},\
                 server.keep-alive=on,export={},tls-creds=epoch,discard=unmap,reconnect-delay={}",
                quoted(Path::new(&self.host)),
                export.port,
                export.name,
                PATIENCE.as_secs()
            ),
            format!("--export=type=fuse,id=file,node-name=disk,writable=on,{}", daemon.mount_option()),
        ];
        let started = processes::start(PROGRAM, PACKAGE, &words, None, READY_WITHIN);
        daemon.process = daemon.find()?;
        match started {
            Ok(()) if daemon.is_up() => Ok(daemon),
            Ok(()) => {
                let detail = "the daemon runs, but shows no file";
                let failure = PortError::new(ErrorKind::Unavailable, "attach", format!("volume {id}"), detail);
                daemon.kill()?;
                Err(failure.advise("see whether the node's kernel has FUSE: ls /dev/fuse"))
            }
            Err(error) => {
                // One that still waits for its connection must not have it later.
                daemon.kill()?;
                Err(error)
            }
        }
    }
}

impl Daemon {
    /// The file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join("disk")
    }

    fn mount_option(&self) -> String {
        format!("mountpoint={}", quoted(&self.file()))
    }

    fn find(&self) -> Result<Option<Process>> {
        let option = self.mount_option();
        let ours = |words: &[String]| {
            words.iter().any(|word| word.split_once("writable=on,").is_some_and(|(_, end)| end == option))
        };
        Ok(processes::find(PROGRAM, ours)?.into_iter().next())
    }

    /// Makes the file that will be covered. Before Storage is asked for anything, so that an attach that is interrupted
    /// leaves something to be found.
    pub(crate) fn prepare(&self) -> Result<()> {
        private_folder(&self.folder)?;
        let made = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.file());
        made.map(drop).map_err(|error| failed("make", &self.file(), &error))
    }

    /// True if the process runs and the file is what it shows.
    pub(crate) fn is_up(&self) -> bool {
        self.process.is_some() && self.is_covered()
    }

    /// Whether it was started with this credential.
    pub(crate) fn knows(&self, export: &Exported) -> bool {
        let words = self.process.as_ref().map_or(&[][..], |process| &process.words);
        let has = |part: &str| words.iter().any(|word| word.split(',').any(|option| option == part));
        has(&format!("username={}", export.user)) && has(&format!("server.port={}", export.port))
    }

    fn is_covered(&self) -> bool {
        let file = self.file();
        // Never touches the file itself: that would wait for the storage host.
        fs::read_to_string("/proc/self/mountinfo")
            .unwrap_or_default()
            .lines()
            .any(|line| line.split(' ').nth(4).is_some_and(|target| Path::new(&target.replace("\\040", " ")) == file))
    }

    /// The loop device bound to the file; it stays bound while its file system is mounted in any namespace.
    pub(crate) fn loop_device(&self) -> Option<String> {
        let file = self.file();
        fs::read_dir("/sys/block").ok()?.filter_map(std::result::Result::ok).find_map(|device| {
            let backing = fs::read_to_string(device.path().join("loop/backing_file")).ok()?;
            let bound = Path::new(backing.trim_end_matches('\n')) == file;
            bound.then(|| format!("/dev/{}", device.file_name().to_string_lossy()))
        })
    }

    /// Ends the process at once: everything that waits for the storage host through it fails now.
    pub(crate) fn kill(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), Process::kill)
    }

    /// Ends the process, in good order if that can be.
    pub(crate) fn end_process(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |process| process.end(ENDED_WITHIN))
    }

    /// Ends the process, and removes what is left of it.
    pub(crate) fn end(&self) -> Result<()> {
        self.end_process()?;
        while self.is_covered() {
            // The process is gone, nothing can be written through this mount any more. So it may go lazily, unlike any
            // mount with a file system in it: somebody may still hold the dead file open.
            rustix::mount::unmount(self.file(), UnmountFlags::DETACH)
                .map_err(|error| failed("uncover", &self.file(), &error.into()))?;
        }
        let removed = done_if_gone(fs::remove_dir_all(&self.folder));
        removed.map(drop).map_err(|error| failed("remove", &self.folder, &error))
    }
}
