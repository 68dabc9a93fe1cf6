//! Users: one who changes services, one after another, and clients who write rows to the primary by its name.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures::future::{Either, FutureExt, select};
use om_backend::{ErrorKind, PortError, Tasks};
use om_control::{Accepted, Control, ControlError, ServiceOperation, Submission};
use om_model::{ByteSize, MemberName, OperationId, OperationState, Resources, ServiceName, ServiceSpec, VolumeSizes};
use om_planning::{Change, VolumeFate};

use super::Fleet;
use crate::net::Ask;

/// A client gives up on one server and asks another.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longer than an operation and its rollback may take, waiting for a turn included.
const ENDS_WITHIN: Duration = Duration::from_secs(3600);
const LOOK_EVERY: Duration = Duration::from_millis(700);
/// Between two rows.
const PACE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(300));
/// For so long a client waits for its commit.
const COMMIT_WITHIN: Duration = Duration::from_secs(2);

/// What users have seen so far.
#[derive(Default)]
pub struct Progress {
    /// Operations by their state at the end.
    pub ended: BTreeMap<&'static str, u64>,
    /// Those that wait for somebody to look at them.
    pub attention: Vec<OperationId>,
    /// Requests made, each with a key of its own.
    pub requests: u64,
    /// Requests under way.
    pub under_way: u32,
    rows: u64,
}

/// The service that users have.
pub fn subject() -> ServiceName {
    "orders".parse().expect("a service name")
}

/// The service, made with so many members.
pub fn create(replicas: u16) -> Change {
    let spec = ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas,
        resources: Resources { memory: ByteSize::mib(512).unwrap_or_default(), cpu_millis: None },
        volumes: VolumeSizes { data: ByteSize::gib(1).unwrap_or_default(), journal: None },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        places: Vec::new(),
    };
    Change::Create { spec }
}

fn word(state: OperationState) -> &'static str {
    match state {
        OperationState::Succeeded => "succeeded",
        OperationState::RolledBack => "rolled back",
        OperationState::NeedsAttention => "needs attention",
        _ => "under way",
    }
}

impl Fleet {
    /// What users have seen.
    pub fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks any server, once.
    pub(crate) async fn ask_server<T, W, F>(&self, what: &str, work: W) -> om_backend::Result<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: Fn(Arc<Control>) -> F + Send + Sync + 'static,
    {
        let machines = self.town.machines();
        let nobody = || PortError::new(ErrorKind::Unavailable, "ask", what, "there are no servers");
        let machine = self.env.chance().pick(&machines).cloned().ok_or_else(nobody)?;
        let id = machine.id.clone();
        let ask = Ask { from: &self.client, to: &id, what, within: ANSWER_WITHIN };
        let answer = self.net.ask(
            ask,
            move || machine.server(),
            move |control| {
                let work = work(control);
                async move { Ok(work.await) }.boxed()
            },
        );
        answer.await
    }

    /// Asks for a change, again and again under the same key until a server answers.
    pub async fn submit(&self, submission: &Submission) -> Result<Accepted, ControlError> {
        self.progress().requests += 1;
        loop {
            let asked = submission.clone();
            let answer = self
                .ask_server("submit", move |control| {
                    let asked = asked.clone();
                    async move { control.submit(asked).await }
                })
                .await;
            match answer {
                Ok(Err(ControlError::Unavailable(_))) | Err(_) => self.env.sleep(LOOK_EVERY).await,
                Ok(answer) => return answer,
            }
        }
    }

    /// The operation, once a server tells.
    pub async fn operation(&self, id: &OperationId) -> Option<ServiceOperation> {
        let id = id.clone();
        let asked = self.ask_server("operation", move |control| {
            let id = id.clone();
            async move { control.operation(&id).await }
        });
        asked.await.ok()?.ok()
    }

    /// Carries a change to its end, and looks whether it has one.
    pub async fn carry(&self, change: Change, key: String) {
        self.progress().under_way += 1;
        let what = format!("{} {key}", change.kind());
        let submission = Submission { service: subject(), change, idempotency_key: Some(key), deadline: None };
        match self.submit(&submission).await {
            Err(refused) => self.env.note(|| format!("user: {what} refused: {refused}")),
            Ok(accepted) => self.follow(&what, &accepted.operation.id).await,
        }
        self.progress().under_way -= 1;
    }

    /// Waits for the end of an operation that was tried again.
    pub async fn follow_again(&self, id: &OperationId) {
        self.progress().under_way += 1;
        self.follow("retried operation", id).await;
        self.progress().under_way -= 1;
    }

