//! Bad input: a clear error that names the field and what would be accepted, and nothing touched.

use om_tests::{World, docker, leftovers};

/// Calls of the CLI and words that the refusal must have.
const REFUSED: [(&[&str], &[&str]); 24] = [
    (&["create", "oracle", "x", "--volume-size", "1"], &["engine", "oracle", "postgresql"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--version", "99"], &["version", "99"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "0"], &["replicas", "0"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "1000"], &["replicas", "1000"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "-3"], &["replicas", "-3"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "99999999999999999999"], &["replicas"]),
    (&["create", "postgresql", "x", "--volume-size", "0"], &["volume"]),
    (&["create", "postgresql", "x", "--volume-size", "-5"], &["volume", "-5"]),
    (&["create", "postgresql", "x", "--volume-size", "99999999999999999999999"], &["volume"]),
    (&["create", "postgresql", "X", "--volume-size", "1"], &["name", "lower-case"]),
    (&["create", "postgresql", "größe", "--volume-size", "1"], &["name", "lower-case"]),
    (&["create", "postgresql", "../x", "--volume-size", "1"], &["name", "lower-case"]),
    (&["create", "postgresql", "-x", "--volume-size", "1"], &["-x"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--colour", "red"], &["--colour"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--set", "no_such_setting=1"], &["no_such_setting"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--memory", "1MiB"], &["memory"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "10"], &["replicas", "10", "9"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--zone", "mars-1"], &["zone", "mars-1"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--journal-size", "0"], &["journal"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--replicas", "1", "--synchronous"], &["synchronous", "2"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--option", "colour=red"], &["colour"]),
    (&["create", "postgresql", "x", "--volume-size", "1", "--set", "fsync=off"], &["fsync"]),
    (&["create", "postgresql", "x", "--volume-size", "900TiB", "--replicas", "1"], &["volume"]),
    (&["delete", "--colour", "x"], &["--colour"]),
];

pub(crate) fn bad_input_is_refused_by_field_before_anything_is_touched(world: &mut World) {
    let containers = docker::containers(&leftovers::label(&world.cluster));
    let (services, operations) = (world.rows(&["list"]), world.rows(&["operations", "list"]));
    for (arguments, words) in REFUSED {
        let refusal = world.call(arguments).refused();
        for word in words {
            assert!(refusal.contains(word), "{arguments:?}: {word:?} is not in the refusal:\n{refusal}");
        }
    }
    let long = "a".repeat(51);
    let refusal = world.call(&["create", "postgresql", &long, "--volume-size", "1"]).refused();
    assert!(refusal.contains("name") && refusal.contains("51"), "{refusal}");
    assert_eq!(world.rows(&["list"]), services);
    assert_eq!(world.rows(&["operations", "list"]), operations);
    assert_eq!(docker::containers(&leftovers::label(&world.cluster)), containers);
}

pub(crate) fn what_does_not_exist_is_said_to_not_exist(world: &mut World) {
    let absent: [&[&str]; 7] = [
        &["get", "absent"],
        &["members", "absent"],
        &["stop", "absent"],
        &["start", "absent"],
        &["restart", "absent"],
        &["delete", "absent", "--yes"],
        &["logs", "absent-0"],
    ];
    for arguments in absent {
        let refusal = world.call(arguments).refused();
        assert!(refusal.contains("absent"), "{arguments:?}: {refusal}");
    }
}
