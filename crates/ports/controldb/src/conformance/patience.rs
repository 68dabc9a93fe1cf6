//! A deadline without an async runtime: what should come and does not is a failure, not a hang.

use std::future::Future;
use std::sync::mpsc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};

const PATIENCE: Duration = Duration::from_secs(30);

/// What `future` gives.
///
/// # Panics
/// If it takes longer than any correct backend would.
pub(super) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let (late, is_late) = oneshot::channel::<()>();
    let (done, is_done) = mpsc::channel::<()>();
    // It ends with the future.
    #[allow(clippy::disallowed_methods, reason = "a test suite that may assume no runtime has no other timer")]
    std::thread::spawn(move || {
        if is_done.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
            let _nobody_waits = late.send(());
        }
    });
    futures::pin_mut!(future);
    match select(future, is_late).await {
        Either::Left((value, _)) => {
            drop(done);
            value
        }
        Either::Right(_) => panic!("{what}: nothing within {PATIENCE:?}"),
    }
}