    async fn follow(&self, what: &str, id: &OperationId) {
        self.env.note(|| format!("user: {what} accepted"));
        let since = self.env.now();
        loop {
            if let Some(operation) = self.operation(id).await.filter(|operation| operation.state.ended()) {
                let (state, reason) = (operation.state, operation.reason.unwrap_or_default());
                self.env.note(|| format!("user: {what} {}: {reason}", word(state)));
                let mut progress = self.progress();
                *progress.ended.entry(word(state)).or_default() += 1;
                if state == OperationState::NeedsAttention {
                    progress.attention.push(id.clone());
                }
                return;
            }
            if self.env.now().saturating_sub(since) > ENDS_WITHIN {
                return self.ledger.violated(&format!("{what} has not ended after {} s", ENDS_WITHIN.as_secs()));
            }
            self.env.sleep(LOOK_EVERY).await;
        }
    }

    /// One who makes a service, and changes it until then.
    pub async fn operator(self: Arc<Self>, until: Duration) {
        // The agents join first.
        self.env.sleep(Duration::from_secs(4)).await;
        let replicas = if self.env.chance().happens(500) { 2 } else { 3 };
        self.carry(create(replicas), "create".to_owned()).await;
        for number in 0.. {
            self.env.sleep(self.env.between(Duration::from_secs(1), Duration::from_secs(30))).await;
            if self.env.now() >= until {
                return;
            }
            let change = self.change(replicas);
            let key = format!("{number}");
            if self.env.chance().happens(150) {
                // Asked, and not waited for: the next one queues behind it.
                let fleet = self.clone();
                self.env.beside(async move { fleet.carry(change, key).await });
            } else {
                self.carry(change, key).await;
            }
        }
    }

    fn change(&self, replicas: u16) -> Change {
        let chance = self.env.chance();
        let member = || {
            let index = u16::try_from(chance.below(usize::from(replicas))).unwrap_or(0);
            MemberName::of(&subject(), index)
        };
        let setting = |name: &str, value: String| {
            let settings = BTreeMap::from([(name.to_owned(), Some(value))]);
            Change::Configure { settings, options: BTreeMap::new() }
        };
        match chance.below(20) {
            0..6 => Change::Move { member: member(), to: None },
            6..9 => Change::Restart { member: Some(member()) },
            9..11 => Change::Restart { member: None },
            11..13 => setting("work_mem", format!("{}MB", 4 + chance.below(60))),
            13 => setting("max_connections", format!("{}", 20 + chance.below(80))),
            14 => Change::Grow { data: ByteSize::gib(2 + chance.below(4) as u64), journal: None },
            15..17 => Change::Stop,
            17..19 => Change::Start,
            _ if chance.happens(400) => {
                let volumes = if chance.happens(400) { VolumeFate::Keep } else { VolumeFate::Delete };
                Change::Delete { volumes }
            }
            _ => create(replicas),
        }
    }

    /// Clients who write rows, until then.
    pub async fn writers(self: Arc<Self>, until: Duration) {
        while self.env.now() < until {
            self.env.sleep(self.env.between(PACE.0, PACE.1)).await;
            self.write_row().await;
        }
    }

    /// Writes a row to whoever the name of the primary leads to, as one of the machines' name servers has it.
    async fn write_row(&self) {
        let machines = self.town.machines();
        let zone = self.env.chance().pick(&machines).and_then(|machine| machine.agent()?.service.names.zone());
        let Some(zone) = zone else { return };
        let primary = zone.services.get(subject().as_str()).and_then(|service| service.primaries.first().cloned());
        let Some(entry) = primary.and_then(|primary| zone.members.get(&primary)) else { return };
        let found = self.town.serving_at(&self.client, &entry.service, entry.address).await;
        let Some(container) = found else { return };
        let row = {
            let mut progress = self.progress();
            progress.rows += 1;
            progress.rows
        };
        let (tell, told) = futures::channel::oneshot::channel();
        let server = container.clone();
        let commit = async move {
            tell.send(server.commit(row).await).ok();
        };
        container.process().spawn("commit", Box::pin(commit));
        let late = std::pin::pin!(self.env.sleep(COMMIT_WITHIN));
        if let Either::Left((Ok(Err(why)), _)) = select(told, late).await {
            self.env.note(|| format!("client: row {row} not committed: {why}"));
        }
    }
}
