//! Operations as they go: followed, cancelled, cut off by the death of the server; and output and events as they come.

use std::time::Duration;

use om_tests::{World, docker, eventually, leftovers};
use serde_json::Value;

fn text(of: &Value, field: &str) -> String {
    of[field].as_str().unwrap_or_else(|| panic!("no {field} in {of}")).to_owned()
}

/// Begins to create a service and does not wait: the ids of the operation and of the service.
fn begin(world: &World, name: &str, replicas: &str) -> (String, String) {
    let size = ["--volume-size", "512MiB", "--memory", "256MiB", "--replicas", replicas];
    world.call(&[&["create", "postgresql", name, "--no-wait"], &size[..]].concat()).ok();
    let operations = world.rows(&["operations", "list", "--service", name]);
    let create = operations.iter().rfind(|operation| operation["ended"] == false && operation["kind"] == "create");
    let create = create.unwrap_or_else(|| panic!("no create under way: {operations:#?}"));
    (text(create, "id"), text(create, "service_id"))
}

fn a_container_is_there(id: &str) {
    eventually(Duration::from_secs(30), "the first container", || {
        let containers = docker::containers(&format!("com.openmanage.service={id}"));
        if containers.is_empty() { Err("none yet".into()) } else { Ok(()) }
    });
}

#[track_caller]
fn nothing_is_left(world: &World, name: &str, id: &str) {
    assert!(world.call(&["get", name]).refused().contains(name));
    assert_eq!(leftovers::of_service(id, &world.state), Vec::<String>::new());
    assert!(world.address(&format!("{name}-0")).is_err(), "the name still answers");
    let volumes = world.rows(&["volume", "list"]);
    assert!(volumes.iter().all(|volume| volume["service"] != name), "{volumes:#?}");
}

pub(crate) fn a_cancelled_create_leaves_nothing(world: &mut World) {
    let (operation, id) = begin(world, "gone", "2");
    a_container_is_there(&id);
    world.call(&["operations", "cancel", &operation]).ok();
    let ended = world.json(&["operations", "show", &operation]);
    assert_eq!(ended["state"], "rolled-back", "{ended:#}");
    nothing_is_left(world, "gone", &id);
    let refusal = world.call(&["operations", "cancel", &operation]).refused();
    assert!(refusal.contains("ended") || refusal.contains("rolled"), "{refusal}");
}

pub(crate) fn a_create_that_cannot_be_done_says_why_and_leaves_nothing(world: &mut World) {
    let create = ["create", "postgresql", "faceless", "--image", "openmanage/absent:1", "--replicas", "1"];
    let called = world.call(&[&create[..], &["--volume-size", "512MiB", "--memory", "256MiB"]].concat());
    assert_eq!(called.code, 4, "{called:?}");
    assert!(called.refused().contains("openmanage/absent:1"), "which image is not said");
    let operation = world.rows(&["operations", "list", "--service", "faceless"]).remove(0);
    assert_eq!(operation["state"], "rolled-back", "{operation:#}");
    nothing_is_left(world, "faceless", &text(&operation, "service_id"));
}

pub(crate) fn a_server_killed_during_a_create_carries_it_to_its_end(world: &mut World) {
    let (operation, id) = begin(world, "reborn", "2");
    a_container_is_there(&id);
    assert_eq!(world.json(&["operations", "show", &operation])["ended"], false, "over too soon to be cut off");
    world.kill_server();
    world.start_server();
    let ended = world.json(&["operations", "show", &operation, "--follow"]);
    assert_eq!(ended["state"], "succeeded", "{ended:#}");
    world.healthy("reborn", 2);
    assert_eq!(docker::containers(&format!("com.openmanage.service={id}")).len(), 2, "one container for each member");
    world.call(&["delete", "reborn", "--delete-volumes", "--yes"]).ok();
    nothing_is_left(world, "reborn", &id);
}

