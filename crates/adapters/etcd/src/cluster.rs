//! Calls on a cluster whose members may fall silent: power lost, no packet tells of it.
//!
//! A read is **hedged**: when the member asked has not answered after [`HEDGE`], the next one is asked too, and the first
//! answer counts. The member that gave it is asked first from then on, so that only the calls under way at the loss pay.
//!
//! A write is sent once, so it must not be sent into silence: it goes to the member that answered through the leader a
//! moment ago, and if none did, a (hedged) read looks for one first. Thus most writes wait for etcd's election instead
//! of being lost in it with their outcome unknown.
//!
//! **Invariant:** a write is sent again only if it provably was not sent, or was refused before it was proposed.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use etcd_client::{GetOptions, Txn, TxnResponse};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use om_controldb::{Error, ErrorKind, Result};
use tokio::time::{Instant, timeout, timeout_at};

use crate::endpoint::{Connection, Endpoint};
use crate::standing::Standing;
use crate::{Options, failure};

/// Without an answer for so long, the next member is asked too.
const HEDGE: Duration = Duration::from_millis(300);
/// So long one member's answer is waited for at first; twice as long the next time, as an answer may be large. A member
/// that has just lost its leader keeps reads for several seconds, but answers a new one once there is a leader again.
const ATTEMPT: Duration = Duration::from_secs(1);
/// Between two attempts, once each member has failed.
const PAUSE: Duration = Duration::from_millis(100);
/// A write without an answer for so long has an unknown outcome.
const WRITE: Duration = Duration::from_millis(1500);

/// What is asked of whom, for errors.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    pub(crate) operation: &'static str,
    /// A key, a prefix, the endpoints.
    pub(crate) subject: &'a str,
}

/// How one attempt on one member ended.
enum Tried<T> {
    Answered(T),
    /// Asking again, or somebody else, is no use.
    Refused(Error),
    Failed(Error),
    Silent,
}

/// The members of the cluster.
pub(crate) struct Cluster {
    endpoints: Vec<Endpoint>,
    standing: Mutex<Standing>,
    call_timeout: Duration,
}

impl Cluster {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if there is no endpoint, or one is no good.
    pub(crate) async fn new(urls: &[String], options: &Options) -> Result<Self> {
        if urls.is_empty() {
            let detail = "no endpoint is given; accepted are endpoints like http://10.0.0.5:2379";
            return Err(Error::new(ErrorKind::Invalid, "connect", "etcd", detail));
        }
        for url in urls {
            let asked = Asked { operation: "connect", subject: url };
            Endpoint::check(url, options).await.map_err(|error| failure::error(asked, &error))?;
        }
        let endpoints: Vec<_> = urls.iter().map(|url| Endpoint::new(url, options.for_client())).collect();
        let local: Vec<_> = endpoints.iter().map(Endpoint::is_local).collect();
        Ok(Self { endpoints, standing: Mutex::new(Standing::new(&local)), call_timeout: options.call_timeout })
    }

