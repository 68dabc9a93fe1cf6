//! The two stores under test: the built-in one, and a real etcd with its default settings.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use om_controldb::ControlDb;
use om_etcd::{EtcdDb, Options};
use om_sqlite::SqliteDb;

/// An etcd process, killed when dropped.
pub(crate) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may be dead already.
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

/// The built-in store, in `directory`.
pub(crate) fn built_in(directory: &Path) -> Result<Arc<dyn ControlDb>> {
    Ok(Arc::new(SqliteDb::open(directory.join("control.db"))?))
}

/// A single etcd server on loopback, its data in `directory`, on the given processor.
pub(crate) async fn etcd(directory: &Path, core: Option<usize>) -> Result<(Arc<dyn ControlDb>, Server)> {
    let ports = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let client = format!("http://{}", ports[0].local_addr()?);
    let peer = format!("http://{}", ports[1].local_addr()?);
    drop(ports);
    let mut command = match core {
        Some(core) => {
            let mut pinned = Command::new("taskset");
            pinned.args(["-c", &core.to_string(), "etcd"]);
            pinned
        }
        None => Command::new("etcd"),
    };
    command
        .args(["--name", "bench", "--data-dir"])
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
