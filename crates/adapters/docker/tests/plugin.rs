//! The agent as Docker's volume plugin, with a real Docker, real mounts, real containers. Everything made carries names
//! of this run alone and is removed at its end, also after a failure.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test against the real world")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_agent::{Agent, AgentPorts, AgentSettings, Alone};
use om_backend::fake::FakeControlPlane;
use om_backend::member_channel::Request;
use om_backend::{
    Clock, DeploymentSpec, DeploymentState, Entropy, ErrorKind, MemberChannel, MemberStatus, NodeAgent, Orchestrator,
    PortError, Result, Runtime, Tasks, VolumeProvider,
};
use om_docker::{DockerEngine, Settings};
use om_engines::MemberConfig;
use om_host::SystemHost;
use om_local::{Kind, LocalVolumes};
use om_model::{ByteSize, Epoch, Resources, Timestamp, VolumeId, VolumeRole, VolumeSizes};

struct Real(Instant);

#[async_trait]
impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(0)
    }
    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
    async fn sleep(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

impl Tasks for Real {
    fn spawn(&self, _: &'static str, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
}

impl Entropy for Real {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(7);
    }
}

struct Silent;

#[async_trait]
impl MemberChannel for Silent {
    async fn ask(&self, control: &Path, _: Request) -> Result<MemberStatus> {
        Err(PortError::new(ErrorKind::Unavailable, "ask", control.display(), "there is no program in this test"))
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A node with a plugin, volumes and an image of its own.
struct Node {
    name: String,
    image: String,
    state: tempfile::TempDir,
    control: FakeControlPlane,
    volumes: LocalVolumes,
    engine: DockerEngine,
    config: MemberConfig,
    serving: Option<tokio::task::JoinHandle<()>>,
}

impl Node {
    fn new() -> Self {
        let name = format!("test-plugin-{}", std::process::id());
        let image = format!("openmanage-test/{name}:1");
        let script = format!(
            "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; \
             for f in /bin/sh /bin/sleep /bin/cat /bin/ls $(ldd /bin/sh /bin/ls | grep -o '/[^ :)]*' | sort -u); do \
             mkdir -p $d$(dirname $f); cp -L $f $d$f; done; mkdir -p $d/etc $d/proc $d/tmp; \
             tar -C $d -c . | docker import - {image}"
        );
        assert!(Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap().success());
        let state = tempfile::tempdir().unwrap();
        let volumes = LocalVolumes::new(state.path().canonicalize().unwrap().join("volumes"), Kind::Images);
        let mut settings = Settings::new(name.parse().unwrap());
        settings.volume_driver = name.clone();
        settings.subnet = Some(format!("10.214.{}.0/24", std::process::id() % 256));
        let (config, control) = (config(), FakeControlPlane::default());
        control.add(config.clone());
        let engine = DockerEngine::new(settings);
        Self { name, image, state, control, volumes, engine, config, serving: None }
    }

    fn mounts(&self) -> PathBuf {
        self.state.path().canonicalize().unwrap().join("mnt")
    }

    fn socket(&self) -> PathBuf {
        Path::new("/run/docker/plugins").join(format!("{}.sock", self.name))
    }

    fn agent(&self) -> Agent {
        let real = Arc::new(Real(Instant::now()));
        let ports = AgentPorts {
            control: Arc::new(self.control.clone()),
            host: Arc::new(SystemHost::detect().unwrap()),
            volumes: Arc::new(self.volumes.clone()),
            channel: Arc::new(Silent),
            runtime: Runtime { clock: real.clone(), tasks: real.clone(), entropy: real },
            prober: Arc::new(Alone),
            voters: Arc::new(Alone),
        };
        let mounts = self.mounts();
        let program = "/bin/true".into();
        let state = self.state.path().to_owned();
        Agent::new(ports, AgentSettings { mounts, program, state, addresses: None, cluster: None })
    }

    /// Starts the agent, or another in its place.
    async fn serve(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _ = serving.await;
        }
        std::fs::create_dir_all("/run/docker/plugins").unwrap();
        let _ = std::fs::remove_file(self.socket());
        let listener = tokio::net::UnixListener::bind(self.socket()).unwrap();
        let router = self.agent().plugin_router();
        self.serving = Some(tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }));
    }

    fn spec(&self, name: &str) -> DeploymentSpec {
        // Appends to a file on the volume at each start, and refuses to run where the control folder is missing.
        let script = "trap 'exit 0' TERM; cat /data/.openmanage/member.json >/tmp/config || exit 9; \
                      echo started >> /data/starts; echo hello; while :; do sleep 0.1; done";
        DeploymentSpec {
            name: format!("{}-{name}", self.name),
            service: self.config.service_id.clone(),
            service_name: self.config.service.clone(),
            member: self.config.member.clone(),
            image: self.image.clone(),
            entrypoint: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            volumes: BTreeMap::from([
                ("/data".to_owned(), self.volume(VolumeRole::Data).to_string()),
                ("/journal".to_owned(), self.volume(VolumeRole::Journal).to_string()),
            ]),
            node: None,
            address: None,
            resources: Resources { memory: ByteSize::bytes(64 << 20), cpu_millis: None },
            stop_within: Duration::from_secs(10),
            shared_memory: 1 << 20,
        }
    }

    fn volume(&self, role: VolumeRole) -> VolumeId {
        VolumeId { service: self.config.service_id.clone(), member: self.config.member.clone(), role }
    }

    fn starts(&self, container: &str) -> usize {
        docker(&["exec", container, "/bin/cat", "/data/starts"]).lines().filter(|line| *line == "started").count()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let ours = docker(&["ps", "-aq", "--filter", &format!("name={}", self.name)]);
        for container in ours.split_whitespace() {
            docker(&["rm", "-fv", container]);
        }
        docker(&["network", "rm", &format!("openmanage-{}", self.name)]);
        docker(&["image", "rm", &self.image]);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let prefix = self.mounts().display().to_string();
        let mut left: Vec<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        left.retain(|target| target.starts_with(&prefix));
        left.sort_by_key(|target| std::cmp::Reverse(target.len()));
        for target in left {
            let _ = Command::new("umount").arg(target).status();
        }
        let _ = std::fs::remove_file(self.socket());
    }
}

