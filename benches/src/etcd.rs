//! A real etcd with its default settings, to compare the built-in control database with.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use om_controldb::ControlDb;
use om_etcd::{EtcdDb, Options};

/// An etcd process, killed when dropped.
pub struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// A single server on loopback, its data in `directory`, on the given core.
///
/// # Errors
/// If it cannot be started or does not answer.
pub async fn start(directory: &Path, core: usize) -> Result<(Arc<dyn ControlDb>, Server)> {
    let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let client = format!("http://{}", ports[0].local_addr()?);
    let peer = format!("http://{}", ports[1].local_addr()?);
    drop(ports);
    let mut command = Command::new("taskset");
    command
        .args(["-c", &core.to_string(), "etcd", "--name", "bench", "--data-dir"])
        .arg(directory.join("etcd"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("bench={peer}")])
        .stdout(Stdio::null())
        .stderr(File::create(directory.join("etcd.log"))?);
    let server = Server(command.spawn().context("starting etcd (apt-get install etcd-server, util-linux)")?);
    let options = Options { call_timeout: Duration::from_secs(20), ..Options::default() };
    let db = EtcdDb::connect(&[client], "bench", options).await?;
    Ok((Arc::new(db), server))
}
