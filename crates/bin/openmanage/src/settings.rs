//! What may differ from one start of `up` on a state directory to the next, and what may not.
//!
//! **Invariant:** a cluster's name, the kind of its control database and the kind of its volumes hold for the life of its
//! state directory: with others, its containers, names and volumes would be nobody's.

use anyhow::{Result, bail};
use om_cli::{ControlDbKind, UpSettings, VolumeKind};

/// What goes for this start: what is asked, and the members' network as it was if that is left open. Refused where it
/// would make another cluster of the one that `kept` was.
pub(crate) fn settle(kept: Option<UpSettings>, asked: UpSettings) -> Result<UpSettings> {
    let Some(kept) = kept else { return Ok(asked) };
    let differing = [
        ("--cluster", kept.cluster.to_string(), asked.cluster.to_string()),
        ("--controldb", control_db(&kept).to_owned(), control_db(&asked).to_owned()),
        ("--volume-kind", volumes(&kept).to_owned(), volumes(&asked).to_owned()),
    ];
    let Some((flag, was, is)) = differing.iter().find(|(_, was, is)| was != is) else {
        return Ok(UpSettings { subnet: asked.subnet.or(kept.subnet), ..asked });
    };
    bail!(
        "{flag}: {} was begun with {was}, not {is}: start it with {flag} {was}, or name another directory with --state \
         (`openmanage cluster teardown` removes the old cluster)",
        kept.state.display()
    )
}

const fn control_db(settings: &UpSettings) -> &'static str {
    match settings.control_db {
        ControlDbKind::Sqlite => "sqlite",
        ControlDbKind::Etcd(_) => "etcd",
    }
}

const fn volumes(settings: &UpSettings) -> &'static str {
    match settings.volumes {
        VolumeKind::Images => "images",
        VolumeKind::Directories => "directories",
    }
}

#[cfg(test)]
mod tests;
