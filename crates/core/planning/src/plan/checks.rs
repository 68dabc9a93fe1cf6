//! What must hold before there is a plan.

use std::collections::BTreeMap;

use om_engines::{Engine, catalog};
use om_model::spec::{REPLICAS_MAX, VOLUME_MAX};
use om_model::zone::{NAME_SERVER_LABEL, SERVER_LABELS, service_labels};
use om_model::{
    ByteSize, FieldError, Invalid, MemberName, Phase, ServiceName, ServiceRecord, ServiceSpec, VolumeSizes,
};

use super::{Members, Observed, Refusal};

/// The engine of a service that can be created.
pub(super) fn creatable(
    name: &ServiceName,
    spec: &ServiceSpec,
    observed: &Observed,
) -> Result<&'static dyn Engine, Refusal> {
    let engine = catalog::find(&spec.engine).map_err(Invalid::from)?;
    let mut found: Vec<_> = clash(name, spec.replicas, &observed.neighbours).into_iter().collect();
    found.extend(spec.problems());
    found.extend(unknown_version(spec, engine));
    found.extend(engine.problems(spec));
    found.extend(impossible_places(spec, &observed.zones));
    Invalid::unless_empty(found)?;
    Ok(engine)
}

/// Services that, if they exist, may have a DNS label in common with a new service of this name: the one whose member or
/// primary it would be named like, and those named like one of its own. No other can.
pub fn possible_neighbours(name: &ServiceName, replicas: u16) -> Vec<ServiceName> {
    // Labels differ from the service's name by one suffix only.
    let stem = name.as_str().rsplit_once('-').and_then(|(stem, _)| stem.parse().ok());
    let own = service_labels(name, replicas.min(REPLICAS_MAX)).into_iter().filter_map(|label| label.parse().ok());
    stem.into_iter().chain(own.filter(|other| other != name)).collect()
}

/// A DNS label has one owner: every service has its own for itself, its primary and each of its members.
fn clash(name: &ServiceName, replicas: u16, neighbours: &[ServiceRecord]) -> Option<FieldError> {
    let wanted = service_labels(name, replicas.min(REPLICAS_MAX));
    let platform = SERVER_LABELS.into_iter().chain([NAME_SERVER_LABEL]);
    let mut taken =
        platform.filter(|label| wanted.contains(*label)).map(|label| (label.to_owned(), "OpenManage".to_owned()));
    let of_others = neighbours.iter().filter(|other| other.name != *name).find_map(|other| {
        let label = service_labels(&other.name, other.spec.replicas).intersection(&wanted).next()?.clone();
        Some((label, format!("service {}", other.name)))
    });
    let (label, owner) = taken.next().or(of_others)?;
    let problem = format!("{name} needs the DNS name {label}, which {owner} has");
    let accepted = format!("a NAME for which none of NAME, NAME-primary, NAME-0 … is {label} or in use otherwise");
    Some(FieldError::new("name", problem, accepted))
}

/// A changed specification of a service that exists.
pub(super) fn acceptable(old: &ServiceSpec, spec: &ServiceSpec, engine: &dyn Engine) -> Result<(), Refusal> {
    let mut found = spec.problems();
    found.extend(engine.problems(spec));
    if found.is_empty() {
        found.extend(engine.not_at_once(old, spec));
    }
    Ok(Invalid::unless_empty(found)?)
}

fn unknown_version(spec: &ServiceSpec, engine: &dyn Engine) -> Option<FieldError> {
    let known: Vec<_> = engine.versions().iter().map(|version| version.name).collect();
    let problem = || format!("{:?} is not in this release for {}", spec.version, engine.name());
    (!known.contains(&spec.version.as_str())).then(|| FieldError::new("version", problem(), known.join(", ")))
}

fn impossible_places(spec: &ServiceSpec, zones: &[String]) -> Vec<FieldError> {
    let accepted = match zones {
        [] => "none: this cluster's nodes are in no zone".to_owned(),
        some => some.join(", "),
    };
    let unknown = spec.places.iter().filter(|place| !zones.contains(&place.zone));
    let mut found: Vec<_> = unknown
        .map(|place| FieldError::new("places", format!("zone {:?} has no node", place.zone), &accepted))
        .collect();
    let wanted = spec.places.len();
    if wanted > usize::from(spec.replicas) {
        let problem = format!("{} member(s) cannot be in {wanted} zones", spec.replicas);
        found.push(FieldError::new("replicas", problem, format!("at least {wanted}, or fewer zones")));
    }
    found
}

/// The service is meant to run.
pub(super) fn running(service: &ServiceRecord, verb: &str) -> Result<(), Refusal> {
    let next = match service.phase {
        Phase::Active => return Ok(()),
        Phase::Stopped => format!("start it first: openmanage start {}", service.name),
        Phase::Creating => {
            format!("its creation did not finish: see openmanage operations list --service {}", service.name)
        }
        Phase::Deleting => "wait for it to be gone".to_owned(),
    };
    Err(Refusal::Conflict {
        detail: format!("cannot {verb}: service {} is {}", service.name, service.phase.as_str()),
        next,
    })
}

/// `member`, if it is one of the service's.
pub(super) fn member_of(members: &Members, member: &MemberName) -> Result<MemberName, Refusal> {
    if members.names().contains(member) {
        return Ok(member.clone());
    }
    let known: Vec<_> = members.names().iter().map(MemberName::as_str).collect();
    Err(Invalid::from(FieldError::new("member", format!("{member} is not one of the service's"), known.join(", ")))
        .into())
}

/// `current` with `change` applied: `None` takes a value away.
pub(super) fn merge(current: &mut BTreeMap<String, String>, change: &BTreeMap<String, Option<String>>) {
    for (name, value) in change {
        match value {
            Some(value) => current.insert(name.clone(), value.clone()),
            None => current.remove(name),
        };
    }
}

/// The new sizes, none of them smaller than before.
pub(super) fn growable(
    service: &ServiceRecord,
    data: Option<ByteSize>,
    journal: Option<ByteSize>,
) -> Result<VolumeSizes, Refusal> {
    if !matches!(service.phase, Phase::Active | Phase::Stopped) {
        running(service, "grow volumes")?;
    }
    let now = service.spec.volumes;
    let mut found = Vec::new();
    let mut grown = |field: &str, now: ByteSize, wanted: Option<ByteSize>| {
        let wanted = wanted.unwrap_or(now);
        if wanted < now || wanted > VOLUME_MAX {
            found.push(FieldError::new(field, format!("is {wanted}"), format!("{now} (its size now) to {VOLUME_MAX}")));
        }
        wanted
    };
    let data = grown("volumes.data", now.data, data);
    let journal = match (now.journal, journal) {
        (Some(size), wanted) => Some(grown("volumes.journal", size, wanted)),
        (None, None) => None,
        (None, Some(_)) => {
            found.push(FieldError::new("volumes.journal", "the service has no journal volume", "none"));
            None
        }
    };
    Invalid::unless_empty(found)?;
    Ok(VolumeSizes { data, journal })
}
