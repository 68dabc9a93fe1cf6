//! Ending TCP connections, by `NETLINK_SOCK_DIAG`.
//!
//! The kernel lists its connections, and those that match are ended one by one (`SOCK_DESTROY`): whoever uses one gets
//! `ECONNABORTED` at once, where a silent peer would cost him his own time-out.
//!
//! **Invariant:** a connection is named by its ends and its cookie, as the kernel listed it: another one that is made
//! between the same ends meanwhile stays.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{SockDiagDestroy, SockDiagMessage};
use om_backend::{ErrorKind, PortError, Result};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_ALIGNTO, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use rtnetlink::sys::Socket;
use rtnetlink::sys::protocols::NETLINK_SOCK_DIAG;
use rustix::io::Errno;

/// Ends every connection to `port` of `peer`, also one that is being made. Waits for the kernel's own memory only.
pub(crate) fn sever(peer: IpAddr, port: u16) -> Result<()> {
    let peer = SocketAddr::new(peer.to_canonical(), port);
    all_to(peer).map_err(|error| wrong(peer, &error))
}

fn all_to(peer: SocketAddr) -> io::Result<()> {
    let kernel = Socket::new(NETLINK_SOCK_DIAG)?;
    // Connections to IPv4 addresses are also among IPv6's: those of sockets that speak both.
    for family in [AF_INET, AF_INET6] {
        for connection in listed(&kernel, family, peer)? {
            let request = SockDiagMessage::InetRequest(request(family, connection));
            match ask(&kernel, NLM_F_ACK, SockDiagDestroy::new(request)) {
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => {} // It ended by itself.
                done => drop(done?),
            }
        }
    }
    Ok(())
}

/// The family's connections to `peer` that anybody still waits for.
fn listed(kernel: &Socket, family: u8, peer: SocketAddr) -> io::Result<Vec<SocketId>> {
    let any = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let request = request(family, SocketId { destination_port: peer.port(), ..any });
    let listed = ask(kernel, NLM_F_DUMP, SockDiagMessage::InetRequest(request)).map_err(|error| {
        // Not to be taken for a connection that is gone.
        if Errno::from_io_error(&error) == Some(Errno::NOENT) { Errno::OPNOTSUPP.into() } else { error }
    })?;
    let connections = listed.into_iter().filter_map(|told| match told {
        SockDiagMessage::InetResponse(found) => Some(found.header.socket_id),
        _ => None,
    });
    let other_end = |id: &SocketId| SocketAddr::new(id.destination_address.to_canonical(), id.destination_port);
    Ok(connections.filter(|id| other_end(id) == peer).collect())
}

fn request(family: u8, socket_id: SocketId) -> InetRequest {
    let states = StateFlags::ESTABLISHED | StateFlags::SYN_SENT;
    InetRequest { family, protocol: IPPROTO_TCP, extensions: ExtensionFlags::empty(), states, socket_id }
}

/// Asks the kernel, and takes what it says until it has said all.
fn ask<I>(kernel: &Socket, flags: u16, question: I) -> io::Result<Vec<I>>
where
    I: NetlinkSerializable + NetlinkDeserializable + Into<NetlinkPayload<I>>,
{
    let mut message = NetlinkMessage::new(NetlinkHeader::default(), question.into());
    message.header.flags = NLM_F_REQUEST | flags;
    message.finalize();
    let mut packet = vec![0; message.buffer_len()];
    message.serialize(&mut packet);
    kernel.send_to(&packet, &rtnetlink::sys::SocketAddr::new(0, 0), 0)?;
    let mut told = Vec::new();
    loop {
        let (packet, _) = kernel.recv_from_full()?;
        let mut rest = packet.as_slice();
        while !rest.is_empty() {
            let message = NetlinkMessage::<I>::deserialize(rest).map_err(io::Error::other)?;
            let length = (message.header.length as usize).next_multiple_of(usize::from(NLMSG_ALIGNTO));
            rest = rest.get(length..).unwrap_or_default();
            match message.payload {
                NetlinkPayload::InnerMessage(one) => told.push(one),
                NetlinkPayload::Done(end) if end.code < 0 => return Err(io::Error::from_raw_os_error(-end.code)),
                NetlinkPayload::Error(end) if end.code.is_some() => return Err(end.to_io()),
                NetlinkPayload::Done(_) | NetlinkPayload::Error(_) => return Ok(told),
                _ => {}
            }
        }
    }
}

fn wrong(peer: SocketAddr, error: &io::Error) -> PortError {
    const ACTION: &str = "end the connections to";
    match Errno::from_io_error(error) {
        Some(Errno::OPNOTSUPP | Errno::PROTONOSUPPORT) => {
            PortError::new(ErrorKind::Refused, ACTION, peer, format!("the kernel cannot: {error}"))
                .advise("use a kernel with CONFIG_INET_DIAG and CONFIG_INET_DIAG_DESTROY")
        }
        Some(Errno::PERM | Errno::ACCESS) => {
            PortError::new(ErrorKind::Unavailable, ACTION, peer, error).advise("run the agent as root")
        }
        _ => PortError::new(ErrorKind::Unavailable, ACTION, peer, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_cannot_is_told_from_other_troubles() {
        let told = |errno: Errno| wrong("10.0.0.1:2377".parse().unwrap(), &errno.into());
        let cannot = told(Errno::OPNOTSUPP);
        assert!(cannot.kind == ErrorKind::Refused && cannot.next.is_some(), "{cannot}");
        assert_eq!(told(Errno::PERM).kind, ErrorKind::Unavailable);
        assert_eq!(told(Errno::NOBUFS).kind, ErrorKind::Unavailable);
    }
}
