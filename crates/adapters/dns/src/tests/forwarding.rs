//! Other zones' names: asked of upstreams that answer, lie, cut, refuse or say nothing.

use super::*;
use crate::forward::Forwarder;

/// What an upstream of ours does with every query.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    /// Answers with one address.
    Answer(Ipv4Addr),
    /// First sends an answer under another id and one to another question, then the true one.
    AfterForgeries(Ipv4Addr),
    /// Cut over UDP; over TCP sixty addresses.
    Cut,
    Refuse,
    Silent,
}

fn reply(query: &Message, code: ResponseCode, addresses: &[Ipv4Addr]) -> Message {
    let mut reply = Message::response(query.metadata.id, OpCode::Query);
    reply.metadata.response_code = code;
    reply.add_query(query.queries[0].clone());
    let name = query.queries[0].name().clone();
    reply.add_answers(addresses.iter().map(|address| Record::from_rdata(name.clone(), 60, RData::A(A(*address)))));
    reply
}

fn replies(query: &Message, habit: Habit) -> Vec<Message> {
    let forged = Ipv4Addr::new(6, 6, 6, 6);
    match habit {
        Habit::Answer(address) => vec![reply(query, ResponseCode::NoError, &[address])],
        Habit::AfterForgeries(address) => {
            let mut wrong_id = reply(query, ResponseCode::NoError, &[forged]);
            wrong_id.metadata.id = !query.metadata.id;
            let mut wrong_question = reply(query, ResponseCode::NoError, &[forged]);
            wrong_question.queries[0].set_name(Name::from_ascii("exbmple.org.").expect("a name"));
            vec![wrong_id, wrong_question, reply(query, ResponseCode::NoError, &[address])]
        }
        Habit::Cut => {
            let mut cut = reply(query, ResponseCode::NoError, &[]);
            cut.metadata.truncation = true;
            vec![cut]
        }
        Habit::Refuse => vec![reply(query, ResponseCode::Refused, &[])],
        Habit::Silent => vec![],
    }
}

/// An upstream; it runs until the test's runtime ends. The flag tells whether it was ever asked.
async fn upstream(habit: Habit) -> (SocketAddr, Arc<AtomicBool>) {
    let (socket, listener) = loop {
        let socket = UdpSocket::bind(LOOPBACK).await.expect("a port");
        // Somebody else may have the same port for TCP.
        if let Ok(listener) = TcpListener::bind(socket.local_addr().expect("bound")).await {
            break (socket, listener);
        }
    };
    let address = socket.local_addr().expect("bound");
    let asked = Arc::new(AtomicBool::new(false));
    let flag = asked.clone();
    tokio::spawn(async move {
        let mut bytes = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
            flag.store(true, Ordering::Relaxed);
            let query = Message::from_vec(&bytes[..length]).expect("a query");
            for reply in replies(&query, habit) {
                socket.send_to(&reply.to_vec().expect("a message"), from).await.expect("sent");
            }
        }
    });
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let length = stream.read_u16().await.expect("a length");
            let mut bytes = vec![0; usize::from(length)];
            stream.read_exact(&mut bytes).await.expect("a query");
            let query = Message::from_vec(&bytes).expect("a query");
            let sixty: Vec<_> = (0..60).map(|n| Ipv4Addr::new(192, 0, 2, n)).collect();
            let bytes = reply(&query, ResponseCode::NoError, &sixty).to_vec().expect("a message");
            stream.write_u16(u16::try_from(bytes.len()).expect("short")).await.expect("sent");
            stream.write_all(&bytes).await.expect("sent");
        }
    });
    (address, asked)
}

async fn forwarding(upstreams: Vec<SocketAddr>) -> (DnsServer, SocketAddr) {
    let server = server(upstreams);
    let address = server.listen(LOOPBACK, true).await.expect("a free port");
    server.publish(&zone(1, ip(101))).await.expect("published");
    (server, address)
}

