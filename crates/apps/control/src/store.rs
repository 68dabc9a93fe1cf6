//! All records, by kind.

use std::sync::Arc;

use om_controldb::records::Stored;
use om_controldb::{ControlDb, Records, Result};
use om_model::{
    MemberName, MemberRecord, NodeId, NodeRecord, Roster, ServiceId, ServiceName, ServiceRecord, VolumeRecord,
};

use crate::error::ControlError;
use crate::kinds;

/// The name of the one roster's record.
pub(crate) const ROSTER: &str = "agents";

/// The control database, typed.
pub(crate) struct Store {
    pub(crate) services: Records<kinds::Services>,
    pub(crate) service_ids: Records<kinds::ServiceIds>,
    pub(crate) members: Records<kinds::Members>,
    pub(crate) volumes: Records<kinds::Volumes>,
    pub(crate) operations: Records<kinds::Operations>,
    pub(crate) pending: Records<kinds::Pending>,
    pub(crate) requests: Records<kinds::Requests>,
    pub(crate) addresses: Records<kinds::Addresses>,
    pub(crate) secrets: Records<kinds::Secrets>,
    pub(crate) events: Records<kinds::Events>,
    pub(crate) history: Records<kinds::History>,
    pub(crate) nodes: Records<kinds::Nodes>,
    pub(crate) rosters: Records<kinds::Rosters>,
    pub(crate) leaders: Records<kinds::Leaders>,
    pub(crate) join_tokens: Records<kinds::JoinTokens>,
}

impl Store {
    pub(crate) fn new(db: Arc<dyn ControlDb>) -> Self {
        Self {
            services: Records::new(db.clone()),
            service_ids: Records::new(db.clone()),
            members: Records::new(db.clone()),
            volumes: Records::new(db.clone()),
            operations: Records::new(db.clone()),
            pending: Records::new(db.clone()),
            requests: Records::new(db.clone()),
            addresses: Records::new(db.clone()),
            secrets: Records::new(db.clone()),
            events: Records::new(db.clone()),
            history: Records::new(db.clone()),
            nodes: Records::new(db.clone()),
            rosters: Records::new(db.clone()),
            leaders: Records::new(db.clone()),
            join_tokens: Records::new(db),
        }
    }

    /// The service of that name.
    pub(crate) async fn service(&self, name: &ServiceName) -> std::result::Result<ServiceRecord, ControlError> {
        let stored = self.services.get(name.as_str()).await?;
        stored.map(|stored| stored.value).ok_or_else(|| ControlError::service(name))
    }

    /// The service with that identity.
    pub(crate) async fn service_by_id(&self, id: &ServiceId) -> Result<Option<ServiceRecord>> {
        let Some(name) = self.service_ids.get(id.as_str()).await? else { return Ok(None) };
        let stored = self.services.get(name.value.as_str()).await?;
        Ok(stored.map(|stored| stored.value).filter(|service| service.id == *id))
    }

    /// Its members, by index.
    pub(crate) async fn members_of(&self, id: &ServiceId) -> Result<Vec<MemberRecord>> {
        let mut members: Vec<_> = values(self.members.all(&format!("{id}/")).await?);
        members.sort_by_key(|member: &MemberRecord| member.index);
        Ok(members)
    }

    /// The member of that name.
    pub(crate) async fn member(&self, service: &ServiceId, name: &MemberName) -> Result<Option<MemberRecord>> {
        Ok(self.members.get(&member_key(service, name)).await?.map(|stored| stored.value))
    }

    /// The node of that name.
    pub(crate) async fn node(&self, id: &NodeId) -> Result<Option<NodeRecord>> {
        Ok(self.nodes.get(id.as_str()).await?.map(|stored| stored.value))
    }

    /// The roster; empty before the first node has joined.
    pub(crate) async fn roster(&self) -> Result<Roster> {
        Ok(self.rosters.get(ROSTER).await?.map(|stored| stored.value).unwrap_or_default())
    }

    /// Its volumes.
    pub(crate) async fn volumes_of(&self, id: &ServiceId) -> Result<Vec<VolumeRecord>> {
        let mut volumes = values(self.volumes.all(&format!("{id}_")).await?);
        volumes.append(&mut values(self.volumes.all(&format!("journal_{id}_")).await?));
        Ok(volumes)
    }
}

/// The records without their revisions.
pub(crate) fn values<T>(stored: Vec<Stored<T>>) -> Vec<T> {
    stored.into_iter().map(|stored| stored.value).collect()
}

/// The name of a member's record.
pub(crate) fn member_key(service: &ServiceId, member: &MemberName) -> String {
    format!("{service}/{member}")
}

/// Takes "it was there already" for success: for writes that are repeated after a crash.
pub(crate) fn or_exists<T>(result: Result<T>) -> Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) if error.is_conflict() => Ok(()),
        Err(error) => Err(error),
    }
}
