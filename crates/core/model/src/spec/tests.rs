use super::*;

fn spec() -> ServiceSpec {
    ServiceSpec {
        engine: "postgresql".into(),
        version: "15".into(),
        image: None,
        replicas: 3,
        resources: Resources { memory: MEMORY_MIN, cpu_millis: None },
        volumes: VolumeSizes { data: VOLUME_MIN, journal: None },
        settings: BTreeMap::new(),
        options: BTreeMap::new(),
        places: vec![],
    }
}

fn problems(spec: &ServiceSpec) -> Vec<String> {
    spec.problems().iter().map(ToString::to_string).collect()
}

#[test]
fn the_edges_are_accepted() {
    assert_eq!(problems(&spec()), [""; 0]);
    let most = ServiceSpec {
        replicas: REPLICAS_MAX,
        resources: Resources { memory: ByteSize::bytes(1 << 40), cpu_millis: Some(1_024_000) },
        volumes: VolumeSizes { data: VOLUME_MAX, journal: Some(VOLUME_MAX) },
        ..spec()
    };
    assert_eq!(problems(&most), [""; 0]);
}

#[test]
fn counts_of_members_out_of_range_are_refused() {
    assert_eq!(problems(&ServiceSpec { replicas: 0, ..spec() }), ["replicas: is 0; accepted: 1 to 100"]);
    assert_eq!(problems(&ServiceSpec { replicas: 1000, ..spec() }), ["replicas: is 1000; accepted: 1 to 100"]);
}

#[test]
fn sizes_out_of_range_are_refused_each_with_its_field() {
    let sizes = |data: u64, journal: Option<u64>| {
        let volumes = VolumeSizes { data: ByteSize::bytes(data), journal: journal.map(ByteSize::bytes) };
        problems(&ServiceSpec { volumes, ..spec() })
    };
    assert_eq!(sizes(0, None), ["volumes.data: is 0 B; accepted: 256 MiB to 65536 GiB"]);
    assert_eq!(sizes((256 << 20) - 1, None).len(), 1);
    assert_eq!(sizes((64 << 40) + 1, Some(0)).len(), 2, "all refusals together");
    assert_eq!(
        sizes(1 << 30, Some(u64::MAX)),
        [format!("volumes.journal: is {} B; accepted: 256 MiB to 65536 GiB", u64::MAX)]
    );
}

#[test]
fn too_little_memory_and_impossible_shares_of_cpu_are_refused() {
    let with = |memory, cpu_millis| {
        problems(&ServiceSpec { resources: Resources { memory: ByteSize::bytes(memory), cpu_millis }, ..spec() })
    };
    assert_eq!(with(1 << 20, None), ["resources.memory: is 1 MiB; accepted: at least 128 MiB"]);
    for cpu in [0, 9, 1_024_001] {
        let said = with(1 << 30, Some(cpu));
        assert_eq!(said, ["resources.cpu_millis: is out of range; accepted: 10 to 1024000 thousandths of a CPU"]);
    }
}

#[test]
fn a_misspelt_field_is_not_passed_over() {
    let mut json = serde_json::to_value(spec()).expect("plain data");
    json["replicsa"] = 5.into();
    let error = serde_json::from_value::<ServiceSpec>(json).expect_err("unknown field");
    assert!(error.to_string().contains("replicsa"), "{error}");
}

#[test]
fn volumes_are_told_with_what_they_are_for() {
    let both = VolumeSizes { data: VOLUME_MAX, journal: Some(VOLUME_MIN) };
    assert_eq!(both.each().collect::<Vec<_>>(), [(VolumeRole::Data, VOLUME_MAX), (VolumeRole::Journal, VOLUME_MIN)]);
}
