//! What a deployment's Swarm service looks like.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    EndpointSpec, EndpointSpecModeEnum, HealthConfig, Limit, Mount, MountTmpfsOptions, MountType, MountVolumeOptions,
    MountVolumeOptionsDriverConfig, NetworkAttachmentConfig, Service, ServiceSpec, ServiceSpecMode,
    ServiceSpecModeReplicated, ServiceSpecUpdateConfig, ServiceSpecUpdateConfigOrderEnum, TaskSpec,
    TaskSpecContainerSpec, TaskSpecContainerSpecDnsConfig, TaskSpecPlacement, TaskSpecResources, TaskSpecRestartPolicy,
    TaskSpecRestartPolicyConditionEnum,
};
use om_backend::DeploymentSpec;
use om_model::NodeId;
use sha2::{Digest, Sha256};

use crate::client::Settings;

/// Labels on everything of ours, services and containers: the cluster,
pub(crate) const LABEL_CLUSTER: &str = "com.openmanage.cluster";
/// the service's identity,
pub(crate) const LABEL_SERVICE: &str = "com.openmanage.service";
/// and the member's name;
pub(crate) const LABEL_MEMBER: &str = "com.openmanage.member";
/// on Swarm services also the deployment's name, which may be longer than Swarm allows,
pub(crate) const LABEL_DEPLOYMENT: &str = "com.openmanage.deployment";
/// a digest of what was asked for, to notice when something else is,
pub(crate) const LABEL_SPEC: &str = "com.openmanage.spec-hash";
/// and, once it was started, that it was.
pub(crate) const LABEL_STARTED: &str = "com.openmanage.started";

/// Longest name of a Swarm service.
const NAME_MAX: usize = 63;
/// Between the end of a container and the next attempt. Swarm's own default of five seconds is longer than a whole
/// move; with none at all a failing mount would be tried again as fast as the managers can write it down.
const RESTART_DELAY: Duration = Duration::from_millis(250);
const ON_NODE: &str = "node.hostname==";

/// The Swarm's name for the deployment `name`: itself, or where that is too long its beginning and a digest of it.
pub(crate) fn swarm_name(name: &str) -> String {
    if name.len() <= NAME_MAX {
        return name.to_owned();
    }
    let digest = hex(name.as_bytes());
    let kept: String = name.chars().take(NAME_MAX - 17).collect();
    format!("{}-{}", kept.trim_end_matches(['-', '_', '.']), &digest[..16])
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// A label of a service.
pub(crate) fn label<'a>(service: &'a Service, name: &str) -> Option<&'a str> {
    service.spec.as_ref()?.labels.as_ref()?.get(name).map(String::as_str)
}

/// How many containers the service is to have: none or one.
pub(crate) fn replicas(service: &Service) -> i64 {
    let mode = service.spec.as_ref().and_then(|spec| spec.mode.as_ref());
    mode.and_then(|mode| mode.replicated.as_ref()).and_then(|replicated| replicated.replicas).unwrap_or(0)
}

/// The node that the service is pinned to.
pub(crate) fn pinned_to(service: &Service) -> Option<NodeId> {
    let constraints = service.spec.as_ref()?.task_template.as_ref()?.placement.as_ref()?.constraints.as_ref()?;
    constraints.iter().find_map(|constraint| constraint.strip_prefix(ON_NODE))?.parse().ok()
}

/// How long the service's container gets to stop.
pub(crate) fn stop_within(service: &Service) -> Duration {
    let container = service.spec.as_ref().and_then(|spec| spec.task_template.as_ref()?.container_spec.as_ref());
    let nanos = container.and_then(|container| container.stop_grace_period).and_then(|nanos| u64::try_from(nanos).ok());
    nanos.map_or(Duration::from_secs(10), Duration::from_nanos)
}

/// `spec` with another number of containers; one or more mark it as started.
pub(crate) fn scaled(mut spec: ServiceSpec, replicas: i64) -> ServiceSpec {
    spec.mode = Some(replicated(replicas));
    if replicas > 0 {
        spec.labels.get_or_insert_default().insert(LABEL_STARTED.to_owned(), "true".to_owned());
    }
    spec
}

fn replicated(replicas: i64) -> ServiceSpecMode {
    let replicated = Some(ServiceSpecModeReplicated { replicas: Some(replicas) });
    ServiceSpecMode { replicated, ..ServiceSpecMode::default() }
}

/// The service's definition, not started, with its own digest on it.
pub(crate) fn definition(spec: &DeploymentSpec, settings: &Settings) -> ServiceSpec {
    let mut body = without_digest(spec, settings);
    // Through `Value`, whose maps are sorted: those of the definition are not.
    let text = serde_json::to_value(&body).map(|value| value.to_string()).unwrap_or_default();
    body.labels.get_or_insert_default().insert(LABEL_SPEC.to_owned(), hex(text.as_bytes()));
    body
}

