//! Finding out which nodes are lost, and having their members recovered.
//!
//! The leader asks all agents of the roster what they see, several times a second. The judgement is a pure function
//! ([`om_planning::detection`]); what follows from it is written into the nodes' records, and for every member that is
//! meant to be on a lost node there is an operation that recovers it. What is done follows from what is, not from what
//! happened: a leader that takes over finds lost nodes and members to recover in the records.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use om_backend::PeerView;
use om_model::mutation::{Mutation, planted};
use om_model::{EventKind, MemberRecord, NodeCondition, NodeId, NodeRecord, Phase, Roster, ServiceRecord, Timestamp};
use om_planning::Change;
use om_planning::detection::{Sight, Suspended, Verdict, judge};

use crate::control::Control;
use crate::error::ControlError;
use crate::events::About;
use crate::store::values;
use crate::submit::Submission;

const LOOK_EVERY: Duration = Duration::from_millis(250);
/// An agent that takes longer has no say in this look; its last answer stands in for a while.
const ANSWER_WITHIN: Duration = Duration::from_millis(250);
/// The agent of a node that others miss most likely does not answer at all; the judgement is not held up for it.
const SUSPECT_ANSWERS_WITHIN: Duration = Duration::from_millis(50);
/// An answer counts for so long, with the silences as they were then: nobody has listened since.
const ANSWER_LASTS: Duration = Duration::from_secs(1);
/// Members of nodes that are lost already are looked for this often.
const RECOVER_EVERY: Duration = Duration::from_secs(1);

/// What the leader has seen so far. A new leader begins with nothing.
#[derive(Default)]
struct Eyes {
    answers: BTreeMap<NodeId, (Duration, Vec<Sight>)>,
    suspended: Option<Suspended>,
    recovered: Option<Duration>,
}

impl Eyes {
    /// Nodes that some agent has not heard of for `silence`.
    fn suspects(&self, silence: Duration) -> BTreeSet<NodeId> {
        let sights = self.answers.values().flat_map(|(_, sights)| sights);
        sights.filter(|sight| sight.silent_for >= silence).map(|sight| sight.node.clone()).collect()
    }
}

impl Control {
    /// Looks while this server leads. Does not return.
    pub(crate) async fn watch_nodes(self: Arc<Self>) {
        let (mut eyes, mut said) = (Eyes::default(), None);
        loop {
            let began = self.ports.runtime.clock.monotonic();
            let looked = match self.leads() {
                true => self.look_at_nodes(&mut eyes).await,
                false => {
                    eyes = Eyes::default();
                    Ok(())
                }
            };
            let failed = looked.err().map(|error| error.to_string());
            if let Some(error) = failed.as_ref().filter(|_| failed != said) {
                tracing::warn!(%error, "cannot look after the nodes; tried again and again");
            }
            said = failed;
            let took = self.ports.runtime.clock.monotonic().saturating_sub(began);
            // Always a pause, so that a clock that stands still cannot make this spin.
            let pause = LOOK_EVERY.saturating_sub(took).max(Duration::from_millis(10));
            self.ports.runtime.clock.sleep(pause).await;
        }
    }

    async fn look_at_nodes(self: &Arc<Self>, eyes: &mut Eyes) -> Result<(), ControlError> {
        let roster = self.store.roster().await?;
        self.ask_agents(&roster, eyes).await;
        let names: Vec<NodeId> = roster.nodes.iter().map(|node| node.id.clone()).collect();
        *self.suspects() = eyes.suspects(self.settings.detection.budget / 2);
        let sights = eyes.answers.iter().map(|(node, (_, sights))| (node.clone(), sights.clone())).collect();
        let verdict = judge(&names, &sights, self.settings.detection.budget);
        let records: Vec<NodeRecord> = values(self.store.nodes.all("").await?);
        let mut lost: BTreeSet<NodeId> = BTreeSet::new();
        let mut news = Vec::new();
        for node in &records {
            let missed = verdict.lost.get(&node.id);
            match (node.condition, missed) {
                (NodeCondition::Present, Some(silences)) if self.mark(node, NodeCondition::Lost).await? => {
                    news.push(lost_words(&node.id, silences));
                    lost.insert(node.id.clone());
                }
                (NodeCondition::Lost, None)
                    if is_back(node, &verdict) && self.mark(node, NodeCondition::Present).await? =>
                {
                    news.push(format!("node {} is back", node.id));
                }
                (NodeCondition::Lost, _) => drop(lost.insert(node.id.clone())),
                _ => {}
            }
        }
        // First what brings members back; then it is told.
        let now = self.ports.runtime.clock.monotonic();
        let due = eyes.recovered.is_none_or(|last| now.saturating_sub(last) >= RECOVER_EVERY);
        if !lost.is_empty() && (due || !news.is_empty()) {
            eyes.recovered = Some(now);
            self.recover_members(&lost).await?;
        }
        for message in news {
            self.note_node(message).await;
        }
        self.tell_of_suspension(eyes, verdict.suspended).await;
        Ok(())
    }

