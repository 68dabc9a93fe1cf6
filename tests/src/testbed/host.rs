//! One host: namespaces of its own, a disk of its own, a cable to the switch. `faults` has what can be done to its network
//! and storage, `ending` ends its file systems as a loss of power does.

mod ending;
mod faults;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::disks;
use super::network::{Network, Way};
use super::process::{Process, tail};
use super::shell::{must, run};
use super::witness::{Kind, Storage, Witness};
use crate::eventually;

/// What the first process of a host does.
const INIT: &str = include_str!("init.sh");
/// Where a host sees the storage that it shares with the others.
pub const POOL: &str = "/pool";
/// Docker's socket inside a host.
const DOCKER: &str = "unix:///run/docker.sock";

/// A host. It runs while it has power.
pub struct Host {
    /// Its name, which is its host name too.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The run's name.
    run: String,
    network: Arc<Network>,
    witness: Arc<Witness>,
    kind: Kind,
    disk: PathBuf,
    logs: PathBuf,
    life: Mutex<Option<Life>>,
}

/// From power on to power off.
struct Life {
    /// Process 1, as the machine numbers it.
    pid: u32,
    /// `unshare`, which waits for process 1.
    outer: Child,
    /// The storage that it sees, if any.
    storage: Option<Storage>,
    docker: Option<Process>,
}

/// What a new host is.
pub(super) struct Plan<'a> {
    pub(super) name: &'a str,
    pub(super) address: String,
    pub(super) kind: Kind,
    pub(super) disk: PathBuf,
    pub(super) logs: PathBuf,
}

impl Host {
    /// A host that is plugged in and has no power yet.
    pub(super) fn new(run: &str, network: &Arc<Network>, witness: &Arc<Witness>, plan: Plan<'_>) -> Self {
        network.plug(plan.name, &plan.address);
        let place = disks::home().join(run).join(plan.name);
        std::fs::create_dir_all(place).expect("the host's mount point can be made");
        Self {
            name: plan.name.to_owned(),
            address: plan.address,
            run: run.to_owned(),
            network: Arc::clone(network),
            witness: Arc::clone(witness),
            kind: plan.kind,
            disk: plan.disk,
            logs: plan.logs,
            life: Mutex::default(),
        }
    }

    // Power.

    /// Starts it, on the disk as it was left; Docker is not started. It sees the shared storage at [`POOL`].
    ///
    /// # Panics
    /// If it runs already, or does not come up.
    pub fn power_on(&self) {
        let mut life = self.life.lock().expect("no panic while held");
        assert!(life.is_none(), "{} has power already", self.name);
        self.network.link(&self.name, true);
        let place = disks::home().join(&self.run).join(&self.name);
        let log = self.logs.join(format!("{}-init.log", self.name));
        let output = File::create(&log).expect("the log can be made");
        let mut command = Command::new("setsid");
        command.arg("nsenter").arg(format!("--net=/run/netns/{}", self.network.namespace(&self.name)));
        command.args(["unshare", "-m", "-p", "-f", "-u", "-i", "--propagation", "private", "--kill-child=KILL"]);
        command.args(["bash", "-c", INIT, "init", &self.name]).arg(&self.disk).arg(&place).arg(disks::workspace());
        command.stdin(Stdio::null()).stdout(output.try_clone().expect("a second handle")).stderr(output);
        let mut outer = command.spawn().expect("unshare can be run");
        let children = format!("/proc/{0}/task/{0}/children", outer.id());
        let pid = eventually(Duration::from_secs(20), "the host comes up", || {
            if let Ok(Some(status)) = outer.try_wait() {
                panic!("{} did not come up, {status}: {}", self.name, tail(&log));
            }
            let listed = std::fs::read_to_string(&children).unwrap_or_default();
            let pid: u32 = listed.trim().parse().map_err(|_| "no first process yet".to_owned())?;
            let ready = Path::new("/proc").join(pid.to_string()).join("root/run/ready").exists();
            if ready { Ok(pid) } else { Err(format!("not ready: {}", tail(&log))) }
        });
        let storage = self.witness.attach(&self.name, self.kind, pid);
        *life = Some(Life { pid, outer, storage, docker: None });
    }

    /// Takes its power away: what it had not flushed is lost, what it does from now on reaches nobody.
    ///
    /// The cable and the storage go first (operations that [`Self::hold_writes`] holds back are kept), then the file
    /// systems end without writing their journals, then everything is killed. Returns once nothing of it is left; only
    /// loop devices that do not go with their last mount (`losetup` without `--detach` after it) would stay.
    ///
    /// # Panics
    /// If it has no power, or something of it does not go.
    pub fn power_off(&self) {
        self.network.link(&self.name, false);
        let mut life = self.life.lock().expect("no panic while held").take().expect("the host has power");
        if let Some(storage) = &life.storage {
            storage.power_off();
        }
        let ending = ending::end_file_systems(life.pid);
        must(&["kill", "-9", &life.pid.to_string()]);
        let _ = life.outer.wait();
        for mut child in ending {
            let _ = child.wait();
        }
        drop(life);
        self.disk_is_let_go();
        self.network.lose_none(&self.name);
    }

