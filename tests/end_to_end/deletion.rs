//! Deleting: what is kept, what goes, and that nothing is left in the end.

use om_tests::{World, docker, leftovers};

pub(crate) fn a_deleted_service_keeps_its_volumes_until_they_are_deleted(world: &mut World) {
    world.create("small", 1);
    world.healthy("small", 1);
    let said = world.call(&["delete", "small", "--yes"]).ok();
    assert!(
        said.contains("kept") || said.contains("keep"),
        "delete says what becomes of the data: {said}"
    );
    assert!(world.call(&["get", "small"]).refused().contains("small"));
    let volumes: Vec<_> = world
        .rows(&["volume", "list"])
        .into_iter()
        .filter(|v| v["service"] == "small")
        .collect();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    world
        .call(&[
            "volume",
            "delete",
            volumes[0]["name"].as_str().expect("a name"),
            "--yes",
        ])
        .ok();
    let left = world.rows(&["volume", "list"]);
    assert!(left.iter().all(|volume| volume["service"] != "small"), "{left:?}");
}

pub(crate) fn a_service_deleted_with_its_volumes_leaves_nothing(world: &mut World) {
    world.create("small", 1);
    world.healthy("small", 1);
    world.call(&["delete", "small", "--delete-volumes", "--yes"]).ok();
    assert_eq!(docker::containers("com.openmanage.service=small"), Vec::<String>::new());
    assert!(world.address("small-0").is_err(), "the name still answers");
    let volumes = world.rows(&["volume", "list"]);
    assert!(volumes.iter().all(|volume| volume["service"] != "small"), "{volumes:?}");
    let mounts = leftovers::mounts(&world.state);
    assert!(
        mounts.iter().all(|path| !path.display().to_string().contains("small")),
        "{mounts:?}"
    );
}

pub(crate) fn the_originals_command_line_creates_and_deletes(world: &mut World) {
    let server = format!("-server-url=127.0.0.1:{}", world.port());
    let cluster = format!("-cluster={}", world.cluster);
    let call = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&world.binary);
        std::os::unix::process::CommandExt::arg0(&mut command, "openmanage-service-cli");
        command.args([&server, "-region=us-east-1", &cluster]).args(arguments);
        command
            .env("OPENMANAGE_STATE", &world.state)
            .output()
            .expect("the program can be run")
    };
    let create = |engine: &str, name: &str| {
        let (engine, name) = (format!("-service-type={engine}"), format!("-service-name={name}"));
        call(&["-op=create-service", &engine, &name, "-replicas=1", "-volume-size=1"])
    };
    let refused = create("mongodb", "mongodb-replicaset");
    let words = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && words.contains("mongodb"), "{refused:?}");
    let created = create("postgresql", "pgcluster");
    assert!(created.status.success(), "{created:?}");
    world.healthy("pgcluster", 1);
    let listed = call(&["-op=list-services"]);
    assert!(
        String::from_utf8_lossy(&listed.stdout).contains("pgcluster"),
        "{listed:?}"
    );
    let deleted = call(&["-op=delete-service", "-service-type=postgresql", "-service=pgcluster"]);
    assert!(deleted.status.success(), "{deleted:?}");
    assert!(world.call(&["get", "pgcluster"]).code != 0);
    for volume in world
        .rows(&["volume", "list"])
        .iter()
        .filter(|volume| volume["service"] == "pgcluster")
    {
        world
            .call(&["volume", "delete", volume["name"].as_str().expect("a name"), "--yes"])
            .ok();
    }
}

/// Runs last, when the world took itself down by the product's own means only.
pub(crate) fn nothing_is_left_after_the_last_service_and_the_server(world: &mut World) {
    let left: Vec<String> = leftovers::find(&world.cluster, &world.state)
        .into_iter()
        .filter(|thing| !thing.starts_with("network"))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
}
