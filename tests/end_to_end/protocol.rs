//! The HTTP API under requests that no good client sends, and the server's start under conditions that no good host has.

use std::process::{Command, Stdio};

use om_tests::cli::Called;
use om_tests::http::Answer;
use om_tests::{World, leftovers};

#[track_caller]
fn is_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert!(answer.head.contains("application/problem+json"), "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["code"], code, "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|detail| detail.len() > 8), "{problem}");
}

pub(crate) fn malformed_requests_get_a_problem_and_change_nothing(world: &mut World) {
    let send = |method: &str, path: &str, body: &str| world.http(method, path, body).expect("an answer");
    is_problem(&send("POST", "/v1/services", "{\"name\": \"x\", "), 400, "malformed");
    is_problem(&send("POST", "/v1/services", "not json"), 400, "malformed");
    is_problem(&send("GET", "/v1/nothing", ""), 404, "no-such-path");
    is_problem(&send("GET", "/v1/services/absent", ""), 404, "not-found");
    is_problem(&send("PATCH", "/v1/services", ""), 405, "method-not-allowed");
    let unknown =
        "{\"name\": \"x\", \"engine\": \"postgresql\", \"volumes\": {\"data\": \"1GiB\"}, \"colour\": \"red\"}";
    let answer = send("POST", "/v1/services", unknown);
    assert!(matches!(answer.status, 400 | 422) && answer.body.contains("colour"), "{answer:?}");
    let wrong = "{\"name\": \"X\", \"engine\": \"postgresql\", \"volumes\": {\"data\": \"1GiB\"}, \"replicas\": 0}";
    let answer = send("POST", "/v1/services", wrong);
    is_problem(&answer, 422, "invalid");
    let problem = answer.json();
    let fields: Vec<_> =
        problem["fields"].as_array().expect("fields").iter().map(|field| field["field"].clone()).collect();
    assert!(fields.contains(&"name".into()), "{problem}");
    assert_eq!(
        send("GET", "/v1/services", "").json()["items"].as_array().map(Vec::len),
        Some(world.rows(&["list"]).len())
    );
}

pub(crate) fn a_body_of_100_megabytes_is_refused_and_the_server_lives(world: &mut World) {
    let huge = format!("{{\"name\": \"{}\"}}", "a".repeat(100 << 20));
    // The server may hang up before it has read all of it; what matters is that it neither swallows it nor dies.
    if let Ok(answer) = world.http("POST", "/v1/services", &huge) {
        is_problem(&answer, 413, "too-large");
    }
    assert_eq!(world.http("GET", "/healthz", "").expect("an answer").status, 200);
    let status = std::fs::read_to_string(format!("/proc/{}/status", world.server_pid())).expect("the server runs");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel tells the peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak < 100 << 10, "the server took {peak} kB for a body it refuses");
}

pub(crate) fn without_the_token_nothing_is_told(world: &mut World) {
    let ask = |headers: &str| {
        let request = format!("GET /v1/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
        world.raw(&[request.as_bytes()]).expect("an answer")
    };
    is_problem(&ask(""), 401, "unauthorized");
    is_problem(&ask("authorization: Bearer wrong\r\n"), 401, "unauthorized");
    let mode = std::fs::metadata(world.token_file()).expect("the token's file").permissions();
    assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o600);
}

pub(crate) fn the_servers_own_description_health_and_figures_are_there(world: &mut World) {
    let document = world.http("GET", "/v1/openapi.json", "").expect("an answer").json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.")), "{document}");
    let committed = include_str!("../../docs/openapi.json");
    let committed: serde_json::Value = serde_json::from_str(committed).expect("the committed document is JSON");
    assert_eq!(document["paths"], committed["paths"], "docs/openapi.json is not what the server says");
    let figures = world.http("GET", "/metrics", "").expect("an answer");
    assert!(figures.status == 200 && figures.body.contains("# TYPE openmanage_"), "{figures:?}");
}

pub(crate) fn a_second_server_on_the_same_cluster_or_port_says_so_and_ends(world: &mut World) {
    let start = |arguments: &[String]| {
        let mut command = Command::new(&world.binary);
        Called::of(&command.args(arguments).stdin(Stdio::null()).output().expect("the program can be run"))
    };
    let refusal = start(&world.up_arguments()).refused();
    let folder = world.state.display().to_string();
    assert!(refusal.contains(&folder) && refusal.contains("runs already"), "the error names the folder: {refusal}");
    let (cluster, state) = (format!("{}-second", world.cluster), format!("{}-second", world.state.display()));
    let other = [("--cluster", cluster.clone()), ("--state", state.clone())];
    let refusal = start(&world.up_arguments_with(&other)).refused();
    assert!(refusal.contains(&world.port().to_string()), "the error names the port: {refusal}");
    let api = ("--listen", "127.0.0.1:0".to_owned());
    let refusal = start(&world.up_arguments_with(&[&other[..], &[api]].concat())).refused();
    let said = refusal.contains(&format!("{}:53", world.dns())) && refusal.contains("--dns-listen");
    assert!(said, "the error names the address and the flag: {refusal}");
    let left = leftovers::find(&cluster, std::path::Path::new(&state));
    std::fs::remove_dir_all(&state).ok();
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(world.http("GET", "/healthz", "").expect("an answer").status, 200);
}

pub(crate) fn without_docker_it_is_said_what_to_do(world: &mut World) {
    let (cluster, state) = (format!("{}-nodocker", world.cluster), format!("{}-nodocker", world.state.display()));
    let anywhere = "127.0.0.1:0".to_owned();
    let other = [
        ("--cluster", cluster),
        ("--state", state.clone()),
        ("--listen", anywhere.clone()),
        ("--dns-listen", anywhere),
    ];
    // A mount namespace of its own, in which Docker's socket leads nowhere.
    let hide = "mount --bind /dev/null \"$(realpath /var/run/docker.sock)\" && exec timeout 5 \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", hide, "sh"]).arg(&world.binary).args(world.up_arguments_with(&other));
    let output = command.stdin(Stdio::null()).output().expect("unshare can be run");
    std::fs::remove_dir_all(&state).ok();
    let words = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(words.contains("cannot connect to Docker") && words.contains("systemctl start docker"), "{words}");
}
