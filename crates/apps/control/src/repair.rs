//! Repair: members that should run and do not are started, and those that should not and do are stopped.
//!
//! The orchestrator restarts what ends, but it gives up when a mount fails once (as it does while the agent is away), and
//! it forgets what somebody removed. This loop looks at what is, not at what happened, so that it does the right thing
//! after any interruption. A service with operations under way is left to them, and a member on a lost node to its recovery:
//! neither an orchestrator that is slow nor a node whose container engine is dead is a reason to do anything else.
//! Deployments that are not the present one of their member (a node that came back may run one) are removed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use om_backend::{Deployment, DeploymentState};
use om_controldb::Watch;
use om_model::mutation::{Mutation, planted};
use om_model::{EventKind, MemberRecord, Phase, ServiceId, ServiceRecord};

use crate::control::Control;
use crate::events::About;
use crate::steps::{StepError, deployment_name};
use crate::store::values;

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Other members are not kept waiting longer for one that is to stop.
const STOPS_WITHIN: Duration = Duration::from_secs(3);

/// The services whose members should run, as of the last change of any service.
struct Wanted {
    watches: [Box<dyn Watch>; 2],
    services: Vec<(ServiceRecord, Vec<MemberRecord>)>,
}

impl Control {
    /// Looks every few seconds. Does not return.
    pub(crate) async fn keep_members_running(self: Arc<Self>) {
        let mut wanted = None;
        let mut said = None;
        loop {
            if !self.leads() {
                wanted = None;
                self.ports.runtime.clock.sleep(LOOK_EVERY).await;
                continue;
            }
            let failed = self.repair_all(&mut wanted).await.err().map(|error| error.to_string());
            // A failure is told once, not every two seconds for as long as Docker is away.
            if let Some(error) = failed.as_ref().filter(|_| failed != said) {
                tracing::warn!(%error, "cannot look after the members; tried again and again");
            }
            if failed.is_some() {
                wanted = None;
            }
            said = failed;
            self.ports.runtime.clock.sleep(LOOK_EVERY).await;
        }
    }

    async fn repair_all(self: &Arc<Self>, wanted: &mut Option<Wanted>) -> Result<(), StepError> {
        // Thousands of services are not read again every few seconds, but when one of them changed.
        let unchanged = wanted.as_mut().is_some_and(|wanted| {
            let mut watches = wanted.watches.iter_mut();
            watches.all(|watch| watch.changed().now_or_never().is_none())
        });
        let known = wanted.take().filter(|_| unchanged);
        let wanted = wanted.insert(match known {
            Some(known) => known,
            None => self.wanted().await?,
        });
        if wanted.services.is_empty() {
            return Ok(());
        }
        let deployments = self.ports.orchestrator.list(None).await?;
        for (service, members) in &wanted.services {
            for member in members {
                if let Err(error) = self.repair(service, member, &deployments).await {
                    tracing::warn!(member = %member.name, %error, "cannot see to it; tried again soon");
                }
            }
        }
        Ok(())
    }

    async fn wanted(self: &Arc<Self>) -> Result<Wanted, StepError> {
        // Armed before the reading, so that no change falls in between.
        let watches = [self.store.services.watch("").await?, self.store.members.watch("").await?];
        let mut services = values(self.store.services.all("").await?);
        // Mostly there are workers on them. A request that was repeated late may have given an operation that had ended, and
        // whose pending mark is gone, its place again: nobody else would look there.
        services.iter().for_each(|service| self.start_workers_of(service));
        services.retain(|service| idle(service) || at_rest(service));
        let mut by_service: BTreeMap<ServiceId, Vec<MemberRecord>> = BTreeMap::new();
        for member in values(self.store.members.all("").await?) {
            by_service.entry(member.service.clone()).or_default().push(member);
        }
        let with_members = |service: ServiceRecord| {
            let mut members = by_service.remove(&service.id).unwrap_or_default();
            members.sort_by_key(|member| member.index);
            (service, members)
        };
        let services = services.into_iter().map(with_members).collect();
        Ok(Wanted { watches, services })
    }

