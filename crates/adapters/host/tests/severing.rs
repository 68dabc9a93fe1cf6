//! Real connections on the loopback, as root. Whatever holds a connection must learn of its end at once.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]
#![allow(clippy::disallowed_methods, reason = "an adapter's own tests: real threads and time")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use om_backend::Host;
use om_host::SystemHost;
use rustix::net::{AddressFamily, SocketType, bind, connect as connect_from, getsockname, listen, socket};

/// Longer than anything here takes, for what would wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

/// A connection to `to` by way of `dialled`, and its other end.
fn connect(to: &TcpListener, dialled: &str) -> (TcpStream, TcpStream) {
    let address = SocketAddr::new(dialled.parse().unwrap(), to.local_addr().unwrap().port());
    let here = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    here.set_read_timeout(Some(PATIENCE)).unwrap();
    (here, to.accept().unwrap().0)
}

async fn sever(peer: &str, port: u16) {
    let peer: IpAddr = peer.parse().unwrap();
    SystemHost::detect().unwrap().sever(peer, port).await.unwrap();
}

fn assert_ended((mut here, _there): (TcpStream, TcpStream)) {
    let error = here.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted, "{error}");
}

fn assert_works((here, there): &mut (TcpStream, TcpStream)) {
    there.write_all(b"x").unwrap();
    here.read_exact(&mut [0]).unwrap();
    here.write_all(b"y").unwrap();
    there.read_exact(&mut [0]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_that_port_of_that_peer_end_and_no_others() {
    let severed = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = severed.local_addr().unwrap().port();
    let (other_port, other_peer) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind(("127.0.0.2", port)).unwrap());
    let ended = [connect(&severed, "127.0.0.1"), connect(&severed, "127.0.0.1"), connect(&severed, "::ffff:127.0.0.1")];
    let mut kept = [connect(&other_port, "127.0.0.1"), connect(&other_peer, "127.0.0.2")];
    sever("127.0.0.1", port).await;
    ended.into_iter().for_each(assert_ended);
    kept.iter_mut().for_each(assert_works);

    assert_works(&mut connect(&severed, "127.0.0.1"));
    sever("127.0.0.1", port).await;
    sever("127.0.0.1", port).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_the_peer_made_stay() {
    let mine = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = mine.local_addr().unwrap();
    let peer = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&peer, &SocketAddr::from(([127, 0, 0, 3], 0))).unwrap();
    connect_from(&peer, &address).unwrap();
    let mut pair = (TcpStream::from(peer), mine.accept().unwrap().0);
    // The port is this machine's own in that connection.
    sever("127.0.0.3", address.port()).await;
    assert_works(&mut pair);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_the_kernel_lists_at_once_all_end() {
    let severed = TcpListener::bind("127.0.0.1:0").unwrap();
    let many: Vec<_> = (0..300).map(|_| connect(&severed, "127.0.0.1")).collect();
    sever("127.0.0.1", severed.local_addr().unwrap().port()).await;
    many.into_iter().for_each(assert_ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ipv6_peer_is_as_good() {
    let Ok(severed) = TcpListener::bind("[::1]:0") else {
        return eprintln!("skipped: this machine has no IPv6");
    };
    let ended = connect(&severed, "::1");
    sever("::1", severed.local_addr().unwrap().port()).await;
    assert_ended(ended);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_just_being_made_ends_too() {
    // A queue that one connection fills: the next one's SYN is not answered, as by a machine without power.
    let full = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&full, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    listen(&full, 0).unwrap();
    let address = SocketAddr::try_from(getsockname(&full).unwrap()).unwrap();
    let _fills = TcpStream::connect(address).unwrap();
    let making = std::thread::spawn(move || TcpStream::connect_timeout(&address, PATIENCE));
    while !making.is_finished() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sever("127.0.0.1", address.port()).await;
    }
    assert_eq!(making.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionAborted);
}
