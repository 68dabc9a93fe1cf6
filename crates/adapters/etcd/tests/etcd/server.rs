//! A real etcd for the tests: Debian's, on free loopback ports, its data in a directory of its own; one server or three.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "/usr/bin/etcd";

/// Killed when dropped.
pub(crate) struct EtcdServer {
    directory: tempfile::TempDir,
    client_url: String,
    flags: Vec<String>,
    process: Child,
}

impl EtcdServer {
    pub(crate) fn start() -> Self {
        Self::start_with("http", tempfile::tempdir().expect("a directory"), Vec::new())
    }

    /// With `https`, `tls` are etcd's flags for its certificates.
    pub(crate) fn start_with(scheme: &str, directory: tempfile::TempDir, tls: Vec<String>) -> Self {
        let [client, peer] = free_ports();
        let peer_url = format!("http://127.0.0.1:{peer}");
        Self::member("om-test", directory, format!("{scheme}://127.0.0.1:{client}"), &peer_url, tls)
    }

    /// Three members of one cluster, with short election time-outs.
    pub(crate) fn start_three() -> [Self; 3] {
        let ports: [u16; 6] = free_ports();
        let peer_url = |number: usize| format!("http://127.0.0.1:{}", ports[number + 3]);
        let names = [0, 1, 2].map(|number| format!("om-{number}={}", peer_url(number)));
        [0, 1, 2].map(|number| {
            let flags = ["--heartbeat-interval", "50", "--election-timeout", "500", "--initial-cluster"];
            let flags = flags.into_iter().map(str::to_owned).chain([names.join(",")]).collect();
            let (name, client_url) = (format!("om-{number}"), format!("http://127.0.0.1:{}", ports[number]));
            Self::member(&name, tempfile::tempdir().expect("a directory"), client_url, &peer_url(number), flags)
        })
    }

    fn member(
        name: &str,
        directory: tempfile::TempDir,
        client_url: String,
        peer_url: &str,
        further: Vec<String>,
    ) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is absent: apt-get install etcd-server");
        let alone = format!("{name}={peer_url}");
        let mut flags: Vec<String> = [
            ["--name", name],
            ["--initial-cluster-state", "new"],
            ["--listen-client-urls", &client_url],
            ["--advertise-client-urls", &client_url],
            ["--listen-peer-urls", peer_url],
            ["--initial-advertise-peer-urls", peer_url],
            ["--initial-cluster", &alone],
        ]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
        flags.extend(further);
        let process = spawn(directory.path(), &flags);
        Self { directory, client_url, flags, process }
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        vec![self.client_url.clone()]
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    /// Sends it a signal, by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.process.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Starts it again on the same data and ports.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.directory.path(), &self.flags);
    }
}

/// All are held until all are known, so that they differ.
fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.each_ref().map(|listener| listener.local_addr().expect("bound").port())
}

fn spawn(directory: &Path, flags: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(directory.join("log")).expect("a log file");
    Command::new(PROGRAM)
        .arg("--data-dir")
        .arg(directory.join("data"))
        .args(flags)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("etcd starts")
}

impl Drop for EtcdServer {
    fn drop(&mut self) {
        // It may be dead already.
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}