#[tokio::test]
async fn other_names_are_forwarded_and_ours_are_not() {
    let (up, asked) = upstream(Habit::Answer(Ipv4Addr::new(192, 0, 2, 1))).await;
    let (server, address) = forwarding(vec![up]).await;
    for name in ["orders-0.test-openmanage.com.", "none.test-openmanage.com.", "test-openmanage.com."] {
        let answer = ask(address, &query(name, RecordType::A)).await;
        assert!(answer.metadata.authoritative && answer.metadata.recursion_available, "{name}");
    }
    assert!(!asked.load(Ordering::Relaxed), "a name of ours left");
    let answer = ask(address, &query("Example.ORG.", RecordType::A)).await;
    assert_eq!((answer.metadata.id, data(&answer)), (99, vec!["192.0.2.1".to_owned()]));
    let plain = server.listen(LOOPBACK, false).await.expect("a free port");
    let refused = ask(plain, &query("example.org.", RecordType::A)).await;
    assert_eq!(refused.metadata.response_code, ResponseCode::Refused, "this listener does not forward");
}

#[tokio::test]
async fn forged_answers_are_passed_over() {
    let (up, _) = upstream(Habit::AfterForgeries(Ipv4Addr::new(192, 0, 2, 1))).await;
    let (_server, address) = forwarding(vec![up]).await;
    assert_eq!(data(&ask(address, &query("example.org.", RecordType::A)).await), ["192.0.2.1"]);
}

#[tokio::test]
async fn a_silent_and_a_refusing_upstream_are_passed_over_and_the_good_one_is_remembered() {
    let (silent, silent_asked) = upstream(Habit::Silent).await;
    let (refusing, _) = upstream(Habit::Refuse).await;
    let (good, _) = upstream(Habit::Answer(Ipv4Addr::new(192, 0, 2, 1))).await;
    let (_server, address) = forwarding(vec![silent, refusing, good]).await;
    assert_eq!(data(&ask(address, &query("example.org.", RecordType::A)).await), ["192.0.2.1"]);
    assert!(silent_asked.swap(false, Ordering::Relaxed));
    assert_eq!(data(&ask(address, &query("example.org.", RecordType::A)).await), ["192.0.2.1"]);
    assert!(!silent_asked.load(Ordering::Relaxed), "the silent one was asked first again");
}

#[tokio::test]
async fn a_long_answer_comes_over_tcp_and_is_cut_for_udp() {
    let (up, _) = upstream(Habit::Cut).await;
    let (_server, address) = forwarding(vec![up]).await;
    let cut = ask(address, &query("example.org.", RecordType::A)).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut stream = TcpStream::connect(address).await.expect("connects");
    assert_eq!(tcp_ask(&mut stream, &query("example.org.", RecordType::A)).await.answers.len(), 60);
}

#[tokio::test]
async fn without_a_useful_upstream_the_client_learns_it() {
    let (refusing, _) = upstream(Habit::Refuse).await;
    let code = async |upstreams| {
        let (_server, address) = forwarding(upstreams).await;
        ask(address, &query("example.org.", RecordType::A)).await.metadata.response_code
    };
    assert_eq!(code(vec![]).await, ResponseCode::ServFail);
    assert_eq!(code(vec![refusing]).await, ResponseCode::Refused);
    let (silent, _) = upstream(Habit::Silent).await;
    assert_eq!(code(vec![silent]).await, ResponseCode::ServFail);
}

/// A question to ourselves would go round until all places are taken.
#[tokio::test]
async fn our_own_addresses_are_not_asked() {
    let (own, asked) = upstream(Habit::Answer(Ipv4Addr::new(192, 0, 2, 1))).await;
    let (other, _) = upstream(Habit::Answer(Ipv4Addr::new(192, 0, 2, 2))).await;
    let query = query("example.org.", RecordType::A).to_vec().expect("a message");
    assert_eq!(Forwarder::new(vec![own]).ask(&query, &[own]).await, None);
    let answer = Forwarder::new(vec![own, other]).ask(&query, &[own]).await.expect("the other answers");
    assert_eq!(data(&Message::from_vec(&answer).expect("whole")), ["192.0.2.2"]);
    assert!(!asked.load(Ordering::Relaxed));
}