    async fn repair(
        &self,
        service: &ServiceRecord,
        member: &MemberRecord,
        all: &[Deployment],
    ) -> Result<(), StepError> {
        if let Some(place) = member.place()
            && self.is_lost(place).await?
        {
            return Ok(());
        }
        if at_rest(service) {
            return self.put_to_rest(service, member, all).await;
        }
        let name = deployment_name(member);
        let found = all.iter().find(|deployment| deployment.name == name);
        let why = match found.map(|deployment| deployment.state) {
            Some(DeploymentState::Running | DeploymentState::Restarting) => None,
            Some(DeploymentState::Created | DeploymentState::Stopped) => Some("it had stopped"),
            None => Some("its container was gone"),
        };
        let former: Vec<_> = all.iter().filter(|deployment| Self::is_former(member, deployment)).collect();
        if why.is_none() && former.is_empty() {
            return Ok(());
        }
        // An operation may have been accepted since the list was taken.
        let now = self.store.service(&service.name).await?;
        let same = self.store.member(&service.id, &member.name).await?.map(|now| now.replacement);
        if now.id != service.id || !idle(&now) || same != Some(member.replacement) {
            return Ok(());
        }
        let about = || About { service: Some(&service.name), member: Some(&member.name), operation: None };
        for deployment in former {
            self.ports.orchestrator.remove(&deployment.name).await?;
            let message = format!("container {} was removed: {} runs elsewhere by now", deployment.name, member.name);
            self.note(EventKind::Repaired, about(), message).await;
        }
        let Some(why) = why else { return Ok(()) };
        if found.is_none() {
            let spec = self.deployment_spec(&service.name, &member.name).await?;
            self.ports.orchestrator.create(&spec).await?;
        }
        self.ports.orchestrator.start(&name).await?;
        self.note(EventKind::Repaired, about(), format!("{} was started: {why}", member.name)).await;
        Ok(())
    }

    /// A member of a stopped service runs: its node was lost when the service was stopped, say, and the orchestrator could not
    /// be told in time. It is stopped, and held by nobody again.
    async fn put_to_rest(
        &self,
        service: &ServiceRecord,
        member: &MemberRecord,
        all: &[Deployment],
    ) -> Result<(), StepError> {
        let running = |deployment: &&Deployment| {
            deployment.service == service.id
                && deployment.member == member.name
                && matches!(deployment.state, DeploymentState::Running | DeploymentState::Restarting)
        };
        let Some(running) = all.iter().find(running) else { return Ok(()) };
        // An operation may have been accepted since the list was taken.
        let now = self.store.service(&service.name).await?;
        if now.id != service.id || !at_rest(&now) {
            return Ok(());
        }
        // It may take its time; the next look sees to the rest.
        let stop = self.ports.orchestrator.stop(&running.name);
        let Some(stopped) = self.ports.runtime.within(STOPS_WITHIN, stop).await else { return Ok(()) };
        stopped?;
        self.release_member(&service.id, &member.name).await?;
        let about = About { service: Some(&service.name), member: Some(&member.name), operation: None };
        self.note(EventKind::Repaired, about, format!("{} was stopped: its service is", member.name)).await;
        Ok(())
    }
}

/// Its members are not to run, and no operation is to see to them.
fn at_rest(service: &ServiceRecord) -> bool {
    let rests = service.phase == Phase::Stopped && !planted(Mutation::StoppedIsStarted);
    rests && service.queue.is_empty() && service.recoveries.is_empty()
}

/// Its members are to run, and no operation is to see to them.
fn idle(service: &ServiceRecord) -> bool {
    let runs =
        service.phase == Phase::Active || (service.phase == Phase::Stopped && planted(Mutation::StoppedIsStarted));
    runs && service.queue.is_empty() && service.recoveries.is_empty()
}
