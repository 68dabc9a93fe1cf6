//! What the tests of plans and rollbacks share: a service called orders, and plans as text.

use om_model::{
    ByteSize, MemberName, Phase, Resources, ServiceId, ServiceName, ServiceRecord, ServiceSpec, Timestamp, VolumeId,
    VolumeRecord, VolumeSizes,
};

use crate::{Change, Observed, Plan, Refusal, Step, plan};

/// Ten gibibytes.
pub(crate) const TEN: ByteSize = ByteSize::bytes(10 << 30);
/// Twenty gibibytes.
pub(crate) const TWENTY: ByteSize = ByteSize::bytes(20 << 30);

/// The service's name.
pub(crate) fn orders() -> ServiceName {
    "orders".parse().expect("a name")
}

/// The service's identity.
pub(crate) fn id() -> ServiceId {
    "00112233445566778899aabbccddeeff".parse().expect("an id")
}

/// The member `index`.
pub(crate) fn member(index: u16) -> MemberName {
    MemberName::of(&orders(), index)
}

/// PostgreSQL with that many members.
pub(crate) fn spec(replicas: u16) -> ServiceSpec {
    ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas,
        resources: Resources { memory: ByteSize::bytes(1 << 30), cpu_millis: None },
        volumes: VolumeSizes { data: TEN, journal: None },
        settings: [].into(),
        options: [].into(),
        places: vec![],
    }
}

/// The service with that specification, in that phase, with all its volumes. Its primary is the member 1.
pub(crate) fn existing(spec: ServiceSpec, phase: Phase) -> Observed {
    let volume = |index| {
        let of = move |(role, size)| VolumeRecord {
            id: VolumeId { service: id(), member: member(index), role },
            service_name: orders(),
            engine: "postgresql".into(),
            size,
            provider: "local".into(),
            formatted: true,
            created: Timestamp::default(),
            kept_since: None,
        };
        spec.volumes.each().map(of).collect::<Vec<_>>()
    };
    let volumes = (0..spec.replicas).flat_map(volume).collect();
    let service = ServiceRecord {
        name: orders(),
        id: id(),
        phase,
        primary: Some(member(1.min(spec.replicas - 1))),
        spec,
        queue: vec![],
        recoveries: vec![],
        origin: "ffeeddccbbaa99887766554433221100".parse().expect("an id"),
        configuration: 1,
        created: Timestamp::default(),
    };
    Observed { service: Some(service), volumes, ..Observed::default() }
}

/// The plan for a change, made twice: the same both times.
pub(crate) fn planned(change: &Change, observed: &Observed) -> Result<Plan, Refusal> {
    let first = plan(&orders(), &id(), change, observed);
    assert_eq!(first, plan(&orders(), &id(), change, observed), "planning is a function of its arguments");
    first
}

/// What a plan does, one step a line.
pub(crate) fn text(plan: &Plan) -> String {
    assert!(plan.steps.iter().all(|planned| !planned.reason.is_empty()), "every step has a reason");
    plan.steps.iter().map(|planned| planned.step.describe() + "\n").collect()
}

/// Compares what a plan does with the lines expected, indented as they may be.
#[track_caller]
pub(crate) fn assert_does(plan: &Plan, expected: &str) {
    let expected: String = expected.trim().lines().map(|line| line.trim().to_owned() + "\n").collect();
    let expected = if expected == "\n" { String::new() } else { expected };
    assert_eq!(text(plan), expected, "is:\n{}\nexpected:\n{expected}", text(plan));
}

/// True if the plan has a note that contains `words`.
pub(crate) fn notes(plan: &Plan, words: &str) -> bool {
    plan.notes.iter().any(|note| note.contains(words))
}

/// New values of settings.
pub(crate) fn configure(settings: &[(&str, Option<&str>)]) -> Change {
    let setting = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
    Change::Configure { settings: settings.iter().map(setting).collect(), options: [].into() }
}

/// The specification that a plan stores.
pub(crate) fn stored(plan: &Plan) -> Option<&ServiceSpec> {
    plan.steps.iter().find_map(|planned| match &planned.step {
        Step::StoreSpec { spec, .. } => Some(&**spec),
        _ => None,
    })
}
