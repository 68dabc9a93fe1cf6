//! The orchestrator against a real Swarm: Docker daemons in namespaces of their own, so that the machine's Docker stays
//! out of any Swarm. Everything ends with the daemons, also after a failure.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test against the real world")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use om_backend::{Deployment, DeploymentSpec, DeploymentState, ErrorKind, Network, Orchestrator, conformance};
use om_model::{ByteSize, Resources};
use om_swarm::{Settings, SwarmOrchestrator};

static NEXT: AtomicU32 = AtomicU32::new(0);
const IMAGE: &str = "openmanage-test/shell:1";

/// Runs as PID 1 of the host: its own name, /proc, /run, and places of its own where Docker keeps things.
const HOST: &str = r#"
set -e
hostname "$NAME"
mount -t proc proc /proc
mkdir -p /etc/docker /var/lib/docker
mount --bind "$FOLDER/etc" /etc/docker
mount --bind "$FOLDER/data" /var/lib/docker
mount -t tmpfs tmpfs /run
ip link set lo up
dockerd --host "unix://$FOLDER/docker.sock" --cgroup-parent "/$NAME" --bridge none &
wait
"#;

/// What a container needs to run a shell script, as an image of a few megabytes.
const IMPORT: &str = r#"
set -e
root=$(mktemp -d); trap 'rm -rf "$root"' EXIT
for file in /bin/sh /bin/sleep /bin/cat /bin/df $(ldd /bin/sh /bin/sleep /bin/cat /bin/df | grep -o '/[^ :)]*' | grep -v : | sort -u); do
  mkdir -p "$root$(dirname "$file")"; cp -L "$file" "$root$file"
done
mkdir -p "$root/etc" "$root/proc" "$root/tmp"
tar -C "$root" -c . | docker import - "$IMAGE"
"#;

/// A host of its own with a Docker daemon.
struct Host {
    name: String,
    folder: tempfile::TempDir,
    init: Child,
}

