//! The export processes: one `qemu-nbd` per volume and epoch. Blocking.
//!
//! `<volume>/e<n>/` holds the credential (`keys.psk`) and `export.json` (its port, and the life of the host in which it was
//! made). The process names volume and epoch in its words; there it is found again.
//!
//! A process that has ended (somebody killed it) is started anew under the same port and credential, and the node's daemon
//! goes on where it was: the kernel still has all that the process had acknowledged. Not so after a restart of the host,
//! which may have lost what nobody had flushed: then the credential is dropped, and the member has to be mounted again.
//!
//! **Invariant:** a credential is removed before its process is looked for and killed. A process that is only just
//! starting then finds no key, or it is found.

use std::fs;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use om_backend::{ErrorKind, PortError, Result};
use om_model::{Epoch, VolumeId};
use rustix::net::sockopt;
use serde::{Deserialize, Serialize};

use crate::line::Exported;
use crate::os::{done_if_gone, failed, names, private_folder, random, read, sync_folder, write_private};
use crate::pool::Pool;
use crate::processes::{self, Process};

const PROGRAM: &str = "qemu-nbd";
const PACKAGE: &str = "qemu-utils";
/// The group ffdhe2048 of RFC 7919. Without one QEMU draws its own at each start, which takes it up to a second.
const GROUP: &str = include_str!("ffdhe2048.pem");
const READY_WITHIN: Duration = Duration::from_secs(10);
/// How often the kernel asks a silent client whether it is there, and after which silence it gives the connection up. The
/// node's daemon then makes another and repeats what was not answered.
const PROBE_EVERY: Duration = Duration::from_secs(5);
const SILENT_FOR: Duration = Duration::from_secs(30);

/// Where exports are served.
#[derive(Clone, Debug)]
pub(crate) struct Exports {
    pub(crate) pool: Pool,
    pub(crate) listen: IpAddr,
    pub(crate) ports: RangeInclusive<u16>,
}

/// `export.json`.
#[derive(Serialize, Deserialize)]
struct Record {
    port: u16,
    /// The kernel's boot id.
    life: String,
}

fn life() -> Result<String> {
    Ok(read("/proc/sys/kernel/random/boot_id".as_ref())?.unwrap_or_default().trim().to_owned())
}

/// A comma ends a value in QEMU's options, two are one.
pub(crate) fn quoted(path: &std::path::Path) -> String {
    path.display().to_string().replace(',', ",,")
}

impl Exports {
    fn folder(&self, id: &VolumeId, epoch: Epoch) -> PathBuf {
        self.pool.folder(id).join(format!("e{epoch}"))
    }

    /// The epochs that have a folder.
    fn epochs(&self, id: &VolumeId) -> Result<Vec<Epoch>> {
        let names = names(&self.pool.folder(id))?;
        Ok(names.iter().filter_map(|name| name.strip_prefix('e')?.parse().ok().map(Epoch::new)).collect())
    }

    /// The running processes of a volume, with their epochs.
    fn running(&self, id: &VolumeId) -> Result<Vec<(Epoch, Process)>> {
        let image = self.pool.image(id).display().to_string();
        let found = processes::find(PROGRAM, |words| words.last() == Some(&image))?;
        let prefix = format!("--export-name={id}.e");
        let with_epoch = |process: Process| {
            let epoch = process.words.iter().find_map(|word| word.strip_prefix(&prefix)?.parse().ok());
            // Somebody else's process on our image: of no epoch, so it ends with the lowest.
            (Epoch::new(epoch.unwrap_or(0)), process)
        };
        Ok(found.into_iter().map(with_epoch).collect())
    }

    /// True while an export of the volume runs.
    pub(crate) fn any(&self, id: &VolumeId) -> Result<bool> {
        Ok(!self.running(id)?.is_empty())
    }

    /// The export of an epoch, if there is one.
    pub(crate) fn find(&self, id: &VolumeId, epoch: Epoch) -> Result<Option<Exported>> {
        let folder = self.folder(id, epoch);
        let (Some(record), Some(keys)) = (read(&folder.join("export.json"))?, read(&folder.join("keys.psk"))?) else {
            return Ok(None);
        };
        let (Ok(record), Some((user, key))) = (serde_json::from_str::<Record>(&record), keys.trim().split_once(':'))
        else {
            return Ok(None);
        };
        let (user, key) = (user.to_owned(), key.to_owned());
        let export = Exported { port: record.port, name: format!("{id}.e{epoch}"), user, key };
        Ok((record.life == life()?).then_some(export))
    }

