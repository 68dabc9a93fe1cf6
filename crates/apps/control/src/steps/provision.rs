//! Steps that make and remove what a service consists of: members, volumes, deployments, records.

use std::collections::BTreeMap;

use om_backend::{DeploymentSpec, MountName};
use om_engines::{catalog, member};
use om_model::mutation::{Mutation, planted};
use om_model::{
    ByteSize, Invalid, MemberName, MemberRecord, NodeId, ServiceId, ServiceName, ServiceRecord, VolumeId, VolumeRecord,
};

use super::{StepError, deployment_name};
use crate::control::Control;
use crate::error::ControlError;
use crate::store::{member_key, or_exists};

/// Shared memory of a container: PostgreSQL's parallel workers use it, and Docker's default of 64 MiB is too little.
const SHARED_MEMORY: u64 = 256 << 20;

impl Control {
    pub(super) async fn add_member(
        &self,
        service_name: &ServiceName,
        service: &ServiceId,
        name: &MemberName,
        index: u16,
        node: Option<&NodeId>,
    ) -> Result<(), StepError> {
        let key = member_key(service, name);
        if self.store.members.get(&key).await?.is_some() {
            return Ok(());
        }
        let node = self.still_good(service_name, service, name, index, node).await?;
        let address = Some(self.reserve_address(service_name, service, name, node.as_ref()).await?);
        let record = MemberRecord {
            name: name.clone(),
            service: service.clone(),
            service_name: service_name.clone(),
            index,
            address,
            binding: om_model::Binding { assigned: node, ..om_model::Binding::default() },
            replacement: 0,
        };
        Ok(or_exists(self.store.members.create(&key, &record).await)?)
    }

    pub(super) async fn remove_member(&self, service: &ServiceId, name: &MemberName) -> Result<(), StepError> {
        self.store.members.remove(&member_key(service, name)).await?;
        Ok(self.free_addresses(service, name, None).await?)
    }

    /// The record first: a volume without one would be leaked by a crash in between.
    pub(super) async fn create_volume(
        &self,
        service_name: &ServiceName,
        id: &VolumeId,
        size: ByteSize,
    ) -> Result<(), StepError> {
        let service = self.store.service(service_name).await?;
        let member = self.store.member(&id.service, &id.member).await?;
        let provider = self.provider(member.as_ref().and_then(|member| member.place())).await?;
        let record = VolumeRecord {
            id: id.clone(),
            service_name: service_name.clone(),
            engine: service.spec.engine,
            size,
            provider: provider.name().to_owned(),
            formatted: false,
            created: self.now(),
            kept_since: None,
        };
        or_exists(self.store.volumes.create(&id.to_string(), &record).await)?;
        Ok(provider.create(id, size).await?)
    }

    pub(super) async fn keep_volume(&self, id: &VolumeId) -> Result<(), StepError> {
        let now = self.now();
        let keep = |volume: &VolumeRecord| {
            volume.kept_since.is_none().then(|| VolumeRecord { kept_since: Some(now), ..volume.clone() })
        };
        self.store.volumes.change(&id.to_string(), keep).await?;
        Ok(())
    }

    pub(super) async fn remove_volume(&self, id: &VolumeId) -> Result<(), StepError> {
        let member = self.store.member(&id.service, &id.member).await?;
        let provider = self.provider(member.as_ref().and_then(|member| member.place())).await?;
        if !planted(Mutation::VolumesLeft) {
            provider.delete(id).await?;
        }
        Ok(self.store.volumes.remove(&id.to_string()).await?)
    }

    /// The file system grows in use where the kernel lets us (it asks for CAP_SYS_RESOURCE); elsewhere at the next mount,
    /// which a restart of the member brings about.
    pub(super) async fn grow_volume(
        &self,
        service: &ServiceName,
        id: &VolumeId,
        size: ByteSize,
    ) -> Result<(), StepError> {
        let Some(member) = self.store.member(&id.service, &id.member).await? else {
            return Err(StepError::ForGood(format!("{} is gone", id.member)));
        };
        self.provider(member.place()).await?.grow(id, size).await?;
        match self.agent_of(&member).await?.grow(id).await {
            Ok(()) => {}
            Err(error) if error.kind == om_backend::ErrorKind::Refused => {
                tracing::info!(volume = %id, %error, "restarting the member instead");
                self.restart_member(service, &id.service, &id.member).await?;
            }
            Err(error) => return Err(error.into()),
        }
        let grown = |volume: &VolumeRecord| (volume.size < size).then(|| VolumeRecord { size, ..volume.clone() });
        self.store.volumes.change(&id.to_string(), grown).await?;
        Ok(())
    }

    pub(super) async fn create_deployment(&self, service: &ServiceName, name: &MemberName) -> Result<(), StepError> {
        let spec = self.deployment_spec(service, name).await?;
        Ok(self.ports.orchestrator.create(&spec).await?)
    }

    pub(crate) async fn deployment_spec(
        &self,
        service: &ServiceName,
        name: &MemberName,
    ) -> Result<DeploymentSpec, StepError> {
        let service = self.store.service(service).await?;
        let engine = catalog::find(&service.spec.engine).map_err(|error| ControlError::from(Invalid::from(error)))?;
        let gone = || StepError::ForGood(format!("{name} is gone"));
        let record = self.store.member(&service.id, name).await?.ok_or_else(gone)?;
        let image = self.ports.orchestrator.image(&image_candidates(&service)).await?;
        Ok(DeploymentSpec {
            name: deployment_name(&record),
            service: service.id.clone(),
            service_name: service.name.clone(),
            member: name.clone(),
            image,
            entrypoint: vec![format!("{}/{}/{}", member::DATA_MOUNT, member::CONTROL_DIR, member::PROGRAM)],
            volumes: mounts(&service, name),
            node: record.binding.assigned,
            address: record.address,
            resources: service.spec.resources,
            // The member program needs a moment of its own after the engine's bound, to end what did not stop.
            stop_within: engine.stop_within() + std::time::Duration::from_secs(10),
            shared_memory: SHARED_MEMORY,
        })
    }

    pub(super) async fn remove_service(&self, name: &ServiceName, id: &ServiceId) -> Result<(), StepError> {
        self.sweep_deployments(id).await?;
        // The service's record last: once it is gone, nothing would come back to remove the rest.
        self.store.service_ids.remove(id.as_str()).await?;
        if let Some(stored) = self.store.services.get(name.as_str()).await?
            && stored.value.id == *id
        {
            self.store.services.delete(&stored).await?;
        }
        Ok(())
    }
}

/// The image asked for; else one of our own, built for sites without a registry; else the official one.
fn image_candidates(service: &ServiceRecord) -> Vec<String> {
    if let Some(image) = &service.spec.image {
        return vec![image.clone()];
    }
    let (engine, version) = (&service.spec.engine, &service.spec.version);
    let mut candidates = vec![format!("openmanage/{engine}:{version}")];
    let official = catalog::find(engine).ok().and_then(|engine| engine.versions().iter().find(|v| v.name == version));
    candidates.extend(official.map(|version| version.official_image.to_owned()));
    candidates
}

fn mounts(service: &ServiceRecord, name: &MemberName) -> BTreeMap<String, String> {
    let mount = |role| MountName { service: service.id.clone(), member: Some(name.clone()), role }.to_string();
    service.spec.volumes.each().map(|(role, _)| (member::mount_of(role).to_owned(), mount(role))).collect()
}