impl Host {
    fn start() -> Self {
        let name = format!("swarm-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = tempfile::tempdir().unwrap();
        for part in ["etc", "data"] {
            std::fs::create_dir(folder.path().join(part)).unwrap();
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--propagation", "private"]);
        unshare.args(["--kill-child=KILL", "sh", "-c", HOST]);
        unshare.env("NAME", &name).env("FOLDER", folder.path()).stdin(Stdio::null());
        let init = unshare.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let host = Self { name, folder, init };
        let begun = Instant::now();
        while !host.docker(&["version"]).contains("Server") {
            let said = || std::fs::read_to_string(host.folder.path().join("log")).unwrap();
            assert!(begun.elapsed() < Duration::from_secs(60), "Docker did not start:\n{}", said());
            std::thread::sleep(Duration::from_millis(100));
        }
        host
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_HOST", format!("unix://{}", self.socket().display())).env("IMAGE", IMAGE);
        command
    }

    fn docker(&self, arguments: &[&str]) -> String {
        let output = self.command("docker").args(arguments).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Its Swarm, with an image to run.
    fn swarm(&self) -> SwarmOrchestrator {
        self.swarm_at("127.0.0.1")
    }

    fn swarm_at(&self, address: &str) -> SwarmOrchestrator {
        let said = self.docker(&["swarm", "init", "--advertise-addr", address]);
        assert!(said.contains("is now a manager"), "{said}");
        self.import();
        self.orchestrator()
    }

    fn import(&self) {
        assert!(self.command("sh").args(["-c", IMPORT]).stdout(Stdio::null()).status().unwrap().success());
    }

    /// The process that is PID 1 inside.
    fn init(&self) -> String {
        let unshare = self.init.id();
        std::fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap().trim().to_owned()
    }

    /// Runs `ip` in its network.
    fn ip(&self, arguments: &str) {
        let mut enter = Command::new("nsenter");
        enter.args(["--net", "--target", &self.init(), "ip"]).args(arguments.split(' '));
        assert!(enter.status().unwrap().success(), "ip {arguments}");
    }

    /// Joins the Swarm of `manager` over a cable to it.
    fn join(&self, manager: &Self) {
        // The manager's address is on a bridge, which stays when the cable goes.
        manager.ip("link add name lan type bridge");
        manager.ip("addr add 10.215.0.1/24 dev lan");
        manager.ip(&format!("link add name port type veth peer name eth0 netns {}", self.init()));
        manager.ip("link set port master lan up");
        manager.ip("link set lan up");
        self.ip("addr add 10.215.0.2/24 dev eth0");
        self.ip("link set eth0 up");
    }

    fn orchestrator(&self) -> SwarmOrchestrator {
        let network = Network { subnet: ("127.0.0.0".parse().unwrap(), 8), gateway: "127.0.0.1".parse().unwrap() };
        let mut settings = Settings::new("test".parse().unwrap(), network);
        settings.socket = self.socket();
        settings.volume_driver = "local".to_owned();
        SwarmOrchestrator::new(settings)
    }

    fn spec(&self, name: &str) -> DeploymentSpec {
        let script = "trap 'exit 0' TERM; echo started >> /data/starts; echo hello; while :; do sleep 0.1; done";
        DeploymentSpec {
            name: name.to_owned(),
            service: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            service_name: "orders".parse().unwrap(),
            member: "orders-0".parse().unwrap(),
            image: IMAGE.to_owned(),
            entrypoint: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            volumes: BTreeMap::from([("/data".to_owned(), format!("{name}-data"))]),
            node: Some(self.name.parse().unwrap()),
            address: None,
            resources: Resources { memory: ByteSize::bytes(64 << 20), cpu_millis: Some(500) },
            stop_within: Duration::from_secs(10),
            shared_memory: 3 << 20,
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // With PID 1 of its namespace everything in it ends, mounts included.
        let _ = self.init.kill();
        let _ = self.init.wait();
        // Empty once the last process is gone; `-depth` takes the innermost first.
        let groups = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &format!("*/{}*", self.name), "-delete"];
        for _ in 0..50 {
            let _ = Command::new("find").args(groups).stderr(Stdio::null()).status();
            let left = Command::new("find").args(&groups[..groups.len() - 1]).output().unwrap();
            if left.stdout.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// The deployment, once it is as wanted.
async fn until(swarm: &SwarmOrchestrator, name: &str, what: &str, good: impl Fn(&Deployment) -> bool) -> Deployment {
    let begun = Instant::now();
    loop {
        let found = swarm.list(None).await.unwrap();
        if let Some(found) = found.iter().find(|found| found.name == name && good(found)) {
            return found.clone();
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "not in time: {what}; {found:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn running(deployment: &Deployment) -> bool {
    deployment.state == DeploymentState::Running
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let host = Host::start();
    let spec = |_: &Network, image: String| DeploymentSpec { image, ..host.spec("orders-0-01234567") };
    conformance::orchestrator::suite(&host.swarm(), IMAGE, &spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_tasks() {
    let host = Host::start();
    let spec = |_: &Network, name: &str, script: &str| DeploymentSpec {
        entrypoint: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        ..host.spec(name)
    };
    let swarm = host.swarm();
    conformance::orchestrator::tasks(&swarm, &spec).await;
    let mut broken = spec(&swarm.network().await.unwrap(), "task-three", "true");
    broken.image = "openmanage-test/absent:1".to_owned();
    let error = swarm.run_task(&broken, Duration::from_secs(60)).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.detail.contains("No such image"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manager_is_needed_and_its_nodes_are_known() {
    let host = Host::start();
    let outside = host.orchestrator();
    let refused = outside.network().await.unwrap_err();
    assert!(refused.kind == ErrorKind::Refused && refused.to_string().contains("docker swarm init"), "{refused}");
    let error = outside.list(None).await.unwrap_err();
    assert!(error.kind == ErrorKind::Unavailable && error.next.is_some(), "{error}");

    let swarm = host.swarm();
    assert_eq!(outside.network().await.unwrap(), swarm.network().await.unwrap(), "found out anew");
    let node = || async { swarm.nodes().await.unwrap().pop().unwrap() };
    let found = node().await;
    assert_eq!((found.id.as_str(), found.schedulable, found.ready), (host.name.as_str(), true, true));
    assert_eq!(found.zone, None);
    host.docker(&["node", "update", "--availability", "drain", "--label-add", "openmanage.zone=a", &host.name]);
    let found = node().await;
    assert_eq!((found.zone.as_deref(), found.schedulable, found.ready), (Some("a"), false, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_left_alone() {
    let host = Host::start();
    let swarm = host.swarm();
    let spec = host.spec("taken");
    host.docker(&["service", "create", "--detach", "--name", "taken", "--replicas", "0", "--no-resolve-image", IMAGE]);
    for refused in [swarm.create(&spec).await, swarm.start("taken").await, swarm.stop("taken").await] {
        let error = refused.unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.next.is_some(), "{error}");
    }
    assert_eq!(swarm.remove("taken").await.unwrap_err().kind, ErrorKind::Refused);
    assert!(swarm.list(None).await.unwrap().is_empty());
    swarm.teardown().await.expect("nothing of ours is left");
    assert_eq!(host.docker(&["service", "ls", "--format", "{{.Name}}"]).trim(), "taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_ends_is_back_at_once_and_what_hinders_it_is_told() {
    let host = Host::start();
    let swarm = host.swarm();
    let name = format!("{}-01234567", "orders".repeat(10));
    let mut spec = host.spec(&name);
    assert!(name.len() > 63, "longer than Swarm allows");
    spec.entrypoint = vec!["/no/such/program".to_owned()];
    swarm.create(&spec).await.unwrap();
    swarm.start(&name).await.unwrap();
    let failed = until(&swarm, &name, "the failure is told", |found| found.error.is_some()).await;
    assert!(failed.error.unwrap().contains("no such file"), "in Docker's words");
    assert_eq!(failed.state, DeploymentState::Restarting);

    swarm.create(&host.spec(&name)).await.expect("another spec, another attempt");
    swarm.start(&name).await.unwrap();
    let first = until(&swarm, &name, "it runs", running).await;
    assert_eq!((first.name.as_str(), first.node.as_ref().unwrap().as_str()), (name.as_str(), host.name.as_str()));
    let container = first.container.clone().unwrap();
    let memory = host.docker(&["exec", &container, "/bin/df", "-k", "/dev/shm"]);
    assert!(memory.contains(" 3072 "), "shared memory of the size asked for: {memory}");
    assert_eq!(host.docker(&["exec", &container, "/bin/cat", "/proc/sys/kernel/hostname"]).trim(), "orders-0");

    let begun = Instant::now();
    host.docker(&["kill", &container]);
    let other = |found: &Deployment| running(found) && found.container != first.container;
    let second = until(&swarm, &name, "it runs again", other).await;
    let away = begun.elapsed();
    assert!(away < Duration::from_secs(4), "not after Swarm's five seconds: {away:?}");
    let starts = host.docker(&["exec", second.container.as_deref().unwrap(), "/bin/cat", "/data/starts"]);
    assert_eq!(starts.lines().count(), 2, "on the same volume: {starts}");
    let lines: Vec<_> = swarm.logs(&name, 10, false).await.unwrap().collect().await;
    assert_eq!(
        lines.iter().filter(|line| line.as_ref().is_ok_and(|line| line.text == "hello")).count(),
        2,
        "{lines:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_do_the_same_at_the_same_time_do_not_hinder_one_another() {
    let host = Host::start();
    let swarms: Vec<_> = [host.swarm()].into_iter().chain((0..4).map(|_| host.orchestrator())).collect();
    let spec = host.spec("orders-0-01234567");
    let all = |results: Vec<om_backend::Result<()>>| results.into_iter().collect::<om_backend::Result<()>>().unwrap();
    all(join_all(swarms.iter().map(|swarm| swarm.create(&spec))).await);
    for _ in 0..3 {
        all(join_all(swarms.iter().map(|swarm| swarm.start(&spec.name))).await);
        until(&swarms[0], &spec.name, "it runs", running).await;
        all(join_all(swarms.iter().map(|swarm| swarm.stop(&spec.name))).await);
        assert_eq!(swarms[0].list(None).await.unwrap()[0].state, DeploymentState::Stopped);
    }
    all(join_all(swarms.iter().map(|swarm| swarm.remove(&spec.name))).await);
}

/// The heart of a move: nothing waits for a node that was powered off, nor for the Swarm to notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_successor_runs_before_the_swarm_has_noticed_the_loss() {
    let (manager, mut worker) = (Host::start(), Host::start());
    worker.join(&manager);
    let swarm = manager.swarm_at("10.215.0.1");
    let token = manager.docker(&["swarm", "join-token", "--quiet", "worker"]);
    let said = worker.docker(&["swarm", "join", "--token", token.trim(), "10.215.0.1:2377"]);
    assert!(said.contains("joined a swarm"), "{said}");
    worker.import();
    let lost = worker.spec("orders-0-01234567");
    swarm.create(&lost).await.unwrap();
    swarm.start(&lost.name).await.unwrap();
    let other = worker.spec("orders-1-01234567");
    swarm.create(&other).await.unwrap();
    swarm.start(&other.name).await.unwrap();
    until(&swarm, &other.name, "the other runs", running).await;
    let before = until(&swarm, &lost.name, "it runs", running).await;
    assert_eq!(before.node.unwrap().as_str(), worker.name);

    // The cable first: a machine without power says no goodbyes.
    manager.ip("link set port down");
    worker.init.kill().unwrap();
    let begun = Instant::now();
    let next = DeploymentSpec { name: format!("{}-e1", lost.name), ..manager.spec("orders-0-01234567") };
    swarm.create(&next).await.unwrap();
    swarm.start(&next.name).await.unwrap();
    swarm.remove(&lost.name).await.unwrap();
    let answered = begun.elapsed();
    let after = until(&swarm, &next.name, "its successor runs", running).await;
    let ran = begun.elapsed();
    let nodes = swarm.nodes().await.unwrap();
    assert!(nodes.len() == 2 && nodes.iter().all(|node| node.ready), "the Swarm knows nothing yet: {nodes:?}");
    assert_eq!((after.name, after.node.unwrap().as_str()), (next.name.clone(), manager.name.as_str()));
    println!("answered after {answered:?}, ran after {ran:?}");
    assert!(answered < Duration::from_secs(2), "{answered:?}");

    // A stop waits for the container of a node that the Swarm believes in, and no longer than that.
    swarm.stop(&other.name).await.expect("done, since the node is down");
    assert!(swarm.nodes().await.unwrap().iter().any(|node| !node.ready), "the Swarm has noticed");
    assert_eq!(until(&swarm, &other.name, "it is listed", |_| true).await.state, DeploymentState::Stopped);
    println!("noticed after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_of_a_node_that_is_not_there_hinders_nobody() {
    let host = Host::start();
    let swarm = host.swarm();
    let mut spec = host.spec("orders-0-01234567");
    spec.node = Some("elsewhere".parse().unwrap());
    swarm.create(&spec).await.unwrap();
    swarm.start(&spec.name).await.unwrap();
    let waiting = until(&swarm, &spec.name, "the Swarm says why", |found| found.error.is_some()).await;
    assert!(waiting.error.unwrap().contains("no suitable node"));
    assert_eq!(waiting.node.unwrap().as_str(), "elsewhere");
    let begun = Instant::now();
    swarm.stop(&spec.name).await.unwrap();
    let next = DeploymentSpec { name: format!("{}-e1", spec.name), ..host.spec("orders-0-01234567") };
    swarm.create(&next).await.unwrap();
    swarm.start(&next.name).await.unwrap();
    swarm.remove(&spec.name).await.unwrap();
    until(&swarm, &next.name, "its successor runs", running).await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
