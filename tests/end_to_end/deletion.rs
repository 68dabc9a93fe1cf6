//! Deleting: what is kept, what goes, and that nothing is left in the end.

use std::os::unix::process::CommandExt;
use std::process::Command;

use om_tests::cli::Called;
use om_tests::docker::Started;
use om_tests::{World, docker, leftovers};

pub(crate) fn a_deleted_service_keeps_its_volumes_until_they_are_deleted(world: &mut World) {
    world.create("small", 1);
    world.healthy("small", 1);
    let said = world.call(&["delete", "small", "--yes"]).ok();
    assert!(said.contains("kept") || said.contains("keep"), "delete says what becomes of the data: {said}");
    assert!(world.call(&["get", "small"]).refused().contains("small"));
    let volumes: Vec<_> = world.rows(&["volume", "list"]).into_iter().filter(|v| v["service"] == "small").collect();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    world.call(&["volume", "delete", volumes[0]["name"].as_str().expect("a name"), "--yes"]).ok();
    let left = world.rows(&["volume", "list"]);
    assert!(left.iter().all(|volume| volume["service"] != "small"), "{left:?}");
}

pub(crate) fn a_service_deleted_with_its_volumes_leaves_nothing(world: &mut World) {
    world.create("small", 1);
    world.healthy("small", 1);
    let label = format!("com.openmanage.service={}", world.json(&["get", "small"])["id"].as_str().expect("an id"));
    assert_eq!(docker::containers(&label).len(), 1);
    world.call(&["delete", "small", "--delete-volumes", "--yes"]).ok();
    assert_eq!(docker::containers(&label), Vec::<String>::new());
    assert!(world.address("small-0").is_err(), "the name still answers");
    let volumes = world.rows(&["volume", "list"]);
    assert!(volumes.iter().all(|volume| volume["service"] != "small"), "{volumes:?}");
    let mounts = leftovers::mounts(&world.state);
    assert!(mounts.iter().all(|path| !path.display().to_string().contains("small")), "{mounts:?}");
}

pub(crate) fn the_originals_command_line_creates_and_deletes(world: &mut World) {
    // The server's name as the original's README misspells it: one of our own names.
    let server = format!("-server-url=openmange-manageserver.{}:{}", world.zone(), world.port());
    let cluster = format!("-cluster={}", world.cluster);
    let call = |arguments: &[&str]| {
        let mut command = Command::new(&world.binary);
        command.arg0("openmanage-service-cli").args([&server, "-region=us-east-1", &cluster]).args(arguments);
        Called::of(&command.env("OPENMANAGE_STATE", &world.state).output().expect("the program can be run"))
    };
    let create = |engine: &str, name: &str| {
        let (engine, name) = (format!("-service-type={engine}"), format!("-service-name={name}"));
        // 100 GiB, as its README has it: an image takes room as it is filled.
        call(&["-op=create-service", &engine, &name, "-replicas=3", "-volume-size=100"])
    };
    let refusal = create("mongodb", "mongodb-replicaset").refused();
    assert!(refusal.contains("mongodb") && refusal.contains("postgresql"), "{refusal}");
    create("postgresql", "pgcluster").ok();
    world.healthy("pgcluster", 3);
    assert!(call(&["-op=list-services"]).ok().contains("pgcluster"));
    assert!(call(&["-op=list-members", "-service-name=pgcluster"]).ok().contains("pgcluster-2"));
    call(&["-op=check-service-init", "-service=pgcluster"]).ok();
    let told = call(&["-op=delete-service", "-service-type=postgresql", "-service=pgcluster"]).ok();
    assert!(told.contains("volumes are kept"), "{told}");
    assert!(world.call(&["get", "pgcluster"]).code != 0);
    for volume in world.rows(&["volume", "list"]).iter().filter(|volume| volume["service"] == "pgcluster") {
        world.call(&["volume", "delete", volume["name"].as_str().expect("a name"), "--yes"]).ok();
    }
    call(&["-op=scale-service", "-service-name=pgcluster"]).refused();
    call(&["-op=no-such-thing"]).refused();
}

/// Runs last but one: whatever the cases left goes by the product's own means.
pub(crate) fn teardown_removes_all_of_ours_and_nothing_of_others(world: &mut World) {
    let image = "openmanage/postgresql:15";
    let stranger = Started::run(&["--label", "com.example=stranger", "--entrypoint", "sleep", image, "300"]);
    let stranger = stranger.expect("a container of somebody else's");
    let started = docker::started_at(&stranger.id);
    world.call(&["cluster", "teardown", "--delete-volumes", "--yes"]).ok();
    assert!(matches!(world.stop_server(), Some(0) | None), "the server was not ended gracefully");
    assert_eq!(docker::inspect(&stranger.id)["State"]["Running"], true, "a stranger's container was stopped");
    assert_eq!(docker::started_at(&stranger.id), started, "a stranger's container was restarted");
}

/// Runs last, when nothing but the product has removed anything.
pub(crate) fn nothing_is_left_after_the_last_service_and_the_server(world: &mut World) {
    assert_eq!(leftovers::find(&world.cluster, &world.state), Vec::<String>::new());
    assert!(!world.state.exists(), "files in {}", world.state.display());
}
