//! The server over real sockets on loopback addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use om_backend::{ErrorKind, NameService};
use om_model::Epoch;
use om_model::zone::{Zone, ZoneMember, ZoneService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::{DnsServer, Settings, nameservers, resolve};

mod forwarding;

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const PATIENCE: Duration = Duration::from_secs(10);

fn ip(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

/// Three members of the service `orders`, at the given epoch; `orders-0` is the primary and has the address `first`.
fn zone(epoch: u64, first: IpAddr) -> Zone {
    let names: Vec<_> = (0..3).map(|n| format!("orders-{n}").parse().expect("a member")).collect();
    let entry =
        |address| ZoneMember { service: "a".repeat(32).parse().expect("an id"), epoch: Epoch::new(epoch), address };
    let addresses = [first, ip(102), ip(103)];
    let service = ZoneService {
        protocol: "postgresql".into(),
        port: 5432,
        members: names.clone(),
        primaries: names[..1].to_vec(),
    };
    Zone {
        name: "test-openmanage.com".parse().expect("a zone"),
        serial: 1,
        fixed: [
            ("openmanage-manageserver".to_owned(), vec![ip(1), "fd00::1".parse().expect("an address")]),
            ("many".to_owned(), (0..60).map(ip).collect()),
        ]
        .into(),
        members: names.into_iter().zip(addresses.map(entry)).collect(),
        services: BTreeMap::from([("orders".to_owned(), service)]),
    }
}

fn server(upstreams: Vec<SocketAddr>) -> DnsServer {
    DnsServer::new(Settings { zone: "test-openmanage.com".parse().expect("a zone"), ttl: 5, upstreams })
}

async fn published() -> (DnsServer, SocketAddr) {
    let server = server(vec![]);
    let address = server.listen(LOOPBACK, false).await.expect("a free port");
    server.publish(&zone(1, ip(101))).await.expect("published");
    (server, address)
}

fn query(name: &str, rtype: RecordType) -> Message {
    let mut message = Message::new(99, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).expect("a name"), rtype));
    message
}

/// Asks once over UDP.
async fn ask(server: SocketAddr, message: &Message) -> Message {
    let socket = UdpSocket::bind(LOOPBACK).await.expect("a port");
    socket.send_to(&message.to_vec().expect("a message"), server).await.expect("sent");
    let mut bytes = [0; 4096];
    let (length, from) = timeout(PATIENCE, socket.recv_from(&mut bytes)).await.expect("in time").expect("an answer");
    assert_eq!(from, server);
    Message::from_vec(&bytes[..length]).expect("a whole message")
}

async fn tcp_ask(stream: &mut TcpStream, message: &Message) -> Message {
    let bytes = message.to_vec().expect("a message");
    stream.write_u16(u16::try_from(bytes.len()).expect("short")).await.expect("sent");
    stream.write_all(&bytes).await.expect("sent");
    let length = timeout(PATIENCE, stream.read_u16()).await.expect("in time").expect("a length");
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.expect("a message");
    Message::from_vec(&bytes).expect("a whole message")
}

