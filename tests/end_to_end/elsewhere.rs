//! Other ways to run: listening beyond this machine, and etcd as the control database.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use om_tests::etcd::Etcd;
use om_tests::world::Kind;
use om_tests::{World, docker, leftovers};

pub(crate) fn beyond_loopback_the_server_speaks_tls_and_wants_a_token(world: &mut World) {
    // An address of this machine that is not a loopback address: that of the first cluster's network.
    let address = world.gateway();
    let other = world.beside("tls", Kind { address: Some(address.clone()), ..Kind::default() });
    let url = format!("https://{address}:{}", other.port());
    other.call(&["list"]).ok();
    let named = format!("https://openmanage-manageserver.{}:{}", other.zone(), other.port());
    other.call(&["--server", &named, "list"]).ok();

    let wrong = other.state.join("wrong.token");
    std::fs::write(&wrong, "0".repeat(48)).expect("a file");
    let refusal = other.call(&["--token-file", &wrong.display().to_string(), "list"]).refused();
    assert!(refusal.contains("token"), "{refusal}");
    // Without the authority's certificate the server is a stranger.
    let mut command = Command::new(&other.binary);
    command.args(["--server", &url, "--token-file"]).arg(other.token_file()).args(["--state", "/nonexistent", "list"]);
    let refusal = om_tests::cli::Called::of(&command.output().expect("the CLI can be run")).refused();
    assert!(refusal.to_lowercase().contains("certificate"), "{refusal}");

    let port = u16::try_from(other.port()).expect("a port");
    let mut plain = TcpStream::connect((address.as_str(), port)).expect("the port is open");
    let token = std::fs::read_to_string(other.token_file()).expect("the token");
    let request = format!("GET /v1/services HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n", token.trim());
    let mut told = Vec::new();
    let _ = plain.write_all(request.as_bytes()).and_then(|()| plain.read_to_end(&mut told));
    let told = String::from_utf8_lossy(&told);
    assert!(!told.contains("200 OK") && !told.contains("items"), "answered without TLS: {told}");

    other.call(&["cluster", "teardown", "--yes"]).ok();
    assert_eq!(leftovers::find(&other.cluster, &other.state), Vec::<String>::new());
}

pub(crate) fn in_the_background_it_is_started_and_ended_by_commands(world: &mut World) {
    let mut other = world.beside("background", Kind::default());
    other.stop_server();
    let mut arguments = other.up_arguments();
    arguments.push("--detach".into());
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Not through pipes: what goes on in the background would keep them open.
    let state = other.state.display().to_string();
    let up = || Command::new(&other.binary).args(&words).stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(up().expect("the program can be run").success());
    other.call(&["list"]).ok();
    assert!(up().expect("the program can be run").success(), "it runs already, as asked for");
    other.call(&["down"]).ok();
    assert!(other.call(&["list"]).refused().contains(&other.port().to_string()), "it has not ended");
    let running = leftovers::find(&other.cluster, &other.state);
    assert!(!running.iter().any(|left| left.starts_with("process")), "{state}: {running:?}");
    other.call(&["cluster", "teardown", "--yes"]).ok();
    assert_eq!(leftovers::find(&other.cluster, &other.state), Vec::<String>::new());
}

pub(crate) fn etcd_keeps_the_state_as_the_built_in_database_does(world: &mut World) {
    let etcd = Etcd::start(&world.state.with_extension("etcd"));
    let flags = ["--controldb", "etcd", "--etcd-endpoints", &etcd.url, "--volume-kind", "directories"];
    let mut other = world.beside("etcd", Kind { flags: flags.map(str::to_owned).into(), ..Kind::default() });
    other.create("alone", 1);
    other.healthy("alone", 1);
    other.sql("alone", "alone-0", "CREATE TABLE kept AS SELECT 1 AS id");
    assert!(!other.state.join("controldb.sqlite").exists(), "the state is in a file all the same");
    let password = other.target("alone", "alone-0").password;
    assert!(etcd.holds("alone"), "nothing of the service is in etcd");
    assert!(!etcd.holds(&password), "the password is in the clear in etcd");

    let (service, container) = (other.json(&["get", "alone"]), other.container("alone-0"));
    let started = docker::started_at(&container);
    other.kill_server();
    other.start_server();
    other.healthy("alone", 1);
    assert_eq!(other.json(&["get", "alone"]), service);
    assert_eq!(docker::started_at(&container), started, "the container was restarted");
    assert_eq!(other.sql("alone", "alone-0", "SELECT count(*) FROM kept"), "1");

    let id = service["id"].as_str().expect("an id");
    other.call(&["delete", "alone", "--delete-volumes", "--yes"]).ok();
    assert_eq!(leftovers::of_service(id, &other.state), Vec::<String>::new());
    other.call(&["cluster", "teardown", "--yes"]).ok();
    assert_eq!(leftovers::find(&other.cluster, &other.state), Vec::<String>::new());
}
