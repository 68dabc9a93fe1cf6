//! Debian's etcd, of the test's own.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::eventually;

/// A running etcd with one member; ended and removed when dropped.
pub struct Etcd {
    /// Where clients reach it.
    pub url: String,
    folder: PathBuf,
    process: Child,
}

impl Etcd {
    /// Starts it on free loopback ports, its data in `folder`, which must not be there yet.
    ///
    /// # Panics
    /// If it does not answer.
    pub fn start(folder: &Path) -> Self {
        // Both are held until both are known, so that they differ.
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [url, peers] =
            ports.each_ref().map(|port| format!("http://{}", port.local_addr().expect("it has an address")));
        let listening = url.trim_start_matches("http://").to_owned();
        drop(ports);
        let mut command = Command::new("etcd");
        command.args(["--name", "om", "--initial-cluster", &format!("om={peers}"), "--data-dir"]).arg(folder);
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("etcd can be run: apt-get install etcd-server");
        let started = Self { url, folder: folder.to_owned(), process };
        eventually(Duration::from_secs(20), "etcd listens", || {
            std::net::TcpStream::connect(&listening).map(drop).map_err(|error| error.to_string())
        });
        started
    }

    /// True if these characters are in its files.
    ///
    /// # Panics
    /// If the files cannot be searched.
    pub fn holds(&self, text: &str) -> bool {
        let status = Command::new("grep").args(["-rqaF", "-e", text]).arg(&self.folder).status();
        status.expect("grep can be run").success()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
