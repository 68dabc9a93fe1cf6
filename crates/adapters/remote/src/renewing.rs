//! Keeping a certificate from running out: renewed when two thirds of its time are over, with a new key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use om_backend::{Authority, Joining, Result, Runtime};
use om_model::Timestamp;

use crate::identity::Identity;

/// The wall clock is looked at this often: it may jump.
const LOOK_EVERY: Duration = Duration::from_secs(600);
/// The next try after one that failed.
const AGAIN: Duration = Duration::from_secs(60);

/// Renews `identity` for as long as it runs: the certificate from `joining`, the key from `maker`; both kept in `folder`,
/// where there is one, before they are used. Does not return; dropped to stop.
pub async fn keep_renewed(
    identity: Arc<Identity>,
    folder: Option<PathBuf>,
    joining: Arc<dyn Joining>,
    maker: Arc<dyn Authority>,
    runtime: Runtime,
) {
    loop {
        let now = runtime.clock.now();
        let due = due(identity.valid());
        if now < due {
            let left = Duration::from_millis(due.as_millis() - now.as_millis());
            runtime.clock.sleep(left.min(LOOK_EVERY)).await;
            continue;
        }
        match renew(&identity, folder.as_ref(), &*joining, &*maker).await {
            Ok(()) => tracing::info!(?identity, "the certificate was renewed"),
            Err(error) => {
                let (_, until) = identity.valid();
                tracing::warn!(%error, until = until.as_millis(), "the certificate is not renewed yet");
            }
        }
        // Also when the new certificate is due at once: that must not keep us busy.
        if runtime.clock.now() >= self::due(identity.valid()) {
            runtime.clock.sleep(AGAIN).await;
        }
    }
}

fn due((from, until): (Timestamp, Timestamp)) -> Timestamp {
    Timestamp::from_millis(from.as_millis() + until.as_millis().saturating_sub(from.as_millis()) / 3 * 2)
}

async fn renew(
    identity: &Identity,
    folder: Option<&PathBuf>,
    joining: &dyn Joining,
    maker: &dyn Authority,
) -> Result<()> {
    let requested = maker.request(None)?;
    let certificate = joining.renew(&identity.peer(), &requested.csr).await?;
    if let Some(folder) = folder {
        Identity::new(&certificate, &requested.key, identity.authority())?.keep(folder)?;
    }
    identity.replace(&certificate, &requested.key)
}
