//! What a deployment's container looks like.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountType, MountVolumeOptions, MountVolumeOptionsDriverConfig, NetworkingConfig, RestartPolicy,
    RestartPolicyNameEnum,
};
use om_backend::DeploymentSpec;
use sha2::{Digest, Sha256};

/// Labels on everything of ours: the cluster,
pub(crate) const LABEL_CLUSTER: &str = "com.openmanage.cluster";
/// and on containers the service's identity,
pub(crate) const LABEL_SERVICE: &str = "com.openmanage.service";
/// the member's name,
pub(crate) const LABEL_MEMBER: &str = "com.openmanage.member";
/// and a digest of what was asked for, to notice when something else is.
pub(crate) const LABEL_SPEC: &str = "com.openmanage.spec-hash";

/// What the cluster adds to a deployment's spec.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    pub(crate) cluster: String,
    pub(crate) network: String,
    pub(crate) gateway: String,
    pub(crate) volume_driver: String,
}

/// The container's definition, with its own digest on it.
pub(crate) fn definition(spec: &DeploymentSpec, around: &Surroundings) -> ContainerCreateBody {
    let mut body = without_digest(spec, around);
    let digest = digest(&body);
    body.labels.get_or_insert_default().insert(LABEL_SPEC.to_owned(), digest);
    body
}

/// A digest that is the same for the same definition in every build of this program.
fn digest(body: &ContainerCreateBody) -> String {
    // Through `Value`, whose maps are sorted: those of the definition are not.
    let text = serde_json::to_value(body).map(|value| value.to_string()).unwrap_or_default();
    Sha256::digest(text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn without_digest(spec: &DeploymentSpec, around: &Surroundings) -> ContainerCreateBody {
    let labels = [
        (LABEL_CLUSTER, around.cluster.clone()),
        (LABEL_SERVICE, spec.service.to_string()),
        (LABEL_MEMBER, spec.member.to_string()),
    ];
    let address = spec.address.map(|address| address.to_string());
    let ipam = address.map(|ipv4| EndpointIpamConfig { ipv4_address: Some(ipv4), ..EndpointIpamConfig::default() });
    let endpoint = EndpointSettings { ipam_config: ipam, ..EndpointSettings::default() };
    ContainerCreateBody {
        hostname: Some(spec.member.to_string()),
        // Our program needs root to hand the data to the engine's user; it drops to that user for the server.
        user: Some("0:0".to_owned()),
        image: Some(spec.image.clone()),
        // An image's own command is dropped by Docker when the entry point is replaced.
        entrypoint: Some(spec.entrypoint.clone()),
        working_dir: Some("/".to_owned()),
        // The image's own health check and stop signal are for the image's own program.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        stop_signal: Some("SIGTERM".to_owned()),
        stop_timeout: Some(i64::try_from(spec.stop_within.as_secs()).unwrap_or(i64::MAX)),
        labels: Some(labels.map(|(label, value)| (label.to_owned(), value)).into()),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(around.network.clone(), endpoint)])),
        }),
        host_config: Some(host_config(spec, around)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(spec: &DeploymentSpec, around: &Surroundings) -> HostConfig {
    let bytes = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let memory = bytes(spec.resources.memory.as_bytes());
    let log_options = [("max-size", "32m"), ("max-file", "4")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    HostConfig {
        network_mode: Some(around.network.clone()),
        mounts: Some(spec.volumes.iter().map(|(target, name)| mount(target, name, around)).collect()),
        // Docker's own resolver in the container forwards to the node's name service what is not a container's name.
        dns: Some(vec![around.gateway.clone()]),
        memory: Some(memory),
        // As much with swap as without: a database that swaps is worse than one that is killed.
        memory_swap: Some(memory),
        nano_cpus: spec.resources.cpu_millis.map(|millis| i64::from(millis) * 1_000_000),
        shm_size: Some(bytes(spec.shared_memory)),
        init: Some(false),
        // Started again after a crash and after a reboot, but not what was stopped (`always` would start that with the
        // daemon).
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::UNLESS_STOPPED),
            maximum_retry_count: None,
        }),
        log_config: Some(HostConfigLogConfig { typ: Some("json-file".to_owned()), config: Some(log_options.into()) }),
        ..HostConfig::default()
    }
}

fn mount(target: &str, name: &str, around: &Surroundings) -> Mount {
    let driver = MountVolumeOptionsDriverConfig {
        name: Some(around.volume_driver.clone()),
        ..MountVolumeOptionsDriverConfig::default()
    };
    Mount {
        typ: Some(MountType::VOLUME),
        target: Some(target.to_owned()),
        source: Some(name.to_owned()),
        // Nothing of the image is copied onto the volume.
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            driver_config: Some(driver),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

#[cfg(test)]
mod tests;
