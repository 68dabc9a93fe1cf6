//! Knocking at a TCP port: that it is opened and that it is slammed both say that a kernel is alive.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

/// How far apart knocks are: the kernel repeats a lost one only after a second.
const EVERY: Duration = Duration::from_millis(80);

/// Returns once something at `agent` has answered. Each knock is given up after `patience`.
pub(crate) async fn answered(agent: SocketAddr, patience: Duration) {
    let mut knocks = FuturesUnordered::new();
    loop {
        knocks.push(timeout(patience.max(EVERY), TcpStream::connect(agent)));
        let next = std::pin::pin!(sleep(EVERY));
        let heard = std::pin::pin!(async {
            while let Some(done) = knocks.next().await {
                if done.is_ok_and(|connected| is_answer(&connected)) {
                    return;
                }
            }
            // All have come to nothing.
            futures::future::pending::<()>().await;
        });
        if let futures::future::Either::Left(_) = futures::future::select(heard, next).await {
            return;
        }
    }
}

fn is_answer(connected: &io::Result<TcpStream>) -> bool {
    match connected {
        Ok(_) => true,
        Err(error) => matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset),
    }
}
