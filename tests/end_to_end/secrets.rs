//! Design invariant 7: no secret in the clear in the control database, logs, arguments, environments or API output.

use std::path::PathBuf;

use om_tests::{World, docker};

const MEMBERS: [&str; 3] = ["orders-0", "orders-1", "orders-2"];

/// Everything secret that the service has, by name, read where it may be: on the members' tmpfs.
fn secrets(world: &World) -> Vec<(String, String)> {
    let mut found = vec![("a private key".to_owned(), "PRIVATE KEY".to_owned())];
    for member in MEMBERS {
        let container = world.container(member);
        let inside = |command: &str| docker::docker(&["exec", &container, "sh", "-c", command]).expect("it is root's");
        for file in inside("ls /data/.openmanage/secrets").lines().filter(|file| !file.ends_with(".crt")) {
            let content = inside(&format!("cat /data/.openmanage/secrets/{file}"));
            // Of a key in PEM, a line that is the key's own.
            let telling = content.lines().find(|line| line.len() > 20 && !line.starts_with("---")).expect("a secret");
            found.push((format!("{file} of {member}"), telling.to_owned()));
        }
    }
    let token = std::fs::read_to_string(world.token_file()).expect("the token");
    found.push(("the administrator's token".to_owned(), token.trim().to_owned()));
    found
}

/// Where a secret must not be: places by name, with what is there.
fn places(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut places = Vec::new();
    let mut processes = vec![world.server_pid().to_string()];
    for member in MEMBERS {
        let container = world.container(member);
        places.push((format!("docker inspect {member}"), docker::inspect(&container).to_string().into_bytes()));
        places.push((format!("output of {member}"), docker::output(&container).into_bytes()));
        let top = docker::docker(&["top", &container, "-o", "pid"]).expect("processes");
        processes.extend(top.lines().skip(1).map(|line| line.trim().to_owned()));
    }
    assert!(processes.len() > 10, "{processes:?}");
    for process in processes {
        for file in ["cmdline", "environ"] {
            let path = PathBuf::from("/proc").join(&process).join(file);
            // A backend that has ended since has nothing to show.
            places.extend(std::fs::read(&path).ok().map(|content| (path.display().to_string(), content)));
        }
    }
    for entry in std::fs::read_dir(&world.state).expect("the state folder").filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_file() && name != "admin.token" && name != "secrets.key" {
            places.push((name, std::fs::read(entry.path()).expect("a file")));
        }
    }
    assert!(places.iter().any(|(name, content)| name.starts_with("controldb.sqlite") && content.len() > 10_000));
    places.push(("the log".to_owned(), std::fs::read(world.log()).expect("the log")));
    places
}

/// What the API tells without being asked for a password.
fn told(world: &World) -> Vec<(String, Vec<u8>)> {
    let mut paths: Vec<String> = [
        "/v1/services?limit=1000",
        "/v1/services/orders",
        "/v1/services/orders/members",
        "/v1/services/orders/connection",
        "/v1/services/orders/members/orders-0/logs?tail=100000",
        "/v1/operations?limit=1000",
        "/v1/events?limit=1000",
        "/v1/volumes",
        "/v1/engines",
        "/v1/cluster",
        "/metrics",
    ]
    .map(str::to_owned)
    .into();
    for operation in world.rows(&["operations", "list"]) {
        paths.push(format!("/v1/operations/{}", operation["id"].as_str().expect("an id")));
    }
    let tell = |path: String| {
        let answer = world.http("GET", &path, "").expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        (path, answer.body.into_bytes())
    };
    paths.into_iter().map(tell).collect()
}

pub(crate) fn no_secret_is_in_the_clear(world: &mut World) {
    world.service("orders");
    world.call(&["connect", "orders", "--show-password"]).ok();
    let secrets = secrets(world);
    assert!(secrets.len() >= 8, "{:?}", secrets.iter().map(|secret| &secret.0).collect::<Vec<_>>());
    let places: Vec<_> = places(world).into_iter().chain(told(world)).collect();
    let mut found = Vec::new();
    for (place, content) in &places {
        for (name, secret) in &secrets {
            if content.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                found.push(format!("{name} is in {place}"));
            }
        }
    }
    assert_eq!(found, Vec::<String>::new());
}
