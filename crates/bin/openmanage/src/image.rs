//! `openmanage image build`: an image from the distribution's packages, for sites without a registry.

use anyhow::{Context, Result, bail};
use om_engines::catalog;

/// Builds the image of `engine`, unless it is there.
pub(crate) async fn build(engine: &str, version: Option<&str>, quiet: bool) -> Result<()> {
    let engine = catalog::find(engine)?;
    let packaged: Vec<_> =
        engine.versions().iter().filter_map(|v| v.package.map(|package| (v.name, package))).collect();
    let wanted = version.unwrap_or(engine.default_version());
    let Some((version, package)) = packaged.iter().find(|(name, _)| *name == wanted) else {
        let known: Vec<_> = packaged.iter().map(|(name, _)| *name).collect();
        bail!("version: {wanted:?} cannot be built for {}; accepted: {}", engine.name(), known.join(", "));
    };
    let tag = format!("openmanage/{}:{version}", engine.name());
    let progress = |text: &str| {
        if !quiet {
            println!("{text}");
        }
    };
    om_docker::build_image(engine.name(), package, version, &tag, &progress)
        .await
        .with_context(|| format!("cannot build {tag}"))
}
