//! Volumes as Docker's users see them: who gets one, and who does not.

use om_tests::docker::Started;
use om_tests::{World, docker, leftovers};

/// The arguments of `docker run` for a container of a service's image with this volume at `/data`.
fn with_volume(world: &World, member: &str, volume: &str, command: &[&str]) -> Vec<String> {
    let image = docker::inspect(&world.container(member))["Image"].as_str().expect("an image").to_owned();
    let label = leftovers::label(&world.cluster);
    let mount = format!("{volume}:/data");
    let driver = world.driver();
    let words = ["--label", &label, "--volume-driver", &driver, "--volume", &mount, "--entrypoint", command[0], &image];
    words.iter().chain(&command[1..]).map(|&word| word.to_owned()).collect()
}

fn run(arguments: &[String]) -> Result<Started, String> {
    Started::run(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

pub(crate) fn a_second_container_cannot_mount_a_members_volume(world: &mut World) {
    world.service("orders");
    let holder = docker::inspect(&world.container("orders-1"));
    let mounts = holder["Mounts"].as_array().expect("mounts");
    let volume = mounts.iter().find(|mount| mount["Type"] == "volume").expect("the member has a volume");
    assert_eq!(volume["Driver"].as_str(), Some(world.driver().as_str()));
    let name = volume["Name"].as_str().expect("a name");
    let refusal = run(&with_volume(world, "orders-1", name, &["true"])).expect_err("the second mount is refused");
    assert!(refusal.contains("orders-1") && refusal.contains("another container"), "{refusal}");
    world.healthy("orders", 3);
    assert_eq!(docker::inspect(&world.container("orders-1"))["State"]["StartedAt"], holder["State"]["StartedAt"]);
}

pub(crate) fn a_volume_named_by_the_service_alone_is_a_free_members(world: &mut World) {
    if world.call(&["get", "swift"]).code != 0 {
        world.create("swift", 1);
    }
    world.healthy("swift", 1);
    let id = world.json(&["get", "swift"])["id"].as_str().expect("an id").to_owned();
    let nameless = with_volume(world, "swift-0", &id, &["sleep", "300"]);
    let named = with_volume(world, "swift-0", &format!("{id}_swift-0"), &["sleep", "300"]);
    let refusal = run(&nameless).expect_err("no member is free");
    assert!(refusal.contains("free"), "{refusal}");

    world.call(&["stop", "swift"]).ok();
    let holder = run(&nameless).expect("the one member is free");
    let told =
        docker::docker(&["exec", &holder.id, "cat", "/data/.openmanage/member.json"]).expect("its configuration");
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(told["member"], "swift-0", "{told}");
    docker::docker(&["exec", &holder.id, "test", "-f", "/data/data/PG_VERSION"]).expect("the member's data is there");
    for arguments in [&named, &nameless] {
        let refusal = run(arguments).expect_err("it is held");
        assert!(refusal.contains("swift"), "{refusal}");
    }
    drop(holder);
    world.call(&["start", "swift"]).ok();
    world.healthy("swift", 1);
    let refusal = run(&with_volume(world, "swift-0", &"0".repeat(32), &["true"])).expect_err("no such service");
    assert!(refusal.contains("no service"), "{refusal}");
}
