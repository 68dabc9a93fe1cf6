//! The original's command lines, translated.

use std::ffi::OsString;

use super::*;

fn asked(line: &str) -> Result<Asked, String> {
    translate(&Flags::parse(&line.split_whitespace().map(OsString::from).collect::<Vec<_>>())?)
}

fn created(line: &str) -> CreateService {
    match asked(line).unwrap_or_else(|error| panic!("{line}: {error}")).work {
        Work::Create(request) => request,
        other => panic!("{other:?}"),
    }
}

/// The README's two command lines, to the letter.
#[test]
fn the_two_command_lines_of_the_readme() {
    let line = "-op=create-service -service-type=postgresql -server-url=openmange-manageserver.test-openmanage.com:27040 \
                -region=us-east-1 -cluster=test -service-name=pgcluster -replicas=3 -volume-size=100";
    let all = asked(line).expect("fine");
    assert_eq!(all.server(Some("test")).as_deref(), Some("openmange-manageserver.test-openmanage.com:27040"));
    assert_eq!((all.cluster.as_deref(), all.region.as_deref()), (Some("test"), Some("us-east-1")));
    assert!(all.notes.is_empty(), "{:?}", all.notes);
    let request = created(line);
    assert_eq!(
        (request.name.as_str(), request.engine.as_str(), request.replicas),
        ("pgcluster", "postgresql", Some(3))
    );
    assert_eq!(request.volumes, VolumeSizes { data: Size::bytes(100 << 30), journal: None });
    assert_eq!(request.resources, None);
    let mongo = line.replace("postgresql", "mongodb").replace("pgcluster", "mongodb-replicaset");
    assert_eq!(created(&mongo).engine, "mongodb");
}

#[test]
fn memory_and_cpu_in_the_originals_units() {
    let base = "-op=create-service -service-type=PostgreSQL -service=a -volume-size=1";
    assert_eq!(created(base).engine, "postgresql");
    let request = created(&format!("{base} -soft-memory=512 -cpu-units=256 -journal-volume-size=2"));
    assert_eq!(request.resources, Some(Resources { memory: Size::bytes(512 << 20), cpu_millis: Some(250) }));
    assert_eq!(request.volumes.journal, Some(Size::bytes(2 << 30)));
    let request = created(&format!("{base} -max-memory=2048 -reserve-memory=256"));
    assert_eq!(request.resources.map(|resources| resources.memory), Some(Size::bytes(2 << 30)));
}

#[test]
fn the_server_follows_from_the_cluster_and_tls() {
    let server = |line: &str, here: Option<&str>| asked(line).expect("fine").server(here);
    let derived = "openmanage-manageserver.test-openmanage.com:27040";
    assert_eq!(server("-op=list-services", None), None);
    assert_eq!(server("-op=list-services -cluster=test", None).as_deref(), Some(derived));
    assert_eq!(server("-op=list-services -cluster=test", Some("default")).as_deref(), Some(derived));
    assert_eq!(
        server("-op=list-services -cluster=test", Some("test")),
        None,
        "this machine's server, wherever it listens"
    );
    assert_eq!(server("-op=list-services -server-url=h:1 -tls-enabled", None).as_deref(), Some("https://h:1"));
}

#[test]
fn every_operation_is_translated_or_said_to_be_missing() {
    for (op, meaning) in OPERATIONS {
        let line = format!("-op={op} -service-name=a -service-type=postgresql -volume-size=1");
        match (asked(&line), meaning) {
            (Ok(_), Some(_)) => {}
            (Err(error), None) => assert!(error.contains("not in this release"), "{op}: {error}"),
            (other, _) => panic!("{op}: {other:?}"),
        }
    }
}

#[test]
fn what_is_missing_or_too_large_is_said() {
    for (line, told) in [
        ("-op=create-service -service-name=a -volume-size=1", "-service-type"),
        ("-op=create-service -service-type=postgresql -volume-size=1", "-service-name"),
        ("-op=create-service -service-type=postgresql -service-name=a", "-volume-size"),
        ("-op=create-service -service-type=postgresql -service-name=a -volume-size=0", "-volume-size"),
        ("-op=create-service -service-type=postgresql -service-name=a -volume-size=18446744073709551615", "too large"),
        (
            "-op=create-service -service-type=postgresql -service-name=a -volume-size=1 -replicas=5000000000",
            "too large",
        ),
        ("-op=stop-service", "-service-name"),
        ("-op=get-config", "-service-uuid"),
        ("-op=bogus", "accepted: create-service"),
        ("-replicas=3", "-op is missing"),
    ] {
        let error = asked(line).expect_err(line);
        assert!(error.contains(told), "{line}: {error}");
    }
}

#[test]
fn flags_without_effect_are_told_of() {
    let notes =
        asked("-op=list-services -passwd=secret -volume-type=gp2 -mongo-shards=2").expect("fine").notes.join("\n");
    assert!(notes.contains("-passwd: not used") && notes.contains("-mongo-shards, -volume-type"), "{notes}");
    assert!(!notes.contains("secret"), "a password is never repeated: {notes}");
}