fn config() -> MemberConfig {
    let size = ByteSize::bytes(64 << 20);
    MemberConfig {
        service_id: format!("{:032x}", std::process::id()).parse().unwrap(),
        service: "orders".parse().unwrap(),
        member: "orders-0".parse().unwrap(),
        index: 0,
        epoch: Epoch::NONE,
        engine: "postgresql".to_owned(),
        version: "15".to_owned(),
        address: "10.214.0.10".parse().unwrap(),
        peers: Vec::new(),
        primary: None,
        resources: Resources { memory: size, cpu_millis: None },
        volumes: VolumeSizes { data: size, journal: Some(size) },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        configuration: 1,
    }
}

async fn until(what: &str, mut good: impl FnMut() -> bool) {
    for _ in 0..100 {
        if good() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not within ten seconds: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_lives_on_our_volumes() {
    let mut node = Node::new();
    node.serve().await;
    let (data, journal) = (node.volume(VolumeRole::Data), node.volume(VolumeRole::Journal));
    for volume in [&data, &journal] {
        node.volumes.create(volume, ByteSize::bytes(64 << 20)).await.unwrap();
    }
    node.engine.network().await.unwrap();
    let spec = node.spec("one");
    node.engine.create(&spec).await.unwrap();
    node.engine.start(&spec.name).await.unwrap();
    until("it has started", || node.starts(&spec.name) == 1).await;

    // The control folder is there, and so is the program, which cannot be written to.
    let listed = docker(&["exec", &spec.name, "/bin/ls", "/data/.openmanage", "/journal"]);
    assert!(listed.contains("openmanage-member") && listed.contains("lost+found"), "{listed}");
    let written = docker(&["exec", &spec.name, "/bin/sh", "-c", "echo x > /data/.openmanage/openmanage-member"]);
    assert!(written.contains("Read-only"), "{written}");

    // Another agent in its place: the container does not notice, and the volume is still taken.
    node.serve().await;
    let second = node.spec("two");
    node.engine.create(&second).await.unwrap();
    let error = node.engine.start(&second.name).await.unwrap_err();
    assert!(error.detail.contains("another container has it mounted"), "{error}");
    let released = node.agent().release(&data.service, &data.member).await.unwrap_err();
    assert_eq!(released.kind, ErrorKind::Refused, "{released}");
    node.engine.remove(&second.name).await.unwrap();
    assert_eq!(node.starts(&spec.name), 1, "and goes on undisturbed");

    // Killed, it comes back on the same data, under the same epoch.
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &spec.name]);
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    until("it has started again", || node.starts(&spec.name) == 2).await;
    assert!(node.mounts().join(format!("{data}.e1")).exists());

    // Stopped, nothing is mounted; started again it finds its data.
    node.engine.stop(&spec.name).await.unwrap();
    assert_eq!(std::fs::read_dir(node.mounts()).unwrap().count(), 0, "an Unmount leaves nothing");
    node.engine.start(&spec.name).await.unwrap();
    until("it has started a third time", || node.starts(&spec.name) == 3).await;
    assert_eq!(node.engine.list(None).await.unwrap()[0].state, DeploymentState::Running);

    // Gone without a trace, Docker's own list of volumes included.
    node.engine.remove(&spec.name).await.unwrap();
    node.agent().release(&data.service, &data.member).await.unwrap();
    assert!(!docker(&["volume", "ls", "-q"]).contains(data.service.as_str()));
    node.volumes.delete(&data).await.unwrap();
    node.volumes.delete(&journal).await.unwrap();
    node.engine.teardown().await.unwrap();
}