fn data(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn answers_members_services_primaries_and_srv() {
    let (_server, address) = published().await;
    let found = async |name: &str, rtype| data(&ask(address, &query(name, rtype)).await);
    assert_eq!(found("orders-1.test-openmanage.com.", RecordType::A).await, ["10.0.0.102"]);
    assert_eq!(found("orders.test-openmanage.com.", RecordType::A).await, ["10.0.0.101", "10.0.0.102", "10.0.0.103"]);
    assert_eq!(found("orders-primary.test-openmanage.com.", RecordType::A).await, ["10.0.0.101"]);
    assert_eq!(found("openmanage-manageserver.test-openmanage.com.", RecordType::AAAA).await, ["fd00::1"]);
    assert_eq!(found("test-openmanage.com.", RecordType::NS).await, ["ns.test-openmanage.com."]);
    assert_eq!(found("ns.test-openmanage.com.", RecordType::A).await, ["127.0.0.1"], "where we listen");
    let srv = ask(address, &query("_postgresql._tcp.orders.test-openmanage.com.", RecordType::SRV)).await;
    assert_eq!(data(&srv)[2], "0 0 5432 orders-2.test-openmanage.com.");
    let glue: Vec<_> = srv.additionals.iter().map(|record| (record.name.to_ascii(), record.data.to_string())).collect();
    assert_eq!(glue[2], ("orders-2.test-openmanage.com.".to_owned(), "10.0.0.103".to_owned()));
    let code = async |name: &str| ask(address, &query(name, RecordType::A)).await.metadata.response_code;
    assert_eq!(code("orders-3.test-openmanage.com.").await, ResponseCode::NXDomain);
    assert_eq!(code("example.org.").await, ResponseCode::Refused);
}

#[tokio::test]
async fn a_cut_answer_is_whole_over_tcp_and_a_connection_takes_many_queries() {
    let (_server, address) = published().await;
    let many = query("many.test-openmanage.com.", RecordType::A);
    let cut = ask(address, &many).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut stream = TcpStream::connect(address).await.expect("connects");
    for _ in 0..3 {
        assert_eq!(tcp_ask(&mut stream, &many).await.answers.len(), 60);
    }
    assert_eq!(
        data(&tcp_ask(&mut stream, &query("orders-1.test-openmanage.com.", RecordType::A)).await),
        ["10.0.0.102"]
    );
}

#[tokio::test]
async fn silent_and_slow_tcp_clients_are_cut_off() {
    let (_server, address) = published().await;
    let mut silent = TcpStream::connect(address).await.expect("connects");
    let mut slow = TcpStream::connect(address).await.expect("connects");
    slow.write_all(&[0, 50, 1]).await.expect("sent");
    let mut rest = Vec::new();
    for stream in [&mut silent, &mut slow] {
        let end = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("cut off in time");
        assert!(end.is_err() || rest.is_empty());
    }
}

#[tokio::test]
async fn before_publication_and_after_withdrawal_our_names_fail() {
    let server = server(vec![]);
    let address = server.listen(LOOPBACK, false).await.expect("a free port");
    let code =
        async || ask(address, &query("orders-0.test-openmanage.com.", RecordType::A)).await.metadata.response_code;
    assert_eq!(code().await, ResponseCode::ServFail);
    server.publish(&zone(1, ip(101))).await.expect("published");
    assert_eq!(code().await, ResponseCode::NoError);
    server.withdraw().await.expect("withdrawn");
    assert_eq!(code().await, ResponseCode::ServFail);
    let other = Zone { name: "other.com".parse().expect("a zone"), ..zone(1, ip(101)) };
    assert_eq!(server.publish(&other).await.expect_err("another zone").kind, ErrorKind::Invalid);
}

#[tokio::test]
async fn a_stale_zone_does_not_bring_a_former_holder_back_even_after_a_withdrawal() {
    let (server, address) = published().await;
    let holder = async || data(&ask(address, &query("orders-0.test-openmanage.com.", RecordType::A)).await);
    server.publish(&zone(3, ip(33))).await.expect("published");
    server.publish(&zone(2, ip(22))).await.expect("published");
    assert_eq!(holder().await, ["10.0.0.33"]);
    server.withdraw().await.expect("withdrawn");
    server.publish(&zone(2, ip(22))).await.expect("published");
    assert_eq!(holder().await, ["10.0.0.33"]);
    server.publish(&zone(4, ip(44))).await.expect("published");
    assert_eq!(holder().await, ["10.0.0.44"]);
}

/// The epoch is the last octet of the address: publishers race with zones in any order, and no client of any listener
/// ever sees it go back.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_never_see_an_epoch_go_back_while_publishers_race() {
    let server = Arc::new(server(vec![]));
    let address = server.listen(LOOPBACK, false).await.expect("a free port");
    server.publish(&zone(1, ip(1))).await.expect("published");
    let done = Arc::new(AtomicBool::new(false));
    let watcher = {
        let done = done.clone();
        tokio::spawn(async move {
            let (mut last, mut changes) = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let answer = ask(address, &query("orders-0.test-openmanage.com.", RecordType::A)).await;
                let RData::A(A(now)) = answer.answers[0].data else { panic!("no address") };
                assert!(now.octets()[3] >= last, "{now} after {last}");
                changes += u32::from(now.octets()[3] > last);
                last = now.octets()[3];
            }
            (last, changes)
        })
    };
    let publishers = (0..4u8).map(|publisher| {
        let server = server.clone();
        tokio::spawn(async move {
            for step in 0..50 {
                let epoch = step * 4 + publisher + 1;
                server.publish(&zone(epoch.into(), ip(epoch))).await.expect("published");
                tokio::time::sleep(Duration::from_millis(u64::from(epoch % 3))).await;
            }
        })
    });
    for publisher in futures::future::join_all(publishers).await {
        publisher.expect("no panic");
    }
    let final_answer = ask(address, &query("orders-0.test-openmanage.com.", RecordType::A)).await;
    done.store(true, Ordering::Relaxed);
    let (last, changes) = watcher.await.expect("never back");
    assert!(last >= 1 && changes > 1, "the watcher saw {changes} changes");
    assert_eq!(data(&final_answer), ["10.0.0.200"]);
}

