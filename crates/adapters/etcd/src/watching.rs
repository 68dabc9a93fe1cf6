//! Watches: etcd's own, reduced to "something changed", and moved to another member when theirs is lost.
//!
//! Each has a task that listens to etcd. While nothing happens, it asks the member for its progress: one that does not
//! answer is taken for lost, since a stream from a machine without power is silent and nothing else. The watch is then
//! armed on another member, and its holder woken, for what happened in between nobody has told.
//!
//! **Invariant:** the watch is armed once etcd has said so; it starts at the state etcd had then or before, never later.
//! A holder is woken after every gap, or told that the watch has ended.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{Error as Cause, WatchOptions, WatchStream};
use om_controldb::{Error, ErrorKind, Key, Result, Watch};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::cluster::{Asked, Cluster};
use crate::endpoint::Connection;

/// After so long without a word the member is asked for its progress.
const BEAT: Duration = Duration::from_millis(400);
/// So many times it is asked; silent for a further [`BEAT`], it is taken for lost.
const BEATS: u32 = 2;
/// So long another member is looked for before the holder is told that the watch has ended.
const REARM_WITHIN: Duration = Duration::from_secs(2);
/// Before each such search.
const PAUSE: Duration = Duration::from_millis(50);

/// Arms a watch on the keys from `range.0` up to `range.1`.
pub(crate) async fn arm(cluster: Arc<Cluster>, prefix: &Key, range: (String, String)) -> Result<Box<dyn Watch>> {
    let watched = Watched { cluster, prefix: prefix.clone(), range };
    let stream = watched.arm(watched.cluster.deadline()).await?;
    let (tell, news) = watch::channel(None);
    let task = tokio::spawn(watched.follow(stream, tell)).abort_handle();
    Ok(Box::new(EtcdWatch { prefix: prefix.clone(), news, task }))
}

/// What is watched, to arm it again.
struct Watched {
    cluster: Arc<Cluster>,
    prefix: Key,
    range: (String, String),
}

impl Watched {
    async fn arm(&self, deadline: Instant) -> Result<WatchStream> {
        // In fragments, as a burst of large records would be one message too large to take.
        let options = WatchOptions::new().with_range(self.range.1.as_str()).with_fragment();
        let asked = Asked { operation: "watch", subject: self.prefix.as_str() };
        let attempt = |mut connection: Connection| {
            let options = options.clone();
            async move {
                let mut stream = connection.watches.watch(self.range.0.as_str(), Some(options)).await?;
                match stream.message().await? {
                    Some(answer) if answer.created() && !answer.canceled() => Ok(stream),
                    Some(answer) => Err(Cause::WatchError(answer.cancel_reason().to_owned())),
                    None => Err(Cause::WatchError("refused".to_owned())),
                }
            }
        };
        let (_, stream) = self.cluster.reach(asked, deadline, attempt).await?;
        Ok(stream)
    }

    /// Tells of changes until no member is found that does.
    async fn follow(self, mut stream: WatchStream, tell: watch::Sender<Option<String>>) {
        loop {
            let why = listen(&mut stream, &tell).await;
            // Streams that end as soon as they begin must not make this spin.
            sleep(PAUSE).await;
            match self.arm(Instant::now() + REARM_WITHIN).await {
                Ok(again) => stream = again,
                Err(error) => {
                    tell.send_replace(Some(format!("{why}; {}", error.detail)));
                    return;
                }
            }
            tell.send_replace(None);
        }
    }
}

/// Tells of changes until the stream ends or the member falls silent; why.
async fn listen(stream: &mut WatchStream, tell: &watch::Sender<Option<String>>) -> String {
    let mut unanswered = 0;
    loop {
        // Dropped while waiting, the stream keeps what it has received so far.
        match timeout(BEAT, stream.message()).await {
            Ok(Ok(Some(answer))) if answer.canceled() => return answer.cancel_reason().to_owned(),
            Ok(Ok(Some(answer))) => {
                unanswered = 0;
                if !answer.events().is_empty() {
                    tell.send_replace(None);
                }
            }
            Ok(Ok(None)) => return "the stream ended".to_owned(),
            Ok(Err(error)) => return error.to_string(),
            Err(_) if unanswered == BEATS => return format!("silent for {:?}", BEAT * BEATS),
            Err(_) => {
                if let Err(error) = stream.request_progress().await {
                    return error.to_string();
                }
                unanswered += 1;
            }
        }
    }
}

struct EtcdWatch {
    prefix: Key,
    /// A new value at every change; the last one says why the watch has ended.
    news: watch::Receiver<Option<String>>,
    task: AbortHandle,
}

#[async_trait]
impl Watch for EtcdWatch {
    async fn changed(&mut self) -> Result<()> {
        let told = self.news.changed().await;
        let why = match (told, &*self.news.borrow_and_update()) {
            (Ok(()), None) => return Ok(()),
            (_, Some(why)) => why.clone(),
            (Err(_), None) => "nobody listens any more".to_owned(),
        };
        let detail = format!("etcd ended the watch ({why}); arm a new one");
        Err(Error::new(ErrorKind::Unavailable, "watch", &self.prefix, detail))
    }
}

impl Drop for EtcdWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
