//! The engine against a real Docker. Everything made carries names of this run alone and is removed at its end, also
//! after a failure.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test against the real world")]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use om_backend::{DeploymentSpec, ErrorKind, Network, Orchestrator};
use om_docker::{DockerEngine, Settings};
use om_model::{ByteSize, Resources};

static NEXT: AtomicU32 = AtomicU32::new(0);

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A cluster of this test alone, with an image of a few megabytes: a shell and what it needs.
struct Cluster {
    name: String,
    image: String,
    subnet: String,
}

impl Cluster {
    fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let subnet = format!("10.213.{}.0/24", (std::process::id() * 4 + number) % 256);
        let image = format!("openmanage-test/{name}:1");
        let script = format!(
            "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; \
             for f in /bin/sh /bin/sleep /bin/cat $(ldd /bin/sh /bin/sleep /bin/cat | grep -o '/[^ :)]*' | sort -u); do \
             mkdir -p $d$(dirname $f); cp -L $f $d$f; done; mkdir -p $d/etc $d/proc $d/tmp; \
             tar -C $d -c . | docker import -c 'VOLUME /anonymous' - {image}"
        );
        assert!(Command::new("sh").args(["-c", &script]).stdout(Stdio::null()).status().unwrap().success());
        Self { name, image, subnet }
    }

    fn engine(&self) -> DockerEngine {
        let mut settings = Settings::new(self.name.parse().unwrap());
        settings.subnet = Some(self.subnet.clone());
        DockerEngine::new(settings)
    }

    fn spec(&self, network: &Network, name: &str) -> DeploymentSpec {
        let std::net::IpAddr::V4(first) = network.subnet.0 else { panic!("an IPv4 network") };
        let script = "trap 'exit 0' TERM; echo hello; while :; do sleep 0.1; done";
        DeploymentSpec {
            name: format!("{}-{name}", self.name),
            service: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            service_name: "orders".parse().unwrap(),
            member: "orders-0".parse().unwrap(),
            image: self.image.clone(),
            entrypoint: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            volumes: BTreeMap::new(),
            node: None,
            address: Some(std::net::Ipv4Addr::from(u32::from(first) + 10).into()),
            resources: Resources { memory: ByteSize::bytes(64 << 20), cpu_millis: Some(500) },
            stop_within: Duration::from_secs(10),
            shared_memory: 1 << 20,
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let ours = docker(&["ps", "-aq", "--filter", &format!("name={}", self.name)]);
        for container in ours.split_whitespace() {
            docker(&["rm", "-fv", container]);
        }
        docker(&["network", "rm", &format!("openmanage-{}", self.name)]);
        docker(&["image", "rm", &self.image]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let cluster = Cluster::new();
    let spec = |network: &Network, image: String| {
        let mut spec = cluster.spec(network, "one");
        spec.image = image;
        spec
    };
    om_backend::conformance::orchestrator::suite(&cluster.engine(), &cluster.image, &spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_tasks() {
    let cluster = Cluster::new();
    let spec = |network: &Network, name: &str, script: &str| DeploymentSpec {
        address: None,
        entrypoint: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
        ..cluster.spec(network, name)
    };
    om_backend::conformance::orchestrator::tasks(&cluster.engine(), &spec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_volumes_go_with_their_container() {
    let cluster = Cluster::new();
    let engine = cluster.engine();
    let spec = cluster.spec(&engine.network().await.unwrap(), "anonymous");
    engine.create(&spec).await.unwrap();
    let volume = docker(&["inspect", "-f", "{{range .Mounts}}{{.Name}}{{end}}", &spec.name]);
    assert!(docker(&["volume", "ls", "-q"]).contains(volume.trim()) && volume.trim().len() == 64, "{volume}");
    engine.remove(&spec.name).await.unwrap();
    assert!(!docker(&["volume", "ls", "-q"]).contains(volume.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_left_alone() {
    let cluster = Cluster::new();
    let engine = cluster.engine();
    let spec = cluster.spec(&engine.network().await.unwrap(), "taken");
    docker(&["create", "--name", &spec.name, "--entrypoint", "/bin/sh", &cluster.image]);
    for refused in [engine.create(&spec).await, engine.start(&spec.name).await, engine.stop(&spec.name).await] {
        let error = refused.unwrap_err();
        assert!(error.kind == ErrorKind::Refused && error.next.is_some(), "{error}");
    }
    assert_eq!(engine.remove(&spec.name).await.unwrap_err().kind, ErrorKind::Refused);
    assert!(engine.list(None).await.unwrap().is_empty());
    assert!(docker(&["ps", "-a", "--format", "{{.Names}}"]).lines().any(|name| name == spec.name));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crashed_container_comes_back_and_a_failed_start_can_be_repeated() {
    let cluster = Cluster::new();
    let engine = cluster.engine();
    let network = engine.network().await.unwrap();
    let mut spec = cluster.spec(&network, "crash");
    spec.entrypoint = vec!["/no/such/program".to_owned()];
    engine.create(&spec).await.unwrap();
    engine.start(&spec.name).await.expect_err("there is no such program");
    assert!(engine.list(None).await.unwrap()[0].error.is_some(), "and Docker's words are handed on");

    let spec = cluster.spec(&network, "crash");
    engine.create(&spec).await.unwrap();
    engine.start(&spec.name).await.expect("another spec, another attempt");
    let pid = docker(&["inspect", "-f", "{{.State.Pid}}", &spec.name]);
    assert!(Command::new("kill").args(["-9", pid.trim()]).status().unwrap().success());
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = docker(&["inspect", "-f", "{{.State.Running}} {{.State.Pid}}", &spec.name]);
        if now.starts_with("true") && !now.trim().ends_with(&format!(" {}", pid.trim())) {
            return;
        }
    }
    panic!("it was not started again");
}

#[tokio::test]
async fn without_docker_there_is_advice() {
    let mut settings = Settings::new("test".parse().unwrap());
    settings.socket = "/nonexistent/docker.sock".into();
    let error = DockerEngine::new(settings).list(None).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.next.unwrap().contains("start docker"));
}

#[tokio::test]
async fn a_network_keeps_its_subnet() {
    let cluster = Cluster::new();
    let made = cluster.engine().network().await.unwrap();
    let with = |subnet: Option<&str>| {
        let mut settings = Settings::new(cluster.name.parse().unwrap());
        settings.subnet = subnet.map(str::to_owned);
        DockerEngine::new(settings)
    };
    assert_eq!(with(None).network().await.unwrap(), made);
    let refused = with(Some("10.214.0.0/24")).network().await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
    assert!(refused.to_string().contains(&format!("--subnet {}", cluster.subnet)), "{refused}");
}

#[tokio::test]
async fn a_bad_subnet_is_refused() {
    for subnet in ["10.0.0.1/16", "fd00::/64", "10.0.0.0/30", "nonsense"] {
        let mut settings = Settings::new("test-subnet".parse().unwrap());
        settings.subnet = Some(subnet.to_owned());
        let error = DockerEngine::new(settings).network().await.unwrap_err();
        assert!(error.kind == ErrorKind::Invalid && error.next.is_some(), "{error}");
    }
}

/// Needs the package sources and a minute: `cargo test -p om-docker -- --ignored`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "installs packages from the distribution's mirror"]
async fn an_image_is_built_from_packages_and_its_programs_are_on_the_path() {
    let tag = format!("openmanage-test/postgresql:{}", std::process::id());
    let said = std::sync::Mutex::new(Vec::new());
    let progress = |words: &str| said.lock().unwrap().push(words.to_owned());
    om_docker::build_image("postgresql", "postgresql-15", "15", &tag, &progress).await.unwrap();
    let version = docker(&["run", "--rm", "--entrypoint", "postgres", &tag, "--version"]);
    let clusters = docker(&["run", "--rm", "--entrypoint", "sh", &tag, "-c", "ls /var/lib/postgresql/15 2>&1"]);
    om_docker::build_image("postgresql", "postgresql-15", "15", &tag, &progress).await.unwrap();
    docker(&["image", "rm", &tag]);
    assert!(version.starts_with("postgres (PostgreSQL) 15."), "{version}");
    assert!(!clusters.contains("main"), "no cluster of the package's own: {clusters}");
    assert!(said.lock().unwrap().last().unwrap().contains("there already"));
}
