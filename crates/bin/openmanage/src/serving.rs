//! Being told to end, by several that listen.

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// SIGTERM and SIGINT, for as many as want to know of them.
pub(crate) struct Endings {
    told: watch::Receiver<bool>,
    _waiting: Arc<tokio::task::JoinHandle<()>>,
}

impl Endings {
    /// Listens from now on.
    pub(crate) fn new() -> Result<Self> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
        let (tell, told) = watch::channel(false);
        let waiting = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("told to end");
            // Nobody listening any more is as good as told.
            let _ = tell.send(true);
        };
        let runtime = tokio::runtime::Handle::current();
        Ok(Self { told, _waiting: Arc::new(runtime.spawn(waiting)) })
    }

    /// Returns once told.
    pub(crate) fn told(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut told = self.told.clone();
        async move {
            // An error means that the sender is gone, which is a reason to end too.
            let _ = told.wait_for(|told| *told).await;
        }
    }
}
