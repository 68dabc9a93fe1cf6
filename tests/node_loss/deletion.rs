//! Deletion while a node is away.

use std::time::Duration;

use om_tests::eventually;
use om_tests::fleet::looking::addresses;
use om_tests::fleet::{CLUSTER, Fleet, SERVICE};
use om_tests::testbed::run;

/// How long the deletion may go on once the node is back.
const FINISHED_WITHIN: Duration = Duration::from_secs(180);

/// The node is cut off with its containers, mounts and addresses; when it is back, nothing of the service is anywhere.
pub(crate) fn a_service_is_deleted_while_a_node_is_away(fleet: &mut Fleet) {
    fleet.service();
    fleet.all_healthy();
    let service = fleet.json(&["get", SERVICE]);
    let id = service["id"].as_str().expect("an id").to_owned();
    let held: Vec<String> = (0..3).filter_map(|at| fleet.member(at)["address"].as_str().map(str::to_owned)).collect();
    let at = fleet.holder(fleet.standby_apart());
    assert!(!fleet.mounted(at).is_empty(), "the node that goes away holds something");
    fleet.cut_link(at);
    fleet.call(&["delete", SERVICE, "--delete-volumes", "--yes", "--no-wait"]);
    fleet.pass(10);
    fleet.one_writer();
    assert!(!fleet.mounted(at).is_empty(), "what is away cannot have been cleared");
    fleet.heal_link(at);
    eventually(FINISHED_WITHIN, "nothing is left of the service", || {
        let left = left_of(fleet, &id, &held);
        if left.is_empty() { Ok(()) } else { Err(left.join("\n")) }
    });
    fleet.one_writer();
}

/// What is left of a service, by what hosts, storage, Docker and DNS show.
fn left_of(fleet: &Fleet, id: &str, held: &[String]) -> Vec<String> {
    let mut left = Vec::new();
    let mut add = |what: &str, found: Vec<String>| left.extend(found.iter().map(|found| format!("{what} {found}")));
    for (at, node) in fleet.hosts.nodes.iter().enumerate() {
        let mounted = fleet.mounted(at).into_iter().filter(|name| name.contains(id)).collect();
        add(&format!("mount on {}", node.name), mounted);
        let own = addresses(node).unwrap_or_else(|error| vec![error]);
        add(&format!("address on {}", node.name), own.into_iter().filter(|own| held.contains(own)).collect());
        let filter = format!("name=^{SERVICE}-");
        // Of a node that lost power, Swarm at times forgets a dead container: it stays, ended, and holds nothing.
        let containers = node.docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"]);
        let containers = containers.unwrap_or_else(|error| error);
        add(&format!("container on {}", node.name), containers.lines().map(str::to_owned).collect());
        for index in 0..3 {
            let name = format!("{SERVICE}-{index}.{CLUSTER}-openmanage.com");
            let server = format!("@{}", node.address);
            let words = ["dig", "+short", "+tries=1", "+time=1", &server, &name];
            let answer = fleet.hosts.client.run(&words).unwrap_or_else(|error| error);
            add(&format!("name at {}: {name}", node.name), answer.lines().map(str::to_owned).collect());
        }
    }
    let filter = format!("name={SERVICE}-");
    let services = fleet.hosts.nodes[0].docker(&["service", "ls", "--filter", &filter, "--format", "{{.Name}}"]);
    add("deployment", services.unwrap_or_else(|error| error).lines().map(str::to_owned).collect());
    let loops = run(&["losetup", "--noheadings", "--list", "--output", "NAME,BACK-FILE"]).unwrap_or_default();
    add("loop device", loops.lines().filter(|line| line.contains(id)).map(str::to_owned).collect());
    let files = run(&["find", &fleet.hosts.backing().display().to_string(), "-name", &format!("*{id}*")]);
    add("file", files.unwrap_or_else(|error| error).lines().map(str::to_owned).collect());
    let programs = run(&["pgrep", "--list-full", "--full", &format!("^[^ ]*qemu.*{id}")]).unwrap_or_default();
    add("process", programs.lines().map(str::to_owned).collect());
    let listed = fleet.try_call(&["list"]).unwrap_or_else(|error| error);
    add("record", listed.lines().filter(|line| line.contains(SERVICE)).map(str::to_owned).collect());
    left
}