    /// Starts the export of an epoch, or starts it anew: the node that asks has no daemon that uses it, at most a dead
    /// connection that would keep its next one out.
    pub(crate) fn start(&self, id: &VolumeId, epoch: Epoch) -> Result<Exported> {
        for (found, process) in self.running(id)? {
            if found > epoch {
                let detail = format!("epoch {epoch} is over: epoch {found} has it");
                return Err(PortError::new(ErrorKind::Refused, "attach", format!("volume {id}"), detail));
            }
            process.kill()?;
        }
        let known = self.find(id, epoch)?;
        if known.is_none() {
            self.forget(id, epoch)?;
            private_folder(&self.folder(id, epoch))?;
            let (user, key) = (random::<8>()?, random::<32>()?);
            write_private(&self.folder(id, epoch).join("dh-params.pem"), GROUP)?;
            write_private(&self.folder(id, epoch).join("keys.psk"), &format!("{user}:{key}\n"))?;
        }
        let first = known.map_or_else(|| self.some_port(), |export| Ok(export.port))?;
        let (low, high) = (*self.ports.start(), *self.ports.end());
        for port in (first..=high).chain(low..first) {
            if let Some(socket) = self.listen_at(port)? {
                return self.start_at(id, epoch, port, socket);
            }
        }
        let detail = format!("every port from {low} to {high} is taken");
        Err(PortError::new(ErrorKind::Exhausted, "export", format!("volume {id}"), detail)
            .advise("give the storage host a wider range of ports"))
    }

    /// A socket for an export to listen at, unless the port is taken. We make it, since `qemu-nbd` lets Nagle's algorithm
    /// hold every reply to a read back for 40 ms, and waits forever for a client that went away without a word, which
    /// would keep its next connection out. Connections inherit what is set here.
    fn listen_at(&self, port: u16) -> Result<Option<TcpListener>> {
        let subject = format!("port {port} of {}", self.listen);
        let wrong = |error: io::Error| PortError::new(ErrorKind::Unavailable, "listen at", &subject, error);
        let socket = match TcpListener::bind((self.listen, port)) {
            Ok(socket) => socket,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(error) => return Err(wrong(error)),
        };
        socket.set_nonblocking(true).map_err(wrong)?;
        let set = || {
            sockopt::set_tcp_nodelay(&socket, true)?;
            sockopt::set_socket_keepalive(&socket, true)?;
            sockopt::set_tcp_keepidle(&socket, PROBE_EVERY)?;
            sockopt::set_tcp_keepintvl(&socket, PROBE_EVERY)?;
            sockopt::set_tcp_user_timeout(&socket, u32::try_from(SILENT_FOR.as_millis()).unwrap_or(u32::MAX))
        };
        set().map_err(|error| wrong(error.into()))?;
        Ok(Some(socket))
    }

    /// Where to begin to look for a free port: ports are best not used again soon.
    fn some_port(&self) -> Result<u16> {
        let draw = u32::from_str_radix(&random::<3>()?, 16).unwrap_or(0);
        let count = u32::from(self.ports.end() - self.ports.start()) + 1;
        Ok(self.ports.start() + u16::try_from(draw % count).unwrap_or(0))
    }

    fn start_at(&self, id: &VolumeId, epoch: Epoch, port: u16, socket: TcpListener) -> Result<Exported> {
        let folder = self.folder(id, epoch);
        let record = serde_json::to_string(&Record { port, life: life()? }).expect("a number and a text are JSON");
        write_private(&folder.join("export.json"), &record)?;
        // writeback: what is not flushed may be in this host's memory, a flush is an fsync of the image.
        let words = [
            "--fork".to_owned(),
            "--persistent".to_owned(),
            "--shared=1".to_owned(),
            "--format=raw".to_owned(),
            "--cache=writeback".to_owned(),
            "--discard=unmap".to_owned(),
            format!("--object=tls-creds-psk,id=epoch,endpoint=server,dir={}", quoted(&folder)),
            "--tls-creds=epoch".to_owned(),
            format!("--export-name={id}.e{epoch}"),
            self.pool.image(id).display().to_string(),
        ];
        processes::start(PROGRAM, PACKAGE, &words, Some(socket), READY_WITHIN)?;
        let lost = || PortError::new(ErrorKind::Unavailable, "export", format!("volume {id}"), "its key has gone");
        self.find(id, epoch)?.ok_or_else(lost)
    }

    fn forget(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        let folder = self.folder(id, epoch);
        let removed = done_if_gone(fs::remove_dir_all(&folder)).and_then(|_| sync_folder(&self.pool.folder(id)));
        removed.map_err(|error| failed("remove", &folder, &error))
    }

    /// Ends the exports of an epoch and of lower ones.
    pub(crate) fn end(&self, id: &VolumeId, epoch: Epoch) -> Result<()> {
        for over in self.epochs(id)?.into_iter().filter(|found| *found <= epoch) {
            self.forget(id, over)?;
        }
        for (_, process) in self.running(id)?.into_iter().filter(|(found, _)| *found <= epoch) {
            process.kill()?;
        }
        Ok(())
    }

    /// Starts what should run and does not; drops what a restart of the host has made unsafe to go on with.
    pub(crate) fn mend(&self, id: &VolumeId) -> Result<()> {
        let (floor, running) = (self.pool.floor(id)?, self.running(id)?);
        for epoch in self.epochs(id)? {
            match self.find(id, epoch)? {
                Some(_) if running.iter().any(|(found, _)| *found == epoch) => {}
                Some(export) if epoch >= floor => {
                    let taken =
                        || PortError::new(ErrorKind::Unavailable, "listen at", export.port, "the port is taken");
                    let socket = self.listen_at(export.port)?.ok_or_else(taken)?;
                    self.start_at(id, epoch, export.port, socket)?;
                }
                _ => self.forget(id, epoch)?,
            }
        }
        Ok(())
    }
}
