//! A real etcd for the tests: Debian's, on free loopback ports, its data in a directory of its own.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PROGRAM: &str = "/usr/bin/etcd";

/// Killed when dropped.
pub(crate) struct EtcdServer {
    directory: tempfile::TempDir,
    client_url: String,
    peer_url: String,
    tls: Vec<String>,
    process: Child,
}

impl EtcdServer {
    pub(crate) fn start() -> Self {
        Self::start_with("http", tempfile::tempdir().expect("a directory"), Vec::new())
    }

    /// With `https`, `tls` are etcd's flags for its certificates.
    pub(crate) fn start_with(scheme: &str, directory: tempfile::TempDir, tls: Vec<String>) -> Self {
        assert!(Path::new(PROGRAM).exists(), "{PROGRAM} is absent: apt-get install etcd-server");
        // Both are held until both are known, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [client, peer] = ports.each_ref().map(|port| port.local_addr().expect("bound").port());
        drop(ports);
        let (client_url, peer_url) = (format!("{scheme}://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
        let process = spawn(directory.path(), &client_url, &peer_url, &tls);
        Self { directory, client_url, peer_url, tls, process }
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
        self.process = spawn(self.directory.path(), &self.client_url, &self.peer_url, &self.tls);
    }
}

fn spawn(directory: &Path, client_url: &str, peer_url: &str, tls: &[String]) -> Child {
    let log: PathBuf = directory.join("log");
    let log = File::options().create(true).append(true).open(log).expect("a log file");
    Command::new(PROGRAM)
        .args(["--name", "om-test", "--initial-cluster-state", "new", "--data-dir"])
        .arg(directory.join("data"))
        .args(["--listen-client-urls", client_url, "--advertise-client-urls", client_url])
        .args(["--listen-peer-urls", peer_url, "--initial-advertise-peer-urls", peer_url])
        .args(["--initial-cluster", &format!("om-test={peer_url}")])
        .args(tls)
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
