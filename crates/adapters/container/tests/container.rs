//! Real processes and files: the adapter collects every child of this process, so this is a program of its own, and one
//! test at a time.

#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real time passes")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;
use std::time::Duration;

use om_backend::process::{Account, Command, Files, Processes};
use om_backend::{ErrorKind, Tasks};
use om_container::{ContainerFiles, ContainerProcesses};
use om_engines::Signal;

const SOON: Duration = Duration::from_secs(20);

fn shell(script: &str) -> Command {
    Command { argv: ["sh", "-c", script].map(str::to_owned).into(), env: BTreeMap::new(), account: None }
}

/// Processes whose parent is this one, zombies too, by state.
fn children() -> Vec<String> {
    let own = std::process::id().to_string();
    let stats = std::fs::read_dir("/proc").expect("proc").filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.ok()?.path().join("stat")).ok()?;
        let rest: Vec<_> = stat.rsplit(") ").next()?.split(' ').map(str::to_owned).collect();
        (rest.get(1) == Some(&own)).then(|| rest[0].clone())
    });
    stats.collect()
}

/// True once `check` holds, within [`SOON`].
async fn soon(check: impl Fn() -> bool) -> bool {
    for _ in 0..400 {
        if check() {
            return true;
        }
        tokio::time::sleep(SOON / 400).await;
    }
    false
}

#[test]
fn processes_end_as_promised() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("orphans become ours");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let tasks: Arc<dyn Tasks> = om_system::runtime().tasks;
        let processes = ContainerProcesses::new(tasks).expect("signals");
        runs_tell_code_and_output(&processes).await;
        runs_that_take_too_long_or_are_dropped_are_killed_with_their_group(&processes).await;
        the_server_is_one_and_tells_how_it_ended(&processes).await;
        orphans_are_reaped(&processes).await;
        exit_codes_do_not_go_astray(&processes).await;
        assert!(soon(|| children().is_empty()).await, "left behind: {:?}", children());
    });
}

async fn runs_tell_code_and_output(processes: &ContainerProcesses) {
    let ended = processes.run(&shell("echo out; echo err >&2; exit 7"), SOON).await.expect("runs");
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (7, "out\n", "err\n"));
    let ended = processes.run(&shell("kill -TERM $$"), SOON).await.expect("runs");
    assert_eq!(ended.code, 128 + 15);
    // Far more than a pipe holds, and more than is kept.
    let ended = processes.run(&shell("head -c 5000000 /dev/zero"), SOON).await.expect("runs");
    assert_eq!((ended.code, ended.stdout.len()), (0, 1 << 20));
    let mut command = shell("id -u; id -G; echo $COLOUR; echo $HOME");
    command.account = Some(Account { uid: 65534, gid: 65533 });
    command.env.insert("COLOUR".into(), "blue".into());
    let ended = processes.run(&command, SOON).await.expect("runs");
    assert_eq!(ended.stdout, "65534\n65533\nblue\n\n", "user, no other groups, our environment only");
    let missing = Command { argv: vec!["/no/such/program".into()], env: BTreeMap::new(), account: None };
    assert_eq!(processes.run(&missing, SOON).await.expect_err("missing").kind, ErrorKind::NotFound);
}

async fn runs_that_take_too_long_or_are_dropped_are_killed_with_their_group(processes: &ContainerProcesses) {
    let slow = shell("sleep 1000 & sleep 1000");
    let late = processes.run(&slow, Duration::from_millis(200)).await.expect_err("too slow");
    assert_eq!(late.kind, ErrorKind::TimedOut);
    assert!(soon(|| children().is_empty()).await, "{:?}", children());
    let dropped = tokio::time::timeout(Duration::from_millis(200), processes.run(&slow, SOON)).await;
    assert!(dropped.is_err());
    assert!(soon(|| children().is_empty()).await, "{:?}", children());
}

