//! Events: appended by whoever does something, read in pages, followed as they come.

use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, BoxStream, StreamExt};
use om_model::{Event, EventKind, MemberName, OperationId, ServiceName};

use crate::control::Control;
use crate::error::ControlError;

/// How many events are kept.
const KEPT: usize = 10_000;
/// Old events are looked for once in so many appended.
const PRUNE_EVERY: u64 = 500;

/// An event and the cursor behind which the next are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedEvent {
    /// Hand this back as `after` to go on from here.
    pub cursor: String,
    /// The event.
    pub event: Event,
}

/// Numbers that rise even within one millisecond.
#[derive(Default)]
pub(crate) struct Sequence(Mutex<(u64, u64)>);

impl Sequence {
    fn next(&self, now: u64) -> (u64, u64) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (last.0.max(now), last.1 + 1);
        *last
    }
}

/// What an event is about.
#[derive(Default)]
pub(crate) struct About<'a> {
    pub(crate) service: Option<&'a ServiceName>,
    pub(crate) member: Option<&'a MemberName>,
    pub(crate) operation: Option<&'a OperationId>,
}

impl Control {
    /// Appends an event. One that cannot be stored is logged only: events tell of the work, they are not the work.
    pub(crate) async fn note(&self, kind: EventKind, about: About<'_>, message: String) {
        tracing::info!(?kind, service = about.service.map(ServiceName::as_str), "{message}");
        let now = self.now();
        let (at, number) = self.sequence.next(now.as_millis());
        let event = Event {
            at: now,
            kind,
            service: about.service.cloned(),
            member: about.member.cloned(),
            operation: about.operation.cloned(),
            message,
        };
        let mut chance = [0; 4];
        self.ports.runtime.entropy.fill(&mut chance);
        let cursor = format!("{at:012x}{number:012x}{:08x}", u32::from_be_bytes(chance));
        if let Err(error) = self.store.events.create(&cursor, &event).await {
            tracing::warn!(%error, "event not stored");
        }
        if number.is_multiple_of(PRUNE_EVERY)
            && let Err(error) = self.prune_events().await
        {
            tracing::warn!(%error, "old events not removed");
        }
    }

    async fn prune_events(&self) -> om_controldb::Result<()> {
        let all = self.store.events.all("").await?;
        for old in all.iter().rev().skip(KEPT) {
            self.store.events.remove(&old.name).await?;
        }
        Ok(())
    }

    /// Events after the cursor `after`, oldest first, of one service or all; and whether there are more.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn events(
        &self,
        service: Option<&ServiceName>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<NumberedEvent>, bool), ControlError> {
        let mut found = Vec::new();
        let mut after = after.map(str::to_owned);
        loop {
            let (page, more) = self.store.events.page("", after.as_deref(), om_controldb::PAGE_MAX).await?;
            after = page.last().map(|last| last.name.clone()).or(after);
            for stored in page {
                if service.is_some() && stored.value.service.as_ref() != service {
                    continue;
                }
                if found.len() == limit {
                    return Ok((found, true));
                }
                found.push(NumberedEvent { cursor: stored.name, event: stored.value });
            }
            if !more {
                return Ok((found, false));
            }
        }
    }

    /// Events after the cursor `after` (from now on when absent), and then each as it comes.
    ///
    /// # Errors
    /// As [`Self::events`].
    pub async fn follow_events(
        self: &Arc<Self>,
        service: Option<ServiceName>,
        after: Option<String>,
    ) -> Result<BoxStream<'static, Result<NumberedEvent, ControlError>>, ControlError> {
        let watch = self.store.events.watch("").await?;
        let after = after.unwrap_or_else(|| format!("{:012x}", self.now().as_millis()));
        let state = (self.clone(), watch, service, after, std::collections::VecDeque::new());
        Ok(stream::try_unfold(state, |(control, mut watch, service, mut after, mut ready)| async move {
            loop {
                if let Some(event) = ready.pop_front() {
                    return Ok(Some((event, (control, watch, service, after, ready))));
                }
                let (page, _) = control.events(service.as_ref(), Some(&after), 100).await?;
                if page.is_empty() {
                    watch.changed().await?;
                    continue;
                }
                after = page.last().map_or(after, |last: &NumberedEvent| last.cursor.clone());
                ready.extend(page);
            }
        })
        .boxed())
    }
}