fn without_digest(spec: &DeploymentSpec, settings: &Settings) -> ServiceSpec {
    let identity = [
        (LABEL_CLUSTER, settings.cluster.to_string()),
        (LABEL_SERVICE, spec.service.to_string()),
        (LABEL_MEMBER, spec.member.to_string()),
    ];
    let labels: HashMap<String, String> = identity.map(|(label, value)| (label.to_owned(), value)).into();
    let mut of_service = labels.clone();
    of_service.insert(LABEL_DEPLOYMENT.to_owned(), spec.name.clone());
    ServiceSpec {
        name: Some(swarm_name(&spec.name)),
        labels: Some(of_service),
        task_template: Some(task(spec, settings, labels)),
        mode: Some(replicated(0)),
        // Never two at once, should anybody ever update it.
        update_config: Some(ServiceSpecUpdateConfig {
            parallelism: Some(1),
            order: Some(ServiceSpecUpdateConfigOrderEnum::STOP_FIRST),
            ..ServiceSpecUpdateConfig::default()
        }),
        // No virtual address: a member is reached by its own.
        endpoint_spec: Some(EndpointSpec { mode: Some(EndpointSpecModeEnum::DNSRR), ports: None }),
        ..ServiceSpec::default()
    }
}

fn task(spec: &DeploymentSpec, settings: &Settings, labels: HashMap<String, String>) -> TaskSpec {
    let limits = Limit {
        memory_bytes: Some(signed(spec.resources.memory.as_bytes())),
        nano_cpus: spec.resources.cpu_millis.map(|millis| i64::from(millis) * 1_000_000),
        pids: None,
    };
    let host = NetworkAttachmentConfig { target: Some("host".to_owned()), ..NetworkAttachmentConfig::default() };
    TaskSpec {
        container_spec: Some(container(spec, settings, labels)),
        resources: Some(TaskSpecResources { limits: Some(limits), ..TaskSpecResources::default() }),
        restart_policy: Some(TaskSpecRestartPolicy {
            condition: Some(TaskSpecRestartPolicyConditionEnum::ANY),
            delay: Some(nanos(RESTART_DELAY)),
            // Zero: as often as it takes.
            max_attempts: Some(0),
            window: None,
        }),
        placement: Some(TaskSpecPlacement {
            constraints: spec.node.as_ref().map(|node| vec![format!("{ON_NODE}{node}")]),
            ..TaskSpecPlacement::default()
        }),
        networks: Some(vec![host]),
        ..TaskSpec::default()
    }
}

fn container(spec: &DeploymentSpec, settings: &Settings, labels: HashMap<String, String>) -> TaskSpecContainerSpec {
    let volumes = spec.volumes.iter().map(|(target, name)| volume(target, name, &settings.volume_driver));
    let nameservers: Vec<String> = settings.nameservers.iter().map(ToString::to_string).collect();
    TaskSpecContainerSpec {
        image: Some(spec.image.clone()),
        labels: Some(labels),
        // What a container calls its entry point; an image's own command is dropped with its own entry point.
        command: Some(spec.entrypoint.clone()),
        hostname: Some(spec.member.to_string()),
        dir: Some("/".to_owned()),
        // Our program needs root to hand the data to the engine's user; it drops to that user for the server.
        user: Some("0:0".to_owned()),
        mounts: Some(volumes.chain([shared_memory(spec.shared_memory)]).collect()),
        // The image's own health check and stop signal are for the image's own program.
        health_check: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        stop_signal: Some("SIGTERM".to_owned()),
        stop_grace_period: Some(nanos(spec.stop_within)),
        dns_config: (!nameservers.is_empty()).then(|| TaskSpecContainerSpecDnsConfig {
            nameservers: Some(nameservers),
            ..TaskSpecContainerSpecDnsConfig::default()
        }),
        init: Some(false),
        ..TaskSpecContainerSpec::default()
    }
}

fn volume(target: &str, name: &str, driver: &str) -> Mount {
    let driver =
        MountVolumeOptionsDriverConfig { name: Some(driver.to_owned()), ..MountVolumeOptionsDriverConfig::default() };
    Mount {
        typ: Some(MountType::VOLUME),
        target: Some(target.to_owned()),
        source: Some(name.to_owned()),
        // Nothing of the image is copied onto the volume, for which it would be mounted twice.
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            driver_config: Some(driver),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// Swarm has no setting for the size of the shared memory, but what is mounted there replaces Docker's 64 MiB.
fn shared_memory(size: u64) -> Mount {
    Mount {
        typ: Some(MountType::TMPFS),
        target: Some("/dev/shm".to_owned()),
        tmpfs_options: Some(MountTmpfsOptions { size_bytes: Some(signed(size)), mode: Some(0o1777), options: None }),
        ..Mount::default()
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn nanos(length: Duration) -> i64 {
    i64::try_from(length.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
