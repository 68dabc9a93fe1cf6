//! Both ends talk to each other, and to strangers.

use std::sync::Arc;

use om_backend::member_channel::{MemberChannel, MemberPhase, MemberStatus, Reply, Request};
use om_backend::{ErrorKind, Tasks};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;

fn status(configuration: u64) -> MemberStatus {
    MemberStatus {
        phase: MemberPhase::Running,
        detail: "well".into(),
        health: None,
        configuration,
        restart_pending: false,
        starts: 1,
    }
}

fn answering(socket: Listener) {
    let tasks: Arc<dyn Tasks> = om_system::runtime().tasks;
    let answer: Answer = Arc::new(|request| {
        Box::pin(async move {
            match request {
                Request::Status => Reply::Status(status(1)),
                Request::Reload => Reply::Status(status(2)),
                Request::RestartServer => Reply::Failed("not now".into()),
            }
        })
    });
    let serving = socket.serve(tasks.clone(), answer);
    tasks.spawn("test", Box::pin(serving));
}

#[tokio::test]
async fn requests_are_answered_also_below_a_path_too_long_for_a_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let short = folder.path().join("s");
    let long = folder.path().join("x".repeat(120));
    std::fs::create_dir(&long).expect("made");
    std::os::unix::fs::symlink(&long, &short).expect("linked");
    let socket = short.join(om_engines::member::SOCKET);
    // Replaces what a former process left.
    drop(Listener::bind(&socket).expect("bound"));
    answering(Listener::bind(&socket).expect("bound again"));
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&socket).expect("there"));
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(MemberSocket.ask(&long, Request::Status).await, Ok(status(1)));
    assert_eq!(MemberSocket.ask(&long, Request::Reload).await, Ok(status(2)));
    let refused = MemberSocket.ask(&long, Request::RestartServer).await.expect_err("refused");
    assert_eq!((refused.kind, refused.detail.as_str()), (ErrorKind::Refused, "not now"));
}

#[tokio::test]
async fn no_program_or_one_that_is_dead_or_mute_is_unavailable() {
    let folder = tempfile::tempdir().expect("a folder");
    let ask = async || MemberSocket.ask(folder.path(), Request::Status).await.expect_err("nobody answers").kind;
    assert_eq!(ask().await, ErrorKind::Unavailable);
    let socket = folder.path().join(om_engines::member::SOCKET);
    let dead = UnixListener::bind(&socket).expect("bound");
    drop(dead);
    assert_eq!(ask().await, ErrorKind::Unavailable);
    std::fs::remove_file(&socket).expect("removed");
    let rude = UnixListener::bind(&socket).expect("bound");
    let hang_up = async {
        let (mut stream, _) = rude.accept().await.expect("accepted");
        stream.write_all(b"{\"status\":").await.expect("written");
    };
    assert_eq!(tokio::join!(ask(), hang_up).0, ErrorKind::Unavailable);
    // Accepts and says nothing.
    let (asked, _silent) = tokio::join!(ask(), rude.accept());
    assert_eq!(asked, ErrorKind::TimedOut);
}

#[tokio::test]
async fn strangers_get_a_clear_word_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join(om_engines::member::SOCKET);
    answering(Listener::bind(&socket).expect("bound"));
    let say = async |text: &[u8]| {
        let mut stream = UnixStream::connect(&socket).await.expect("connects");
        // A listener that has had enough closes while we still write.
        let _ = stream.write_all(text).await;
        let _ = stream.shutdown().await;
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply).await;
        reply
    };
    assert!(say(b"\"drop-tables\"\n").await.contains("is not understood"));
    assert_eq!(say(b"\"status\"").await, "", "half a line");
    assert_eq!(say(&vec![b'x'; 2 << 20]).await, "", "a line without end");
    assert!(say(b"\"status\"\n").await.contains("\"well\""));
}
