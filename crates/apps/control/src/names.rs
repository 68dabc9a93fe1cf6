//! Names: the DNS zone, derived from the records and published whole at every change.
//!
//! **Invariant:** a member is in the zone only while its holder has mounted it ("publish last", design §5 step 4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use om_engines::catalog;
use om_model::mutation::{Mutation, planted};
use om_model::zone::{SERVER_LABELS, Zone, ZoneMember, ZoneService};
use om_model::{MemberName, NodeCondition, NodeId, ServiceId, ServiceRecord};

use crate::control::Control;
use crate::store::values;

/// The zone is derived again this often even if nothing wakes us.
const AGAIN_EVERY: Duration = Duration::from_secs(30);
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Where there are several nodes, the zone goes to each of their agents this often even if nothing changed: an agent that
/// was started again has none.
const PUSH_EVERY: Duration = Duration::from_secs(3);
const PUSH_WITHIN: Duration = Duration::from_secs(2);

/// The zone on its way to the agents.
#[derive(Default)]
pub(crate) struct Pushes(Mutex<Pushing>);

#[derive(Default)]
struct Pushing {
    newest: Option<Zone>,
    /// Nodes to which a task is giving it.
    busy: BTreeSet<NodeId>,
}

impl Pushes {
    fn lock(&self) -> MutexGuard<'_, Pushing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The zone that the task of `node` gives it next; none, with which the task ends, if `pushed` is the newest.
    fn next(&self, node: &NodeId, pushed: Option<&Zone>) -> Option<Zone> {
        let mut pushing = self.lock();
        let next = pushing.newest.clone().filter(|newest| pushed != Some(newest));
        if next.is_none() && !planted(Mutation::ZonePushedOnce) {
            pushing.busy.remove(node);
        }
        next
    }
}

impl Control {
    /// The server's own full names.
    pub(crate) fn server_names(&self) -> Vec<String> {
        SERVER_LABELS.iter().map(|label| format!("{label}.{}", self.settings.zone)).collect()
    }

    /// Publishes the zone at every change. Does not return.
    pub(crate) async fn keep_names(self: Arc<Self>) {
        let mut published: Option<Zone> = None;
        loop {
            let watches = (self.store.members.watch("").await, self.store.services.watch("").await);
            let (Ok(mut members_watch), Ok(mut services_watch)) = watches else {
                self.ports.runtime.clock.sleep(AFTER_FAILURE).await;
                continue;
            };
            if let Err(error) = self.publish_zone(&mut published).await {
                tracing::warn!(%error, "zone not published; tried again soon");
                self.ports.runtime.clock.sleep(AFTER_FAILURE).await;
                continue;
            }
            if self.settings.several_nodes
                && self.leads()
                && let Some(zone) = &published
                && let Err(error) = self.push_zone(zone).await
            {
                tracing::warn!(%error, "zone not given to the agents; tried again soon");
            }
            let change = futures::future::select(members_watch.changed(), services_watch.changed());
            let again = if self.settings.several_nodes { PUSH_EVERY } else { AGAIN_EVERY };
            self.ports.runtime.within(again, change).await;
        }
    }

    /// Has every node that is there answer from `zone`. Each node has a task of its own, so that none waits for another;
    /// one that is still busy with a former zone takes the newest next.
    async fn push_zone(self: &Arc<Self>, zone: &Zone) -> Result<(), crate::ControlError> {
        self.pushes.lock().newest = Some(zone.clone());
        for node in values(self.store.nodes.all("").await?) {
            if node.condition != NodeCondition::Present || !self.pushes.lock().busy.insert(node.id.clone()) {
                continue;
            }
            let (control, names) = (self.clone(), self.ports.agents.names(&node.id, node.agent));
            let push = async move {
                let mut pushed: Option<Zone> = None;
                while let Some(zone) = control.pushes.next(&node.id, pushed.as_ref()) {
                    let publish = control.ports.runtime.within(PUSH_WITHIN, names.publish(&zone));
                    if let Some(Err(error)) = publish.await {
                        tracing::debug!(node = %node.id, %error, "zone not taken; tried again soon");
                    }
                    pushed = Some(zone);
                }
            };
            self.ports.runtime.tasks.spawn("zone", Box::pin(push));
        }
        Ok(())
    }

    async fn publish_zone(&self, published: &mut Option<Zone>) -> Result<(), crate::ControlError> {
        let mut zone = self.derive_zone().await?;
        if let Some(before) = published {
            zone.serial = before.serial;
            if zone == *before {
                return Ok(());
            }
            zone.serial = before.serial.wrapping_add(1).max(self.serial_now());
        }
        self.ports.names.publish(&zone).await?;
        *published = Some(zone);
        Ok(())
    }

    /// Serials rise over restarts too: they follow the clock (seconds), and count up within a second.
    fn serial_now(&self) -> u32 {
        u32::try_from(self.now().as_millis() / 1000).unwrap_or(u32::MAX)
    }

    async fn derive_zone(&self) -> Result<Zone, crate::ControlError> {
        let services = values(self.store.services.all("").await?);
        let mut members = BTreeMap::new();
        let mut by_service: BTreeMap<ServiceId, Vec<MemberName>> = BTreeMap::new();
        for record in values(self.store.members.all("").await?) {
            let named = record.binding.published || planted(Mutation::NamedUnpublished);
            let (true, Some(address)) = (named, record.address) else { continue };
            by_service.entry(record.service.clone()).or_default().push(record.name.clone());
            let entry = ZoneMember { service: record.service, epoch: record.binding.epoch, address };
            members.insert(record.name, entry);
        }
        let entries = services.iter().map(|service| {
            let published = by_service.remove(&service.id).unwrap_or_default();
            (service.name.to_string(), entry(service, published))
        });
        let services = entries.collect();
        let label = |label: &str| (label.to_owned(), self.settings.server_addresses.clone());
        Ok(Zone {
            name: self.settings.zone.clone(),
            serial: self.serial_now(),
            fixed: SERVER_LABELS.into_iter().map(label).collect(),
            services,
            members,
        })
    }
}

fn entry(service: &ServiceRecord, published: Vec<MemberName>) -> ZoneService {
    let port = catalog::find(&service.spec.engine).map_or(0, |engine| engine.port());
    ZoneService {
        protocol: service.spec.engine.clone(),
        port,
        primaries: service.primary.iter().filter(|name| published.contains(name)).cloned().collect(),
        members: published,
    }
}
