//! Reporting to the servers, about once a second: what this node has, and what it is to give up.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use om_backend::control_plane::Held;
use om_backend::{ErrorKind, NodeReport, PortError, Result};
use om_model::mutation::{Mutation, planted};

use crate::agent::{Agent, ClusterSettings};
use crate::survey::Mounted;

const EVERY: Duration = Duration::from_secs(1);
/// How long the servers may take to answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);

impl Agent {
    /// Reports for ever. A failure is told once for each reason.
    pub(crate) async fn report_always(&self, cluster: &ClusterSettings) {
        let mut failing: Option<String> = None;
        loop {
            match self.report(cluster).await {
                Ok(()) => {
                    if failing.take().is_some() {
                        tracing::info!("the servers answer again");
                        self.announce_beside();
                    }
                    let agent = self.clone();
                    self.beside("sweep", "addresses".to_owned(), async move { agent.sweep_addresses().await });
                }
                Err(error) => {
                    let reason = error.to_string();
                    if failing.as_ref() != Some(&reason) {
                        tracing::warn!(%error, "the node is not reported; its members run on");
                    }
                    failing = Some(reason);
                }
            }
            self.sleep(EVERY).await;
        }
    }

    /// Tells the neighbours of this node's addresses again, beside the caller.
    pub(crate) fn announce_beside(&self) {
        let agent = self.clone();
        self.beside("announce", "addresses".to_owned(), async move { agent.announce_addresses().await });
    }

    /// A voter said no or nothing. One that refused may know what this agent does not yet: a server is asked at once.
    pub(crate) fn not_voted(&self, error: &PortError) {
        tracing::debug!(%error, "no vote");
        if error.kind == ErrorKind::Refused {
            let agent = self.clone();
            let asked = async move {
                match &agent.settings.cluster {
                    Some(cluster) => agent.report(cluster).await,
                    None => Ok(()),
                }
            };
            self.beside("report", "this node".to_owned(), asked);
        }
    }

    /// One report. Takes over the roster and begins to fence what is over. When it returns, every mount that was there
    /// before and is not known to be [over](Self::is_over) was confirmed by a server meanwhile.
    pub(crate) async fn report(&self, cluster: &ClusterSettings) -> Result<()> {
        let report = NodeReport {
            node: self.ports.host.node(),
            incarnation: self.ports.host.incarnation(),
            address: cluster.address,
            agent: cluster.agent,
            zone: cluster.zone.clone(),
            roster: self.roster().revision,
            held: self.held().await?,
            volumes: self.ports.volumes.name().to_owned(),
            single_writer_by: self.ports.volumes.single_writer_by().to_owned(),
            version: cluster.version.clone(),
        };
        let answer = self.ports.runtime.within(ANSWERED_WITHIN, self.ports.control.report(&report)).await;
        let orders = answer.unwrap_or_else(|| {
            Err(PortError::new(ErrorKind::TimedOut, "report", "this node", "no server answered in time"))
        })?;
        self.note_over(&orders.over, &report.held);
        for held in orders.over.into_iter().filter(|_| !planted(Mutation::OverIgnored)) {
            let agent = self.clone();
            let subject = format!("member {} of {}", held.member, held.service);
            self.beside("give up", subject, async move { agent.give_up(&held).await });
        }
        self.take_roster(orders.roster).await
    }

    /// Every member that has anything mounted here, by epoch.
    async fn held(&self) -> Result<Vec<Held>> {
        let mut held: Vec<Held> = self.survey().await?.iter().map(held_by).collect();
        held.sort_by(|one, other| {
            (&one.service, &one.member, one.epoch).cmp(&(&other.service, &other.member, other.epoch))
        });
        held.dedup();
        Ok(held)
    }

    fn over(&self) -> MutexGuard<'_, Vec<Held>> {
        self.known.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what is over; forgets what is not mounted any more. What is over stays so, whatever an older answer says.
    fn note_over(&self, news: &[Held], mounted: &[Held]) {
        let mut over = self.over();
        over.retain(|known| mounted.contains(known));
        let new: Vec<Held> = news.iter().filter(|held| !over.contains(held)).cloned().collect();
        over.extend(new);
    }

    /// True if a server said that another holder's turn has come.
    pub(crate) fn is_over(&self, mounted: &Mounted) -> bool {
        self.over().contains(&held_by(mounted))
    }

    async fn give_up(&self, held: &Held) -> Result<()> {
        tracing::warn!(member = %held.member, epoch = %held.epoch, "over: another holder's turn has come");
        self.fence_here(&held.service, &held.member, held.epoch).await?;
        match self.ports.control.released(&held.service, &held.member, held.epoch).await {
            // The service was deleted meanwhile: nobody waits for this.
            Err(error) if error.kind == ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

fn held_by(mounted: &Mounted) -> Held {
    let volume = &mounted.volume;
    Held { service: volume.service.clone(), member: volume.member.clone(), epoch: mounted.epoch }
}
