//! The member program's end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use om_backend::Tasks;
use om_backend::member_channel::{Reply, Request};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use crate::read_line;

/// What answers a request.
pub type Answer = Arc<dyn Fn(Request) -> BoxFuture<'static, Reply> + Send + Sync>;

/// How long the other end may take to ask, and to take the reply.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the socket could not be accepted from: descriptors may have run out.
const ACCEPT_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The listening socket.
pub struct Listener {
    socket: UnixListener,
}

impl Listener {
    /// Listens at `path`, for root only. A socket left there by a former process is replaced.
    ///
    /// # Errors
    /// The system's.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        Ok(Self { socket })
    }

    /// Answers for ever, each connection on a task of `tasks`.
    pub async fn serve(self, tasks: Arc<dyn Tasks>, answer: Answer) {
        loop {
            match self.socket.accept().await {
                Ok((stream, _)) => {
                    let answer = answer.clone();
                    tasks.spawn("member socket", Box::pin(async move { converse(stream, answer).await }));
                }
                Err(_) => sleep(ACCEPT_AGAIN_AFTER).await,
            }
        }
    }
}

/// One request, one reply. Whoever breaks off is left alone.
async fn converse(mut stream: UnixStream, answer: Answer) {
    let Ok(Ok(line)) = timeout(PATIENCE, read_line(&mut stream)).await else {
        return;
    };
    let reply = match serde_json::from_str(&line) {
        Ok(request) => answer(request).await,
        Err(error) => Reply::Failed(format!("the request is not understood: {error}")),
    };
    let Ok(mut line) = serde_json::to_string(&reply) else {
        return;
    };
    line.push('\n');
    let _ = timeout(PATIENCE, stream.write_all(line.as_bytes())).await;
}
