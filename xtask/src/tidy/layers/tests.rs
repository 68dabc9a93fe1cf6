use std::path::Path;

use super::*;

fn package(name: &str, layer: Layer, dependencies: &[&str]) -> Package {
    Package { name: name.into(), layer, dependencies: dependencies.iter().map(ToString::to_string).collect() }
}

fn tree(extra: Package) -> Vec<Package> {
    vec![
        package("model", Layer::Core, &["serde"]),
        package("backend", Layer::Ports, &["model", "futures"]),
        package("docker", Layer::Adapters, &["model", "backend", "tokio", "bollard"]),
        package("host", Layer::Adapters, &["backend"]),
        package("control", Layer::Apps, &["model", "backend"]),
        package("server", Layer::Apps, &["control", "axum"]),
        package("openmanage", Layer::Bin, &["docker", "server", "tokio"]),
        extra,
    ]
}

#[track_caller]
fn found(extra: Package, expected: &str) {
    let findings = check(&tree(extra));
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains(expected), "{}", findings[0]);
}

#[test]
fn the_layers_as_designed_are_clean() {
    assert_eq!(check(&tree(package("end-to-end", Layer::Around, &["openmanage", "docker", "model"]))), []);
}

#[test]
fn an_app_on_an_adapter_is_found() {
    found(package("agent", Layer::Apps, &["docker"]), "agent: depends on docker");
}

#[test]
fn an_adapter_on_an_adapter_is_found() {
    found(package("dns", Layer::Adapters, &["host"]), "dns: depends on host");
}

#[test]
fn an_adapter_on_an_app_is_found() {
    found(package("dns", Layer::Adapters, &["control"]), "dns: depends on control");
}

#[test]
fn a_port_on_an_adapter_is_found() {
    found(package("api", Layer::Ports, &["docker"]), "api: depends on docker");
}

#[test]
fn core_on_a_port_is_found() {
    found(package("planning", Layer::Core, &["backend"]), "planning: depends on backend");
}

#[test]
fn core_on_the_outside_world_is_found() {
    found(package("planning", Layer::Core, &["tokio"]), "planning: depends on tokio");
}

#[test]
fn a_port_on_a_vendor_is_found() {
    found(package("api", Layer::Ports, &["bollard"]), "api: depends on bollard");
}

#[test]
fn nothing_depends_on_a_program() {
    found(package("other", Layer::Bin, &["openmanage"]), "other: depends on openmanage");
}

#[test]
fn the_layer_is_the_folder() {
    assert_eq!(layer_of(Path::new("crates/core/model/Cargo.toml")), Layer::Core);
    assert_eq!(layer_of(Path::new("crates/bin/openmanage/Cargo.toml")), Layer::Bin);
    assert_eq!(layer_of(Path::new("tests/Cargo.toml")), Layer::Around);
}

#[test]
fn cargo_tells_every_layer_of_this_workspace() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies below the root");
    let packages = packages(root).expect("cargo metadata");
    for layer in [Layer::Core, Layer::Ports, Layer::Adapters, Layer::Apps, Layer::Bin, Layer::Around] {
        assert!(packages.iter().any(|package| package.layer == layer), "no crate in {layer:?}");
    }
    let model = packages.iter().find(|package| package.name == "om-model").expect("om-model is in the workspace");
    assert!(model.dependencies.iter().any(|name| name == "serde"), "{model:?}");
}