/// The next answer after `publish` returned is the new one. The time it takes is shown; its bound is generous.
#[tokio::test]
async fn what_is_published_is_answered_at_once() {
    let (server, address) = published().await;
    let mut worst = Duration::ZERO;
    for epoch in 2..52 {
        let before = Instant::now();
        server.publish(&zone(u64::from(epoch), ip(epoch))).await.expect("published");
        let answer = ask(address, &query("orders-0.test-openmanage.com.", RecordType::A)).await;
        worst = worst.max(before.elapsed());
        assert_eq!(data(&answer), [ip(epoch).to_string()]);
    }
    println!("publish to answer: {worst:?} at worst of 50");
    assert!(worst < Duration::from_secs(5), "{worst:?}");
}

#[tokio::test]
async fn a_taken_port_is_reported_and_a_dropped_server_gives_it_back() {
    let (first, address) = published().await;
    let second = server(vec![]);
    let error = second.listen(address, false).await.expect_err("taken");
    assert_eq!(error.kind, ErrorKind::Refused);
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("ss -lunp"), "{text}");
    let tcp_only = TcpListener::bind(LOOPBACK).await.expect("a port");
    let taken = tcp_only.local_addr().expect("bound");
    let text = second.listen(taken, false).await.expect_err("taken for TCP").to_string();
    assert!(text.contains("ss -ltnp"), "{text}");
    drop(first);
    let again = timeout(PATIENCE, async {
        while second.listen(address, false).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    again.await.expect("the port is free again");
}

#[tokio::test]
async fn listeners_can_be_added_and_are_the_zone_s_name_servers() {
    let (server, first) = published().await;
    let second = server.listen("127.0.0.2:0".parse().expect("an address"), false).await.expect("a free port");
    for address in [first, second] {
        let answer = ask(address, &query("ns.test-openmanage.com.", RecordType::A)).await;
        assert_eq!(data(&answer), ["127.0.0.1", "127.0.0.2"]);
    }
}

#[tokio::test]
async fn the_stub_resolver_finds_addresses_and_says_why_not() {
    let (server, address) = published().await;
    let found = resolve(address, "openmanage-manageserver.Test-OpenManage.com").await.expect("found");
    assert_eq!(found, [ip(1), "fd00::1".parse().expect("an address")]);
    assert_eq!(resolve(address, "many.test-openmanage.com.").await.expect("over TCP").len(), 60);
    let missing = resolve(address, "none.test-openmanage.com").await.expect_err("no such name");
    assert_eq!(missing.kind, ErrorKind::NotFound);
    assert_eq!(resolve(address, "a..b").await.expect_err("no name").kind, ErrorKind::Invalid);
    drop(server);
    let gone = resolve(address, "many.test-openmanage.com").await.expect_err("nobody there");
    assert!(gone.may_pass() && gone.to_string().contains(&address.to_string()), "{gone}");
}

#[test]
fn reads_resolv_conf() {
    let text = "# comment\nsearch a.b\nnameserver 10.0.0.2\n nameserver\tfd00::2 \nnameservers 1.2.3.4\nnameserver x\n";
    let expected: [SocketAddr; 2] = ["10.0.0.2:53".parse().expect("one"), "[fd00::2]:53".parse().expect("one")];
    assert_eq!(nameservers(text), expected);
}
