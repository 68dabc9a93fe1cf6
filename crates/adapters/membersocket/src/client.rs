//! The agent's end.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use om_backend::member_channel::{MemberChannel, MemberStatus, Reply, Request};
use om_backend::{ErrorKind, PortError, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::read_line;

/// Asks members over the sockets in their control folders.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberSocket;

/// How long a request may take: a reload waits for the database server.
const fn patience(request: Request) -> Duration {
    match request {
        Request::Status => Duration::from_secs(5),
        Request::Reload | Request::RestartServer => Duration::from_secs(30),
    }
}

#[async_trait]
impl MemberChannel for MemberSocket {
    async fn ask(&self, control: &Path, request: Request) -> Result<MemberStatus> {
        let subject = control.display();
        let fail = |kind, detail: String| PortError::new(kind, "ask the member at", &subject, detail);
        let patience = patience(request);
        let line = match timeout(patience, exchange(control, request)).await {
            Ok(Ok(line)) => line,
            Ok(Err(error)) => return Err(fail(ErrorKind::Unavailable, error.to_string())),
            Err(_) => {
                return Err(fail(ErrorKind::TimedOut, format!("no answer within {} s", patience.as_secs())));
            }
        };
        match serde_json::from_str(&line) {
            Ok(Reply::Status(status)) => Ok(status),
            Ok(Reply::Failed(reason)) => Err(fail(ErrorKind::Refused, reason)),
            Err(error) => Err(fail(ErrorKind::Invalid, format!("its reply is not understood: {error}"))),
        }
    }
}

async fn exchange(control: &Path, request: Request) -> io::Result<String> {
    // By way of the folder's descriptor: a socket's path has at most 107 bytes, a mount's often more.
    let folder = File::open(control)?;
    let path = format!("/proc/self/fd/{}/{}", folder.as_raw_fd(), om_engines::member::SOCKET);
    let mut stream = UnixStream::connect(path).await?;
    let mut line = serde_json::to_string(&request)?;
    line.push('\n');
    stream.write_all(line.as_bytes()).await?;
    read_line(&mut stream).await
}