    /// When a call that begins now is to be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.call_timeout
    }

    /// A read through the leader, or a change that may be made twice.
    pub(crate) async fn read<T, F>(&self, asked: Asked<'_>, attempt: impl Fn(Connection) -> F) -> Result<T>
    where
        F: Future<Output = std::result::Result<T, etcd_client::Error>>,
    {
        let (index, answer) = self.reach(asked, self.deadline(), attempt).await?;
        self.standing().answered(index, Instant::now());
        Ok(answer)
    }

    /// Asks one member after the other until one answers; which one did, and what.
    pub(crate) async fn reach<T, F>(
        &self,
        asked: Asked<'_>,
        deadline: Instant,
        attempt: impl Fn(Connection) -> F,
    ) -> Result<(usize, T)>
    where
        F: Future<Output = std::result::Result<T, etcd_client::Error>>,
    {
        let began = Instant::now();
        let mut waiting: VecDeque<_> = self.standing().order().into_iter().map(|index| (index, ATTEMPT)).collect();
        let mut running = FuturesUnordered::new();
        let (mut next, mut failures, mut last) = (began, 0, None);
        loop {
            if Instant::now() >= next
                && let Some((index, patience)) = waiting.pop_front()
            {
                let tried = self.attempt(asked, index, patience, &attempt);
                running.push(async move { (index, patience, tried.await) });
                next = Instant::now() + HEDGE;
            }
            let until = if waiting.is_empty() { deadline } else { deadline.min(next) };
            let ended = async {
                match running.next().await {
                    Some(ended) => ended,
                    None => pending().await,
                }
            };
            match timeout_at(until, ended).await {
                Ok((index, _, Tried::Answered(answer))) => {
                    let overtaken = |other: &usize| *other != index && waiting.iter().all(|(idle, _)| idle != other);
                    let mut standing = self.standing();
                    (0..self.endpoints.len()).filter(overtaken).for_each(|other| standing.failed(other));
                    standing.reached(index);
                    return Ok((index, answer));
                }
                Ok((_, _, Tried::Refused(error))) => return Err(error),
                Ok((index, patience, tried)) => {
                    self.standing().failed(index);
                    waiting.push_back((index, patience * 2));
                    failures += 1;
                    let pause = if failures < self.endpoints.len() { Duration::ZERO } else { PAUSE };
                    next = Instant::now() + pause;
                    if let Tried::Failed(error) = tried {
                        last = Some(error);
                    }
                }
                Err(_) if Instant::now() >= deadline => {
                    let late = || failure::late(asked, deadline - began);
                    return Err(last.unwrap_or_else(late));
                }
                Err(_) => {}
            }
        }
    }

    /// Asks one member once.
    async fn attempt<T, F>(
        &self,
        asked: Asked<'_>,
        index: usize,
        patience: Duration,
        attempt: impl Fn(Connection) -> F,
    ) -> Tried<T>
    where
        F: Future<Output = std::result::Result<T, etcd_client::Error>>,
    {
        let endpoint = &self.endpoints[index];
        let line = endpoint.line();
        let call = async { attempt(endpoint.connection(&line).await?).await };
        match timeout(patience, call).await {
            Ok(Ok(answer)) => Tried::Answered(answer),
            Ok(Err(error)) if failure::is_final(&error) => Tried::Refused(failure::error(asked, &error)),
            Ok(Err(error)) => Tried::Failed(failure::error(asked, &error)),
            Err(_) => {
                endpoint.hang_up(&line);
                Tried::Silent
            }
        }
    }

    /// A write: `txn` on the record at `path`.
    pub(crate) async fn write(&self, asked: Asked<'_>, path: &str, txn: &Txn) -> Result<TxnResponse> {
        let deadline = self.deadline();
        loop {
            let index = self.listening(asked, path, deadline).await?;
            let endpoint = &self.endpoints[index];
            let (line, began) = (endpoint.line(), Instant::now());
            let until = deadline.min(began + WRITE);
            let call = async { endpoint.connection(&line).await?.records.txn(txn.clone()).await };
            match timeout_at(until, call).await {
                Ok(Ok(answer)) => {
                    self.standing().answered(index, Instant::now());
                    return Ok(answer);
                }
                Ok(Err(error)) => {
                    self.standing().failed(index);
                    // Then a read looks for another member, which sets the pace.
                    if !failure::before_sending(&error) || Instant::now() >= deadline {
                        return Err(failure::error(asked, &error));
                    }
                }
                Err(_) => {
                    self.standing().failed(index);
                    endpoint.hang_up(&line);
                    return Err(failure::late(asked, until - began));
                }
            }
        }
    }

    /// A member that answers, and has a leader.
    async fn listening(&self, asked: Asked<'_>, path: &str, deadline: Instant) -> Result<usize> {
        let fresh = self.standing().fresh(Instant::now());
        if let Some(index) = fresh {
            return Ok(index);
        }
        let look = |mut connection: Connection| async move {
            connection.records.get(path, Some(GetOptions::new().with_count_only())).await
        };
        let (index, _) = self.reach(asked, deadline, look).await?;
        Ok(index)
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
