//! The plugin protocol: every sequence of calls that Docker was seen to make.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use futures::executor::block_on;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;

fn call(world: &World, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::post(path).body(Body::from(body.to_string())).unwrap();
    let response = world.run(world.agent().plugin_router().oneshot(request)).unwrap();
    let (parts, body) = response.into_parts();
    assert_eq!(parts.headers["content-type"], "application/vnd.docker.plugins.v1.1+json");
    let bytes = block_on(axum::body::to_bytes(body, usize::MAX)).unwrap();
    (parts.status, serde_json::from_slice(&bytes).unwrap())
}

fn good(world: &World, path: &str, body: &Value) -> Value {
    let (status, answer) = call(world, path, body);
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

#[test]
fn the_first_start_with_copy_up() {
    let world = World::new();
    let name = data(0);
    let named = json!({ "Name": name });
    assert_eq!(good(&world, "/Plugin.Activate", &json!({}))["Implements"], json!(["VolumeDriver"]));
    assert_eq!(good(&world, "/VolumeDriver.Capabilities", &json!({}))["Capabilities"]["Scope"], "global");
    good(&world, "/VolumeDriver.Create", &json!({ "Name": name, "Opts": { "x": "y" } }));
    assert_eq!(good(&world, "/VolumeDriver.Get", &named)["Volume"], json!({ "Name": name }));
    assert_eq!(good(&world, "/VolumeDriver.Path", &named), json!({}));

    let mounted = good(&world, "/VolumeDriver.Mount", &json!({ "Name": name, "ID": "copy-up" }));
    let path = format!("{MOUNTS}/{name}.e1");
    assert_eq!(mounted["Mountpoint"], json!(path));
    good(&world, "/VolumeDriver.Unmount", &json!({ "Name": name, "ID": "copy-up" }));
    world.assert_nothing_left();
    assert_eq!(good(&world, "/VolumeDriver.Mount", &json!({ "Name": name, "ID": "run" }))["Mountpoint"], json!(path));
    assert_eq!(good(&world, "/VolumeDriver.Path", &named)["Mountpoint"], json!(path));
    let volume = json!({ "Name": name, "Mountpoint": path });
    assert_eq!(good(&world, "/VolumeDriver.Get", &named)["Volume"], volume);
    assert_eq!(good(&world, "/VolumeDriver.List", &json!({}))["Volumes"], json!([volume]));
    good(&world, "/VolumeDriver.Remove", &named);
    assert_eq!(good(&world, "/VolumeDriver.Path", &named)["Mountpoint"], json!(path), "Remove touches nothing");
}

#[test]
fn what_is_unknown_or_misspelt_is_refused_in_words() {
    let world = World::new();
    let unknown = format!("{SERVICE}_orders-7");
    for (path, name) in [("Get", unknown.as_str()), ("Create", &unknown), ("Create", "pgdata"), ("Mount", "../../etc")]
    {
        let (status, answer) = call(&world, &format!("/VolumeDriver.{path}"), &json!({ "Name": name, "ID": "x" }));
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer["Err"].as_str().unwrap().len() > 40, "{answer}");
    }
    let (status, answer) = call(&world, "/VolumeDriver.Mount", &json!("no object"));
    assert!(status.is_server_error() && answer["Err"].is_string());
    world.assert_nothing_left();
}

#[test]
fn the_mount_is_what_the_member_needs() {
    let world = World::new();
    let path = world.mount(&data(0), "run").unwrap();
    let control = path.join(".openmanage");
    let config: MemberConfig = serde_json::from_slice(&world.read(&control.join("member.json")).unwrap()).unwrap();
    assert_eq!((config.member, config.epoch), (member(0), Epoch::new(1)));
    assert_eq!(world.read(&control.join("secrets/password")).unwrap(), b"hidden");
    let program = world.host.source_of(&control.join("openmanage-member")).unwrap();
    assert_eq!(program, om_backend::Source::ReadOnlyFile("/usr/lib/openmanage/openmanage-member".into()));
    assert!(world.control.with_binding(&service(), &member(0), |binding| binding.published));
}

#[test]
fn a_stranger_does_not_unmount() {
    let world = World::new();
    let path = world.mount(&data(0), "run").unwrap();
    world.unmount(&data(0), "other").unwrap();
    world.unmount(&data(1), "run").unwrap();
    assert!(world.host.left_behind().contains(&path));
    assert_eq!(world.mount(&data(0), "run").unwrap(), path, "the same request again is done");
    world.unmount(&data(0), "run").unwrap();
    world.unmount(&data(0), "run").unwrap();
    world.assert_nothing_left();
}

#[test]
fn an_unmount_never_pulls_the_volume_from_under_a_container() {
    let world = World::new();
    let path = world.mount(&data(0), "run").unwrap();
    let container = world.host.start_container(&path);
    // Docker does this after `docker cp` on a running container.
    assert_eq!(world.unmount(&data(0), "run").unwrap_err().kind, ErrorKind::Refused);
    assert!(world.read(&path.join(".openmanage/member.json")).is_some());
    world.host.end_container(container);
    world.unmount(&data(0), "run").unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_second_mount_is_refused_while_a_container_holds_the_first() {
    let world = World::new();
    let path = world.mount(&data(0), "first").unwrap();
    let container = world.host.start_container(&path);
    let error = refused(world.mount(&data(0), "second"));
    assert!(error.detail.contains(&container.to_string()) && error.next.is_some(), "{error}");
    world.host.end_container(container);
    assert_eq!(world.mount(&data(0), "second").unwrap(), path, "dead without an Unmount: it is taken over");
    world.unmount(&data(0), "first").unwrap();
    assert!(world.host.left_behind().contains(&path), "the dead one's late Unmount changes nothing");
    world.unmount(&data(0), "second").unwrap();
    world.assert_nothing_left();
}

#[test]
fn a_container_about_to_start_is_waited_for() {
    let world = World::new();
    world.mount(&data(0), "first").unwrap();
    let before = world.clock.time();
    world.mount(&data(0), "second").unwrap();
    assert!(world.clock.time() - before >= Duration::from_secs(4), "the first had time to start");
}

#[test]
fn a_node_that_died_mounts_again_under_a_new_epoch() {
    let world = World::new();
    world.mount(&data(0), "before").unwrap();
    world.host.reboot();
    let path = world.mount(&data(0), "after").unwrap();
    assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e2", data(0))));
    let volume = VolumeId { service: service(), member: member(0), role: om_model::VolumeRole::Data };
    assert_eq!(world.host.times_format_allowed(&image(&volume)), 1, "and is never formatted again");
}

#[test]
fn without_a_member_the_driver_finds_one_and_keeps_it() {
    let world = World::new();
    world.mount(&data(0), "decided").unwrap();
    let (bare, journal) = (SERVICE.to_owned(), format!("journal_{SERVICE}"));
    // In either order, data and journal of one container are one member's.
    let journal_path = world.mount(&journal, "found-journal").unwrap();
    let path = world.mount(&bare, "found").unwrap();
    assert_eq!(path, Path::new(MOUNTS).join(format!("{}.e1", data(1))), "not the one that is mounted already");
    assert_eq!(journal_path, Path::new(MOUNTS).join(format!("journal_{}.e1", data(1))));
    world.unmount(&bare, "found").unwrap();
    world.unmount(&journal, "found-journal").unwrap();
    assert_eq!(world.mount(&bare, "again").unwrap(), path);
    let container = world.host.start_container(&path);
    refused(world.mount(&bare, "one per node"));
    world.host.end_container(container);
}
