//! Stopping everybody, for real: the test runs itself again as PID 1 of a PID namespace.

#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real time passes")]

use std::collections::BTreeMap;
use std::process::Command as Program;
use std::sync::Arc;
use std::time::Duration;

use om_backend::process::{Command, Processes};
use om_container::ContainerProcesses;

const INSIDE: &str = "all_processes_are_stopped_and_continued_inside";

#[test]
fn all_processes_are_stopped_and_continued() {
    let folder = tempfile::tempdir().expect("a folder");
    let test = std::env::current_exe().expect("this program");
    let done = Program::new("unshare")
        .args(["-p", "-f", "--mount-proc", "--kill-child=KILL"])
        .arg(test)
        .args(["--ignored", "--exact", INSIDE, "--nocapture", "--test-threads=1"])
        .env("COUNTS", folder.path())
        .output()
        .expect("a PID namespace");
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}

/// How far the counters in the folder have come.
fn counts(folder: &str) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("there").map(|file| file.expect("there").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read_to_string(file).expect("there")).collect()
}

#[test]
#[ignore = "stops every process it sees: runs in a PID namespace of its own, started by the test above"]
fn all_processes_are_stopped_and_continued_inside() {
    assert_eq!(std::process::id(), 1, "this test is for PID 1");
    let folder = std::env::var("COUNTS").expect("the test above says where");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let processes = Arc::new(ContainerProcesses::new(om_system::runtime().tasks).expect("signals"));
        // A server with a child in another session, and one that never stops forking.
        let count = |name: &str| format!("n=0; while :; do n=$((n+1)); echo $n >>{folder}/{name}; done");
        let forks = format!("while :; do (echo x >>{folder}/forks) & wait; done");
        let script = format!("setsid sh -c '{}' & sh -c '{forks}' & {}", count("child"), count("server"));
        let server = Command { argv: vec!["sh".into(), "-c".into(), script], env: BTreeMap::new(), account: None };
        processes.start_server(&server).await.expect("starts");
        while counts(&folder).len() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for round in 0..20 {
            processes.stop_all().await.expect("stopped");
            let stopped = counts(&folder);
            assert_eq!(stopped.len(), 3, "all of them count");
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert_eq!(counts(&folder), stopped, "round {round}: somebody goes on");
            processes.stop_all().await.expect("stopped is stopped");
            for _ in 0..2 {
                processes.continue_all().await.expect("continued");
            }
            // The file of each grows: lengths, not texts.
            let grown = || counts(&folder).iter().zip(&stopped).all(|(now, before)| now.len() > before.len());
            let mut tries = 0..1000;
            while !grown() {
                assert!(tries.next().is_some(), "round {round}: somebody stays stopped");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
        assert!(processes.server_running());
        processes.stop_all().await.expect("stopped");
        processes.signal_server(om_engines::Signal::Kill).await.expect("killed");
        tokio::time::timeout(Duration::from_secs(5), processes.server_exit()).await.expect("the stopped can be killed");
    });
}
