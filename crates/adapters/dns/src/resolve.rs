//! A stub resolver for one question: which addresses has this name, says this server?

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use om_backend::{ErrorKind, PortError, Result};

use crate::exchange;

/// How long to wait for each answer.
const TRY_LIMIT: Duration = Duration::from_secs(1);

/// How often to ask.
const TRIES: usize = 3;

/// The addresses of `name` (in full, with or without the last dot) according to `server`, IPv4 first.
/// [`ErrorKind::NotFound`] if it has none, [`ErrorKind::TimedOut`] if the server does not answer within about 3 seconds.
pub async fn resolve(server: SocketAddr, name: &str) -> Result<Vec<IpAddr>> {
    let mut fqdn = Name::from_ascii(name)
        .map_err(|error| PortError::new(ErrorKind::Invalid, "resolve", name, format!("not a DNS name: {error}")))?;
    fqdn.set_fqdn(true);
    let (v4, v6) = futures::future::join(
        addresses(server, name, &fqdn, RecordType::A),
        addresses(server, name, &fqdn, RecordType::AAAA),
    )
    .await;
    let found = [v4?, v6?].concat();
    if found.is_empty() {
        let detail = format!("the name server at {server} knows no address of it");
        return Err(PortError::new(ErrorKind::NotFound, "resolve", name, detail));
    }
    Ok(found)
}

async fn addresses(server: SocketAddr, name: &str, fqdn: &Name, rtype: RecordType) -> Result<Vec<IpAddr>> {
    let failed =
        |kind, detail: String| PortError::new(kind, "resolve", name, format!("name server {server}: {detail}"));
    let mut query = Message::new(0, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(fqdn.clone(), rtype));
    let bytes = query.to_vec().map_err(|error| failed(ErrorKind::Invalid, error.to_string()))?;
    let answer = ask(server, &bytes).await.map_err(|error| match error.kind() {
        io::ErrorKind::TimedOut => failed(ErrorKind::TimedOut, "no answer".into()),
        _ => failed(ErrorKind::Unavailable, error.to_string()),
    })?;
    let answer = Message::from_vec(&answer).map_err(|error| failed(ErrorKind::Unavailable, error.to_string()))?;
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        code => return Err(failed(ErrorKind::Unavailable, code.to_string())),
    }
    Ok(answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        })
        .collect())
}

async fn ask(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut last = io::Error::from(io::ErrorKind::TimedOut);
    for _ in 0..TRIES {
        match exchange::ask(server, query, TRY_LIMIT).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}
