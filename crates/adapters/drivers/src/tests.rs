//! The PostgreSQL client against a server of a few lines, for what a real one does too seldom.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use om_backend::{EngineClient, ErrorKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::*;

fn client(folder: &Path) -> postgresql::LocalPostgresql {
    postgresql::LocalPostgresql::new(&folder.display().to_string(), om_system::runtime().tasks)
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("short").to_be_bytes();
    [&[kind][..], &length, body].concat()
}

fn error(state: &str) -> Vec<u8> {
    message(b'E', format!("SERROR\0VERROR\0C{state}\0Mthe server's words\0Dand more\0\0").as_bytes())
}

/// One row of a text and a null.
fn row() -> Vec<u8> {
    let column = |name: &str| [name.as_bytes(), &[0; 7], &25_u32.to_be_bytes(), &[0xff; 6], &[0; 2]].concat();
    let described = [&2_u16.to_be_bytes()[..], &column("a"), &column("b")].concat();
    let data = [&2_u16.to_be_bytes()[..], &3_u32.to_be_bytes(), b"one", &[0xff; 4]].concat();
    [message(b'T', &described), message(b'D', &data), message(b'C', b"SELECT 1\0")].concat()
}

async fn read(stream: &mut UnixStream) -> Option<Vec<u8>> {
    let length = stream.read_u32().await.ok()? as usize;
    let mut body = vec![0; length - 4];
    stream.read_exact(&mut body).await.ok().map(|_| body)
}

/// Serves connections one by one, counting them; what it answers is in the query.
async fn serve(socket: UnixListener, connections: Arc<AtomicU32>) {
    while let Ok((mut stream, _)) = socket.accept().await {
        let startup = read(&mut stream).await.expect("a startup packet");
        let startup = String::from_utf8_lossy(&startup).into_owned();
        assert!(startup.contains("log_statement=none") && startup.contains("synchronous_commit=local"), "{startup}");
        connections.fetch_add(1, Ordering::SeqCst);
        let ready = message(b'Z', b"I");
        let hello = [message(b'R', &[0; 4]), ready.clone()].concat();
        stream.write_all(&hello).await.expect("written");
        while stream.read_u8().await.is_ok_and(|kind| kind == b'Q') {
            let query = read(&mut stream).await.expect("a query");
            let answer = match query.split(|byte| *byte == 0).next().unwrap_or_default() {
                b"row" => row(),
                b"bad" => error("42601"),
                b"stopping" => error("57P01"),
                _ => break,
            };
            stream.write_all(&[answer, ready.clone()].concat()).await.expect("written");
        }
    }
}

#[tokio::test]
async fn rows_refusals_and_lost_connections_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = client(folder.path());
    assert_eq!(client.query("row").await.expect_err("no socket").kind, ErrorKind::Unavailable);
    let connections = Arc::new(AtomicU32::new(0));
    let socket = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("bound");
    om_system::runtime().tasks.spawn("test", Box::pin(serve(socket, connections.clone())));
    let rows = vec![vec![Some("one".to_owned()), None]];
    assert_eq!(client.query("row").await, Ok(rows.clone()));
    let refused = client.query("bad").await.expect_err("refused");
    assert_eq!((refused.kind, refused.detail.as_str()), (ErrorKind::Invalid, "the server's words: and more"));
    assert_eq!(client.query("stopping").await.expect_err("not now").kind, ErrorKind::Unavailable);
    assert_eq!(connections.load(Ordering::SeqCst), 1, "one connection is kept");
    assert_eq!(client.query("hang up").await.expect_err("cut off").kind, ErrorKind::Unavailable);
    assert_eq!(client.query("row").await, Ok(rows), "connected again");
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_mute_server_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().expect("a folder");
    let _mute = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).expect("bound");
    tokio::time::pause();
    assert_eq!(client(folder.path()).query("row").await.expect_err("mute").kind, ErrorKind::TimedOut);
}

#[test]
fn engines_without_a_client_are_named() {
    let tasks = om_system::runtime().tasks;
    assert!(client_for("postgresql", tasks.clone()).is_ok());
    assert!(client_for("mongodb", tasks).is_err_and(|error| error.to_string().contains("mongodb")));
}
