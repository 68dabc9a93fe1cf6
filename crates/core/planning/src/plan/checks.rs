//! What must hold before there is a plan.

use std::collections::BTreeMap;

use om_engines::{Engine, catalog};
use om_model::spec::VOLUME_MAX;
use om_model::{ByteSize, FieldError, Invalid, MemberName, Phase, ServiceRecord, ServiceSpec, VolumeSizes};

use super::{Members, Refusal};

/// The engine of a specification that can be created.
pub(super) fn creatable(spec: &ServiceSpec, zones: &[String]) -> Result<&'static dyn Engine, Refusal> {
    let engine = catalog::find(&spec.engine).map_err(Invalid::from)?;
    let mut found = spec.problems();
    found.extend(unknown_version(spec, engine));
    found.extend(engine.problems(spec));
    found.extend(impossible_places(spec, zones));
    Invalid::unless_empty(found)?;
    Ok(engine)
}

/// A changed specification of a service that exists.
pub(super) fn acceptable(spec: &ServiceSpec, engine: &dyn Engine) -> Result<(), Refusal> {
    let mut found = spec.problems();
    found.extend(engine.problems(spec));
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
    let mut found: Vec<_> =
        unknown.map(|place| FieldError::new("places", format!("zone {:?} has no node", place.zone), &accepted)).collect();
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
        Phase::Creating => format!("its creation did not finish: see openmanage operations list --service {}", service.name),
        Phase::Deleting => "wait for it to be gone".to_owned(),
    };
    Err(Refusal::Conflict { detail: format!("cannot {verb}: service {} is {}", service.name, service.phase.as_str()), next })
}

/// `member`, if it is one of the service's.
pub(super) fn member_of(members: &Members, member: &MemberName) -> Result<MemberName, Refusal> {
    if members.names().contains(member) {
        return Ok(member.clone());
    }
    let known: Vec<_> = members.names().iter().map(MemberName::as_str).collect();
    Err(Invalid::from(FieldError::new("member", format!("{member} is not one of the service's"), known.join(", "))).into())
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
