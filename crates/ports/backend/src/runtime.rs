//! Time, tasks and chance, as ports: so that a simulator can own all three.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use om_model::Timestamp;

/// Time.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock: for people, and for deadlines of minutes.
    fn now(&self) -> Timestamp;

    /// Time since some fixed point, counting suspend (CLOCK_BOOTTIME); never goes back.
    fn monotonic(&self) -> Duration;

    /// Returns after `length`.
    async fn sleep(&self, length: Duration);
}

/// Tasks that run beside the caller.
pub trait Tasks: Send + Sync {
    /// Runs `task` until it ends or the runtime does. `name` is for logs.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>);
}

/// Chance.
pub trait Entropy: Send + Sync {
    /// Fills `buffer` with bytes nobody can guess.
    fn fill(&self, buffer: &mut [u8]);
}

/// The three together, as most code needs them.
#[derive(Clone)]
pub struct Runtime {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Tasks.
    pub tasks: Arc<dyn Tasks>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Runtime {
    /// A new identity: 12 hexadecimal digits of time, then 20 of chance, so that identities sort by creation.
    pub fn new_id(&self) -> String {
        let mut chance = [0; 10];
        self.entropy.fill(&mut chance);
        let tail: String = chance.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{:012x}{tail}", self.clock.now().as_millis() & 0xffff_ffff_ffff)
    }

    /// `length` letters and digits.
    pub fn new_password(&self, length: usize) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789";
        let mut text = String::with_capacity(length);
        while text.len() < length {
            let mut byte = [0];
            self.entropy.fill(&mut byte);
            // Bytes past the last whole multiple are drawn again, so that every letter is equally likely.
            let fair = 256 - 256 % ALPHABET.len();
            if usize::from(byte[0]) < fair {
                text.push(char::from(ALPHABET[usize::from(byte[0]) % ALPHABET.len()]));
            }
        }
        text
    }

    /// Runs `work`, but for at most `limit`; `None` if it did not end in time (it is then dropped).
    pub async fn within<T>(&self, limit: Duration, work: impl Future<Output = T> + Send) -> Option<T> {
        let sleep = self.clock.sleep(limit);
        futures::pin_mut!(work);
        match futures::future::select(work, sleep).await {
            futures::future::Either::Left((value, _)) => Some(value),
            futures::future::Either::Right(_) => None,
        }
    }
}
