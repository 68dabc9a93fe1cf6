//! Who may depend on whom: core <- ports <- adapters <- bin, core and ports <- apps <- bin.
//!
//! **Invariant:** only a crate in `bin` joins adapters to apps. Dev-dependencies may cross the layers, since a test joins
//! what it needs.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Finding;

/// A layer, by the folder a crate lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Core,
    Ports,
    Adapters,
    Apps,
    Bin,
    /// Tests, benchmarks and tools: they may use everything, and nothing else uses them.
    Around,
}

/// A crate of the workspace and what it is built from (build-dependencies included, dev-dependencies not).
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) layer: Layer,
    pub(super) dependencies: Vec<String>,
}

/// Crates that do I/O, run tasks, read clocks or draw chance: what core and ports are to be free of.
const OUTSIDE_WORLD: [&str; 13] = [
    "axum",
    "bollard",
    "etcd-client",
    "getrandom",
    "hickory-proto",
    "hyper",
    "mio",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "tokio",
    "tokio-postgres",
];

/// The workspace's crates, as cargo has them.
///
/// # Errors
/// If cargo cannot read the workspace.
pub(super) fn packages(root: &Path) -> Result<Vec<Package>> {
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec().context("run cargo metadata")?;
    let package = |package: cargo_metadata::Package| {
        let manifest = package.manifest_path.as_std_path();
        let folder = manifest.strip_prefix(root).unwrap_or(manifest);
        let built_from =
            package.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
        Package {
            name: package.name.to_string(),
            layer: layer_of(folder),
            dependencies: built_from.map(|dependency| dependency.name.clone()).collect(),
        }
    };
    Ok(metadata.packages.into_iter().map(package).collect())
}

fn layer_of(manifest: &Path) -> Layer {
    let parts: Vec<_> = manifest.iter().filter_map(|part| part.to_str()).take(2).collect();
    match parts[..] {
        ["crates", "core"] => Layer::Core,
        ["crates", "ports"] => Layer::Ports,
        ["crates", "adapters"] => Layer::Adapters,
        ["crates", "apps"] => Layer::Apps,
        ["crates", "bin"] => Layer::Bin,
        _ => Layer::Around,
    }
}

/// The layers that a crate of `layer` may be built from.
fn below(layer: Layer) -> &'static [Layer] {
    match layer {
        Layer::Core => &[Layer::Core],
        Layer::Ports | Layer::Adapters => &[Layer::Core, Layer::Ports],
        Layer::Apps => &[Layer::Core, Layer::Ports, Layer::Apps],
        Layer::Bin => &[Layer::Core, Layer::Ports, Layer::Adapters, Layer::Apps],
        Layer::Around => &[Layer::Core, Layer::Ports, Layer::Adapters, Layer::Apps, Layer::Bin, Layer::Around],
    }
}

/// Edges of the graph that the layers forbid.
pub(super) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in packages {
        for dependency in &package.dependencies {
            if let Some(target) = packages.iter().find(|other| other.name == *dependency) {
                // Ports may build on ports (api on backend), adapters never on adapters.
                let allowed = below(package.layer).contains(&target.layer);
                if !allowed {
                    let problem = format!(
                        "depends on {dependency}: {:?} may be built from {:?} only; join them in bin",
                        package.layer,
                        below(package.layer)
                    );
                    findings.push(Finding::new(&package.name, problem));
                }
            } else if matches!(package.layer, Layer::Core | Layer::Ports)
                && OUTSIDE_WORLD.contains(&dependency.as_str())
            {
                let problem =
                    format!("depends on {dependency}: {:?} does no I/O; make it a port and an adapter", package.layer);
                findings.push(Finding::new(&package.name, problem));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests;
