//! Names: the zone's own records, when a name begins to answer, and the zones of others.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use om_tests::world::Kind;
use om_tests::{World, docker, leftovers, names};

pub(crate) fn the_zone_is_a_whole_one(world: &mut World) {
    world.service("orders");
    let (dns, zone) = (world.dns(), world.zone());
    let ask = |name: &str, kind: &str| names::ask(&dns, name, kind).expect("an answer");
    assert_eq!(ask(&zone, "SOA").len(), 1);
    assert!(!ask(&zone, "NS").is_empty());
    for server in ["openmanage-manageserver", "openmange-manageserver"] {
        assert_eq!(ask(&format!("{server}.{zone}"), "A"), ["127.0.0.1"]);
    }
    assert_eq!(ask(&format!("orders.{zone}"), "A").len(), 3);
    assert_eq!(names::status(&dns, &format!("orders-0.{zone}"), "AAAA", "+notcp").as_deref(), Ok("NOERROR"));
    assert_eq!(ask(&format!("orders-0.{zone}"), "AAAA"), Vec::<String>::new());
    // The host's own listener serves the zone, and nobody else's.
    assert_eq!(names::status(&dns, "example.org", "A", "+notcp").as_deref(), Ok("REFUSED"));
    // What does not fit into a small datagram comes over TCP: dig asks again by itself.
    assert_eq!(ask(&format!("_postgresql._tcp.orders.{zone}"), "SRV").len(), 3);
}

/// Milliseconds since the epoch, of a time as Docker and the API write it.
fn milliseconds(time: &str) -> i64 {
    let output = Command::new("date").args(["-u", "+%s%3N", "-d", time]).output().expect("date can be run");
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap_or_else(|error| panic!("{time}: {error}"))
}

pub(crate) fn a_name_answers_once_its_member_has_its_volume(world: &mut World) {
    let (server, name) = (world.dns(), format!("swift-0.{}", world.zone()));
    assert_eq!(names::answers(&server, &name), 0, "there before it was made");
    let seen = thread::spawn(move || {
        let began = Instant::now();
        while names::answers(&server, &name) == 0 {
            assert!(began.elapsed() < Duration::from_secs(60), "{name} never answers");
            thread::sleep(Duration::from_millis(1));
        }
        let now = Command::new("date").args(["-u", "+%s%3N"]).output().expect("date can be run");
        String::from_utf8_lossy(&now.stdout).trim().parse::<i64>().expect("a number")
    });
    world.create("swift", 1);
    let seen = seen.join().expect("the name answers");
    let events = world.rows_of_lines(&["events", "--service", "swift"]);
    let bound = events.iter().find(|event| event["kind"] == "bound").expect("the member was bound");
    let bound = seen - milliseconds(bound["at"].as_str().expect("a time"));
    let started = seen - milliseconds(&docker::started_at(&world.container("swift-0")));
    println!("answers {bound} ms after the claim, {started} ms after the container's start");
    // Published before Mount returns, hence before Docker starts the container; 2 s are for a busy machine.
    assert!(bound >= 0, "the name answered before the claim was won");
    assert!(started < 2000, "the name answers only {started} ms after the start");
}

pub(crate) fn containers_resolve_names_of_other_zones_too(world: &mut World) {
    world.service("orders");
    // Another cluster, whose machine has this one's name server for all other names.
    let resolver = world.state.with_extension("resolv.conf");
    std::fs::write(&resolver, format!("nameserver {}\n", world.dns())).expect("a file");
    let hide = "mount --bind \"$0\" \"$(realpath /etc/resolv.conf)\" && exec \"$@\"";
    let wrapper = ["unshare", "--mount", "sh", "-c", hide, &resolver.display().to_string()].map(str::to_owned);
    let other = world.beside("other", Kind { wrapper: wrapper.into(), ..Kind::default() });
    std::fs::remove_file(&resolver).ok();
    let name = format!("orders-0.{}", world.zone());
    let label = leftovers::label(&other.cluster);
    let image = docker::inspect(&world.container("orders-0"))["Image"].as_str().expect("an image").to_owned();
    let network = docker::networks(&label).remove(0);
    let run = ["run", "--rm", "--label", &label, "--network", &network, "--dns", &other.gateway()];
    let ask = ["--entrypoint", "getent", &image, "ahostsv4", &name];
    let answer = docker::docker(&[&run[..], &ask[..]].concat()).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(answer.starts_with(&world.address("orders-0").expect("an address")), "{answer}");
    assert_eq!(names::status(&other.dns(), &name, "A", "+notcp").as_deref(), Ok("REFUSED"), "forwarded for the host");
    other.call(&["cluster", "teardown", "--yes"]).ok();
    assert_eq!(leftovers::find(&other.cluster, &other.state), Vec::<String>::new());
}