async fn the_server_is_one_and_tells_how_it_ended(processes: &ContainerProcesses) {
    assert!(!processes.server_running());
    processes.signal_server(Signal::Kill).await.expect("nothing to signal");
    let server = shell("trap 'exit 3' INT; while :; do sleep 0.05; done");
    processes.start_server(&server).await.expect("starts");
    assert_eq!(processes.start_server(&server).await.expect_err("runs already").kind, ErrorKind::Refused);
    assert!(processes.server_running());
    // Programs come and go beside it.
    assert_eq!(processes.run(&shell("exit 9"), SOON).await.expect("runs").code, 9);
    tokio::time::sleep(Duration::from_millis(300)).await;
    processes.signal_server(Signal::Interrupt).await.expect("signalled");
    assert_eq!(tokio::time::timeout(SOON, processes.server_exit()).await, Ok(3));
    assert!(!processes.server_running());
    processes.start_server(&server).await.expect("starts again");
    processes.signal_server(Signal::Kill).await.expect("signalled");
    assert_eq!(tokio::time::timeout(SOON, processes.server_exit()).await, Ok(137));
}

async fn orphans_are_reaped(processes: &ContainerProcesses) {
    let ended =
        processes.run(&shell("setsid sleep 0.2 </dev/null >/dev/null 2>&1 & exit 0"), SOON).await.expect("runs");
    assert_eq!(ended.code, 0);
    assert!(soon(|| children().is_empty()).await, "{:?}", children());
}

async fn exit_codes_do_not_go_astray(processes: &ContainerProcesses) {
    let scripts: Vec<_> = (0..60).map(|n| shell(&format!("true & exit {n}"))).collect();
    let runs = scripts.iter().map(|script| processes.run(script, SOON));
    for (n, ended) in futures::future::join_all(runs).await.into_iter().enumerate() {
        assert_eq!(usize::try_from(ended.expect("runs").code), Ok(n));
    }
}

#[tokio::test]
async fn files_are_whole_owned_and_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("passwd"), "root:x:0:0:root:/root:/bin/sh\npostgres:x:101:102::/var:/bin/sh\nbad:x:y:z::\n")
        .expect("written");
    let files = ContainerFiles::with_accounts_of(path("passwd"));
    let account = files.account("postgres").await.expect("known");
    assert_eq!(account, Account { uid: 101, gid: 102 });
    for unknown in ["mysql", "bad", "post"] {
        assert_eq!(files.account(unknown).await.expect_err("unknown").kind, ErrorKind::NotFound);
    }
    files.make_dir(&path("a/b"), &account, 0o700).await.expect("made");
    files.make_dir(&path("a/b"), &account, 0o700).await.expect("made again");
    for content in ["one", "two"] {
        files.write(&path("a/b/f"), content, &account, 0o600).await.expect("written");
    }
    assert_eq!(files.read(&path("a/b/f")).await, Ok(Some("two".into())));
    assert_eq!(files.read(&path("a/none")).await, Ok(None));
    for name in ["a/b", "a/b/f"] {
        let meta = std::fs::metadata(path(name)).expect("there");
        assert_eq!((meta.uid(), meta.gid()), (101, 102), "{name}");
    }
    let mode = |name: &str| std::fs::metadata(path(name)).expect("there").permissions().mode() & 0o777;
    files.grant(&path("a/b/f"), &Account { uid: 0, gid: 102 }, 0o640).await.expect("granted");
    assert_eq!((mode("a/b"), mode("a/b/f")), (0o700, 0o640));
    std::fs::create_dir(path("kept")).expect("made");
    std::fs::write(path("kept/x"), "x").expect("written");
    for _ in 0..2 {
        files.link(&path("a/link"), &path("kept")).await.expect("linked");
    }
    files.empty_dir(&path("a")).await.expect("emptied");
    files.empty_dir(&path("nothing here")).await.expect("nothing to do");
    assert_eq!(std::fs::read_dir(path("a")).expect("kept").count(), 0);
    assert!(std::fs::exists(path("kept/x")).expect("looked"), "a link's target was emptied");
}
