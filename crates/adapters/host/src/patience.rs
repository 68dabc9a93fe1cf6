//! Calls that wait for storage, with an end to the waiting.
//!
//! A thread that waits in the kernel for storage that hangs cannot be given up, only left behind; it goes on when the
//! storage does. So a call that takes longer than [`LIMIT`] is answered with `TimedOut` (its effect is unknown, and comes
//! later or never), and until its thread is back no other thread is sent after it: calls of the same [`Kind`] on the same
//! path wait their turn for as long as the limit, without a thread. Hung storage so costs one thread for each kind and
//! path, and never those that calls on other storage need.
//!
//! **Invariant:** of one kind, at most one call is under way on a path.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use om_backend::{ErrorKind, PortError, Result};

/// How long a caller waits. Longer than a check of a sound file system takes.
const LIMIT: Duration = Duration::from_secs(30);

/// Which calls wait for one another. Shutting down must never wait for a freeze that hangs, nor thawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Mounting, unmounting, growing.
    Mount,
    Freeze,
    Thaw,
    ShutDown,
    Sync,
}

/// Who is under way.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    turns: Arc<Mutex<Turns>>,
    limit: Duration,
}

type Turns = BTreeMap<(Kind, PathBuf), Arc<tokio::sync::Mutex<()>>>;

impl Default for Patience {
    fn default() -> Self {
        Self { turns: Arc::default(), limit: LIMIT }
    }
}

impl Patience {
    /// Runs `work` where it may block, in its turn. It runs to its end even if the caller stops waiting.
    #[allow(clippy::disallowed_methods, reason = "the limit on waiting for the kernel is in real time")]
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        kind: Kind,
        path: &Path,
        work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.turn(kind, path);
        let subject = path.to_owned();
        let done = async move {
            let mine = turn.lock_owned().await;
            blocking(move || {
                let _until_the_end = mine;
                work(&subject)
            })
            .await
        };
        tokio::time::timeout(self.limit, done).await.unwrap_or_else(|_| {
            let detail = format!("no answer for {} s; it goes on in the background", self.limit.as_secs());
            Err(PortError::new(ErrorKind::TimedOut, format!("{kind:?}").to_lowercase(), path.display(), detail)
                .advise("look whether the storage below it answers"))
        })
    }

    fn turn(&self, kind: Kind, path: &Path) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry((kind, path.to_owned())).or_default().clone()
    }
}

/// Runs `work` where it may block, however long it takes.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(PortError::new(ErrorKind::Unavailable, "run", "a call to the operating system", error))
    })
}

#[cfg(test)]
mod tests;
