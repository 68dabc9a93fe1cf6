//! One question to one server: UDP with an id and a port nobody can guess, then TCP if the answer was cut.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::tcp;
use crate::wire::{HEADER, MESSAGE_MAX, Query, flag, read_u16, skip_name};

/// Sends `query` under an id of our own and returns the answer under the query's. `limit` bounds each of the two
/// attempts, UDP and TCP.
pub(crate) async fn ask(server: SocketAddr, query: &[u8], limit: Duration) -> io::Result<Vec<u8>> {
    let question = Query::parse(query).map_err(|_| io::Error::other("not a query"))?;
    let mut sent = query.to_vec();
    getrandom::fill(&mut sent[..2]).map_err(io::Error::other)?;
    let expected = Expected { id: [sent[0], sent[1]], question: &query[HEADER..question.question_end] };
    let mut answer = timeout(limit, over_udp(server, &sent, &expected)).await??;
    if answer[2] & (flag::TC >> 8) as u8 != 0 {
        answer = timeout(limit, over_tcp(server, &sent, &expected)).await??;
    }
    answer[..2].copy_from_slice(&query[..2]);
    Ok(answer)
}

/// What an answer must repeat to be taken for one.
struct Expected<'a> {
    id: [u8; 2],
    question: &'a [u8],
}

impl Expected<'_> {
    fn matches(&self, answer: &[u8]) -> bool {
        let is_answer = answer.len() >= HEADER && answer[..2] == self.id && answer[2] & 0x80 != 0;
        let end = skip_name(answer, HEADER).map(|end| end + 4);
        let question = end.and_then(|end| answer.get(HEADER..end));
        let (name, fixed) = self.question.split_at(self.question.len() - 4);
        is_answer
            && read_u16(answer, 4) == Some(1)
            // Length octets are no letters, so that ignoring case is right for the whole name.
            && question.is_some_and(|question| {
                question.len() == self.question.len()
                    && question[..name.len()].eq_ignore_ascii_case(name)
                    && question[name.len()..] == *fixed
            })
    }
}

async fn over_udp(server: SocketAddr, sent: &[u8], expected: &Expected<'_>) -> io::Result<Vec<u8>> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Connected: the kernel drops what comes from elsewhere, and tells when nobody listens there.
    socket.connect(server).await?;
    socket.send(sent).await?;
    let mut answer = vec![0; MESSAGE_MAX];
    loop {
        let length = socket.recv(&mut answer).await?;
        // Anything else may be forged, or late: the true answer may still come.
        if expected.matches(&answer[..length]) {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, sent: &[u8], expected: &Expected<'_>) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    tcp::write(&mut stream, sent).await?;
    let mut answer = Vec::new();
    if tcp::read(&mut stream, &mut answer).await? && expected.matches(&answer) {
        return Ok(answer);
    }
    Err(io::Error::other("no answer to this question"))
}
