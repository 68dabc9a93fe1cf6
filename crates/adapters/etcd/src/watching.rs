//! Watches: etcd's own, reduced to "something changed".
//!
//! **Invariant:** the watch is armed once etcd has said so; it starts at the state etcd had then or before, never later.

use std::time::Duration;

use async_trait::async_trait;
use etcd_client::{WatchClient, WatchOptions, WatchStream};
use om_controldb::{Error, ErrorKind, Key, Result, Watch};
use tokio::time::timeout;

use crate::failure;

/// Arms a watch on the keys from `range.0` up to `range.1`.
pub(crate) async fn arm(
    mut client: WatchClient,
    prefix: &Key,
    range: (String, String),
    within: Duration,
) -> Result<Box<dyn Watch>> {
    // In fragments, as a burst of large records would be one message too large to take.
    let options = WatchOptions::new().with_range(range.1).with_fragment();
    let armed = async {
        let refused = |error| failure::error("watch", prefix, &error);
        let mut stream = client.watch(range.0, Some(options)).await.map_err(refused)?;
        match stream.message().await.map_err(refused)? {
            Some(answer) if answer.created() && !answer.canceled() => Ok(stream),
            Some(answer) => Err(ended(prefix, answer.cancel_reason())),
            None => Err(ended(prefix, "")),
        }
    };
    let stream = timeout(within, armed).await.map_err(|_| failure::late("watch", prefix, within))??;
    Ok(Box::new(EtcdWatch { stream, prefix: prefix.clone() }))
}

fn ended(prefix: &Key, reason: &str) -> Error {
    let reason = if reason.is_empty() { "no reason given" } else { reason };
    Error::new(ErrorKind::Unavailable, "watch", prefix, format!("etcd ended the watch ({reason}); arm a new one"))
}

struct EtcdWatch {
    stream: WatchStream,
    prefix: Key,
}

#[async_trait]
impl Watch for EtcdWatch {
    async fn changed(&mut self) -> Result<()> {
        loop {
            // Dropped while waiting, the stream keeps what it has received so far.
            match self.stream.message().await {
                Ok(Some(answer)) if answer.canceled() => return Err(ended(&self.prefix, answer.cancel_reason())),
                Ok(Some(answer)) if !answer.events().is_empty() => return Ok(()),
                Ok(Some(_)) => {}
                Ok(None) => return Err(ended(&self.prefix, "")),
                Err(error) => return Err(failure::error("watch", &self.prefix, &error)),
            }
        }
    }
}