    /// Shuts it down as an administrator does: Docker is asked to end, then everything else, and all is flushed.
    ///
    /// # Panics
    /// If it has no power.
    pub fn shut_down(&self) {
        let engine = self.with_life(|life| life.docker.take());
        if let Some(mut engine) = engine {
            engine.terminate();
        }
        let _ = self.run(&["sh", "-c", "kill -TERM -1; sleep 0.5; sync"]);
        let mut life = self.life.lock().expect("no panic while held").take().expect("the host has power");
        must(&["kill", "-9", &life.pid.to_string()]);
        let _ = life.outer.wait();
        drop(life);
        self.disk_is_let_go();
    }

    /// Waits until nothing of a host that has just lost its power uses its disk.
    fn disk_is_let_go(&self) {
        let part = format!("/{}", self.disk.strip_prefix(disks::pool()).expect("disks are in the pool").display());
        eventually(Duration::from_secs(20), "the dead host's disk is let go", || {
            let listed = run(&["losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE"])?;
            if listed.contains(&part) { Err(listed) } else { Ok(()) }
        });
    }

    /// True while it has power.
    pub fn has_power(&self) -> bool {
        self.life.lock().expect("no panic while held").is_some()
    }

    /// Its first process, as the machine numbers it: the root of its `/proc/<pid>/root`.
    ///
    /// # Panics
    /// If it has no power.
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.life.lock().expect("no panic while held").as_ref().expect("the host has power").pid
    }

    /// A path inside it, as the machine can open it.
    ///
    /// # Panics
    /// If it has no power.
    #[track_caller]
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root", self.pid())).join(inside.trim_start_matches('/'))
    }

    // Programs inside.

    /// A command that runs inside, once it is run.
    ///
    /// # Panics
    /// If the host has no power.
    #[track_caller]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid().to_string(), "-m", "-u", "-i", "-n", "-p"]).args(words);
        command.env_remove("DOCKER_HOST").stdin(Stdio::null());
        command
    }

    /// Runs a program inside to its end (at most two minutes). Yields its output, trimmed.
    ///
    /// # Errors
    /// The program and what it printed on its standard error.
    pub fn run(&self, words: &[&str]) -> Result<String, String> {
        let pid = self.life.lock().expect("no panic while held").as_ref().map(|life| life.pid);
        let pid = pid.ok_or_else(|| format!("{} has no power", self.name))?.to_string();
        run(&[&["nsenter", "-t", &pid, "-m", "-u", "-i", "-n", "-p"], words].concat())
    }

    /// Starts a program inside that goes on until it is killed or the power goes. Its output is in
    /// `<logs>/<host>-<name>.log`, after what a former one of this name wrote.
    ///
    /// # Panics
    /// If it cannot be started.
    #[track_caller]
    pub fn spawn(&self, name: &str, words: &[&str]) -> Process {
        self.spawn_command(name, self.command(words))
    }

    /// The same for a command of [`Self::command`], with what was set on it (its environment).
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn_command(&self, name: &str, mut command: Command) -> Process {
        let log = self.logs.join(format!("{}-{name}.log", self.name));
        let output = File::options().create(true).append(true).open(&log).expect("the log can be made");
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        Process::behind(command.spawn().expect("nsenter can be run"), &log)
    }

    /// Makes names resolve by these DNS servers, for programs that run inside.
    ///
    /// # Panics
    /// If the file cannot be written.
    pub fn resolve_by(&self, servers: &[&str]) {
        let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        let text = format!("{lines}options timeout:1 attempts:2\n");
        std::fs::write(self.path("/etc/resolv.conf"), text).expect("the host's resolv.conf can be written");
    }

    // Docker.

    /// Starts its Docker engine and waits until it answers. Volume plugins must be up before, or it asks them in vain
    /// for half a minute.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn start_docker(&self) {
        let parent = format!("/{}-{}", self.run, self.name);
        let words = ["dockerd", "--host", DOCKER, "--storage-driver", "overlay2", "--cgroup-parent", &parent];
        let process = self.spawn("dockerd", &words);
        let former = self.with_life(|life| life.docker.replace(process));
        drop(former);
        eventually(Duration::from_secs(60), "the Docker engine answers", || self.docker(&["version"]));
    }

    /// Acts on the engine's process: to kill, stop or continue it.
    ///
    /// # Panics
    /// If the engine was not started in this life of the host.
    #[track_caller]
    pub fn engine<T>(&self, act: impl FnOnce(&mut Process) -> T) -> T {
        self.with_life(|life| act(life.docker.as_mut().expect("the engine was started")))
    }

    /// True if its Docker engine ended by a fault of its own (a Go panic), as systemd would notice.
    pub fn engine_crashed(&self) -> bool {
        let mut life = self.life.lock().expect("no panic while held");
        let Some(engine) = life.as_mut().and_then(|life| life.docker.as_mut()) else { return false };
        !engine.runs() && std::fs::read_to_string(&engine.log).is_ok_and(|log| log.contains("\npanic: runtime error"))
    }

    /// Runs `docker` inside.
    ///
    /// # Errors
    /// What it printed on its standard error.
    pub fn docker(&self, arguments: &[&str]) -> Result<String, String> {
        self.run(&[&["docker", "--host", DOCKER], arguments].concat())
    }

    #[track_caller]
    fn with_life<T>(&self, act: impl FnOnce(&mut Life) -> T) -> T {
        act(self.life.lock().expect("no panic while held").as_mut().expect("the host has power"))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(life) = self.life.get_mut().ok().and_then(Option::take) {
            if let Some(storage) = &life.storage {
                storage.power_off();
            }
            let _ = run(&["kill", "-9", &life.pid.to_string()]);
            let mut outer = life.outer;
            let _ = outer.wait();
        }
    }
}