    /// Asks every agent of the roster at the same time.
    async fn ask_agents(&self, roster: &Roster, eyes: &mut Eyes) {
        let suspects = self.suspects().clone();
        let ask = |node: &om_model::RosterNode| {
            let (id, agent) = (node.id.clone(), self.ports.agents.agent(&node.id, node.agent));
            let within = if suspects.contains(&id) { SUSPECT_ANSWERS_WITHIN } else { ANSWER_WITHIN };
            async move {
                let answer = self.ports.runtime.within(within, async move { agent.peers().await }).await;
                (id, answer.and_then(Result::ok))
            }
        };
        let answers = join_all(roster.nodes.iter().map(ask)).await;
        let now = self.ports.runtime.clock.monotonic();
        for (node, answer) in answers {
            if let Some(views) = answer {
                eyes.answers.insert(node, (now, views.into_iter().map(sight).collect()));
            }
        }
        eyes.answers.retain(|_, (at, _)| now.saturating_sub(*at) <= ANSWER_LASTS);
    }

    /// Writes down that the node is lost or back, if it still is what it was; false if it is not.
    async fn mark(&self, node: &NodeRecord, condition: NodeCondition) -> Result<bool, ControlError> {
        let now: Timestamp = self.now();
        let mut marked = false;
        let mark = |current: &NodeRecord| {
            marked = current.condition == node.condition && current.incarnation == node.incarnation;
            marked.then(|| {
                let mut next = current.clone();
                match condition {
                    NodeCondition::Lost => next.lose(now),
                    NodeCondition::Present => (next.condition, next.since) = (condition, now),
                }
                next
            })
        };
        self.store.nodes.change(node.id.as_str(), mark).await?;
        Ok(marked)
    }

    /// Has every member that is meant to be on one of these nodes recovered, where that is not under way.
    async fn recover_members(self: &Arc<Self>, lost: &BTreeSet<NodeId>) -> Result<(), ControlError> {
        let members: Vec<MemberRecord> = values(self.store.members.all("").await?);
        let stranded = members.into_iter().filter(|member| member.place().is_some_and(|place| lost.contains(place)));
        let mut by_service: BTreeMap<_, Vec<MemberRecord>> = BTreeMap::new();
        for member in stranded {
            by_service.entry(member.service_name.clone()).or_default().push(member);
        }
        let mut changes = Vec::new();
        for (name, members) in by_service {
            let Some(service) = self.store.services.get(name.as_str()).await? else { continue };
            changes.extend(members.iter().filter_map(|member| recovery_of(&service.value, member)));
        }
        if changes.is_empty() {
            return Ok(());
        }
        let submitted = join_all(changes.into_iter().map(|(service, change)| {
            let submission = Submission { service, change, idempotency_key: None, deadline: None };
            self.submit(submission)
        }));
        for refused in submitted.await.into_iter().filter_map(Result::err) {
            tracing::warn!(error = %refused, "a recovery was not accepted; tried again soon");
        }
        // The executor's own look is woken too; this one saves the way.
        self.start_workers().await
    }

    /// Told once for each time that nothing is done, not at every look.
    async fn tell_of_suspension(&self, eyes: &mut Eyes, suspended: Option<Suspended>) {
        let named = |suspended: &Option<Suspended>| match suspended {
            None => Vec::new(),
            Some(Suspended::TooMany(nodes) | Suspended::NoMajority { missed: nodes, .. }) => nodes.clone(),
        };
        if named(&eyes.suspended) != named(&suspended) {
            let message = match &suspended {
                Some(why) => why.to_string(),
                None => "no node is missed without being acted upon any more".to_owned(),
            };
            self.note(EventKind::NodeChanged, About::default(), message).await;
        }
        eyes.suspended = suspended;
    }
}

/// It has reported since it was lost, and nobody who judges misses it any more.
fn is_back(node: &NodeRecord, verdict: &Verdict) -> bool {
    let missed = match &verdict.suspended {
        None => false,
        Some(Suspended::TooMany(nodes) | Suspended::NoMajority { missed: nodes, .. }) => nodes.contains(&node.id),
    };
    let vouched = node.vouched_off.as_ref() == Some(&node.incarnation);
    node.reported_since() && !missed && !vouched
}

/// The change that recovers the member, unless it is under way or the service is not to run.
fn recovery_of(service: &ServiceRecord, member: &MemberRecord) -> Option<(om_model::ServiceName, Change)> {
    let from_node = member.place()?.clone();
    let epoch = member.binding.epoch;
    let under_way = service
        .recoveries
        .iter()
        .any(|recovery| recovery.member == member.name && recovery.from == from_node && recovery.epoch == epoch);
    let runs = matches!(service.phase, Phase::Active | Phase::Creating) && service.id == member.service;
    (runs && !under_way && !planted(Mutation::RecoveryNotStarted))
        .then(|| (service.name.clone(), Change::Recover { member: member.name.clone(), from_node, epoch }))
}

fn sight(view: PeerView) -> Sight {
    Sight { node: view.node, silent_for: view.silent_for, watched_for: view.watched_for }
}

fn lost_words(node: &NodeId, silences: &[(NodeId, Duration)]) -> String {
    let seen = |(from, silence): &(NodeId, Duration)| format!("{:.2} s as seen from {from}", silence.as_secs_f64());
    let seen: Vec<_> = silences.iter().map(seen).collect();
    format!("node {node} is lost: silent for {}", seen.join(", "))
}