pub(crate) fn an_operation_is_followed_by_server_sent_events(world: &mut World) {
    let (operation, id) = begin(world, "told", "1");
    let answer = world.http("GET", &format!("/v1/operations/{operation}/events"), "").expect("an answer");
    assert!(answer.status == 200 && answer.head.contains("text/event-stream"), "{}", answer.head);
    let told = answer.body.lines().filter_map(|line| line.strip_prefix("data:"));
    let told: Vec<Value> = told.map(|data| serde_json::from_str(data).expect("an event is JSON")).collect();
    assert!(told.len() > 3, "{told:#?}");
    let done: Vec<_> = told.iter().filter_map(|event| event["progress"]["done"].as_u64()).collect();
    assert!(done.is_sorted(), "progress goes forward: {done:?}");
    assert_eq!(told[0]["ended"], false, "the first was not told while it went on");
    assert_eq!(told.last().expect("events")["state"], "succeeded");
    // And one is deleted while it is being created.
    world.call(&["delete", "told", "--delete-volumes", "--yes"]).ok();
    nothing_is_left(world, "told", &id);
}

pub(crate) fn what_is_being_created_can_be_deleted(world: &mut World) {
    let (operation, id) = begin(world, "brief", "1");
    world.call(&["delete", "brief", "--delete-volumes", "--yes"]).ok();
    let create = world.json(&["operations", "show", &operation]);
    assert_eq!(create["ended"], true, "{create:#}");
    nothing_is_left(world, "brief", &id);
}

pub(crate) fn output_and_events_are_followed_as_they_come(world: &mut World) {
    world.service("orders");
    let member = world.member_with_role("orders", "primary");
    let mut output = world.follow(&["logs", &member, "--follow", "--tail", "0"]);
    let mut all = world.follow(&["logs", "orders", "--follow", "--tail", "0"]);
    let mut events = world.follow(&["events", "--follow"]);
    // What was there before has come once the last event known has.
    let known = world.rows_of_lines(&["events"]);
    events.until(&text(known.last().expect("events"), "message"));
    for marker in ["marker-one", "marker-two"] {
        world.sql("orders", &member, &format!("DO $$ BEGIN RAISE LOG '{marker}'; END $$"));
        output.until(marker);
        let line = all.until(marker);
        assert!(line.starts_with(&member), "whose line it is is not said: {line}");
    }
    world.call(&["connect", "orders", "--show-password"]).ok();
    let shown = events.until("password");
    assert!(shown.contains("orders"), "{shown}");
}

pub(crate) fn changes_of_one_service_are_ordered_and_a_repeated_request_is_one(world: &mut World) {
    world.service("orders");
    let before = world.rows(&["operations", "list", "--service", "orders"]).len();
    let values = ["work_mem=5MB", "work_mem=6MB", "work_mem=7MB", "work_mem=8MB", "work_mem=9MB"];
    for called in world.call_at_once(&values.map(|value| vec!["config", "set", "orders", value])) {
        called.ok();
    }
    let operations = world.rows(&["operations", "list", "--service", "orders"]);
    let mut spans: Vec<_> = operations[before..]
        .iter()
        .map(|operation| {
            let steps = operation["steps"].as_array().expect("steps");
            let began = steps.iter().filter_map(|step| step["began"].as_str()).min().expect("a step began").to_owned();
            (began, text(operation, "ended_at"), text(operation, "state"))
        })
        .collect();
    spans.sort();
    assert_eq!(spans.len(), 5, "{spans:#?}");
    assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0), "two changes ran at once: {spans:#?}");
    assert!(spans.iter().all(|span| span.2 == "succeeded"), "{spans:#?}");

    let path = "/v1/services/orders/config";
    let send = |value: &str| {
        let body = format!("{{\"settings\": {{\"work_mem\": {value}}}}}");
        world.http_with("PATCH", path, &body, &["idempotency-key: once-only"]).expect("an answer")
    };
    let (first, again) = (send("null"), send("null"));
    assert!(first.status < 300 && again.status < 300, "{first:?} {again:?}");
    assert_eq!(first.json()["id"], again.json()["id"]);
    assert_eq!(world.rows(&["operations", "list", "--service", "orders"]).len(), operations.len() + 1);
    assert_eq!(send("\"9MB\"").status, 409, "the same key for something else");
    let id = text(&first.json(), "id");
    world.call(&["operations", "show", &id, "--follow"]).ok();
}
