//! ICMP echoes (RFC 792, RFC 4443), over a socket that is connected to the machine asked: the kernel hands us its packets
//! only.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How far apart echoes are.
const EVERY: Duration = Duration::from_millis(60);
/// Marks our echoes among those of others.
const MARK: [u8; 8] = *b"openmngd";

/// What an ICMP version calls things.
struct Protocol {
    request: u8,
    reply: u8,
    /// Whether raw sockets show the IP header before the message.
    header: bool,
}

const V4: Protocol = Protocol { request: 8, reply: 0, header: true };
const V6: Protocol = Protocol { request: 128, reply: 129, header: false };

/// Returns once `address` has answered an echo of this call.
pub(crate) async fn answered(address: IpAddr, call: u16) -> io::Result<()> {
    let (protocol, socket) = open(address)?;
    // Tokio has no raw sockets; on one that is connected, sending and receiving are the same calls as for UDP.
    let socket = UdpSocket::from_std(std::net::UdpSocket::from(socket))?;
    let mut sequence = 0;
    loop {
        // Failures are told of earlier echoes too (no route, a full queue), and may pass; if not, nothing is heard.
        let _ = socket.try_send(&request(&protocol, call, sequence));
        sequence = sequence.wrapping_add(1);
        if timeout(EVERY, reply(&socket, &protocol, call)).await.is_ok() {
            return Ok(());
        }
    }
}

/// A raw socket, or where we may not have one, one of those that the kernel lends for echoes only.
fn open(address: IpAddr) -> io::Result<(Protocol, OwnedFd)> {
    let (family, number, protocol) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, V4),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, V6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (socket, header) = match socket_with(family, SocketType::RAW, flags, Some(number)) {
        Ok(socket) => (socket, protocol.header),
        Err(Errno::PERM | Errno::ACCESS) => (socket_with(family, SocketType::DGRAM, flags, Some(number))?, false),
        Err(error) => return Err(error.into()),
    };
    connect(&socket, &SocketAddr::new(address, 0))?;
    Ok((Protocol { header, ..protocol }, socket))
}

/// An echo. The identifier carries nothing (lent sockets put their own there): the call is in the data, which comes back.
fn request(protocol: &Protocol, call: u16, sequence: u16) -> [u8; 18] {
    let mut packet = [0; 18];
    packet[0] = protocol.request;
    packet[4..6].copy_from_slice(&call.to_be_bytes());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..].copy_from_slice(&data(call));
    // The kernel writes the checksum of version 6 itself.
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// Ours are marked with the process too: another agent on this kernel asks the same machines.
fn data(call: u16) -> [u8; 10] {
    let mut data = [0; 10];
    let process = std::process::id().to_be_bytes();
    for (byte, (mark, other)) in data.iter_mut().zip(MARK.iter().zip(process.iter().cycle())) {
        *byte = mark ^ other;
    }
    data[8..].copy_from_slice(&call.to_be_bytes());
    data
}

/// The internet checksum (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// Waits for a reply to an echo of this call; nothing else that comes matters.
async fn reply(socket: &UdpSocket, protocol: &Protocol, call: u16) {
    let mut buffer = [0; 1500];
    loop {
        match socket.recv(&mut buffer).await {
            Ok(length) if is_reply(&buffer[..length], protocol, call) => return,
            Ok(_) => {}
            // What routers and our own kernel say of earlier echoes; each is told once.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn is_reply(packet: &[u8], protocol: &Protocol, call: u16) -> bool {
    let header = match packet.first() {
        Some(first) if protocol.header => usize::from(first & 0xf) * 4,
        _ => 0,
    };
    packet.get(header) == Some(&protocol.reply) && packet.get(header + 8..) == Some(&data(call)[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_of_a_whole_packet_is_nothing() {
        for (call, sequence) in [(0, 0), (1, 2), (u16::MAX, u16::MAX), (0x1234, 0xff00)] {
            assert_eq!(checksum(&request(&V4, call, sequence)), 0);
        }
    }

    #[test]
    fn only_the_reply_to_this_call_is_one() {
        let mut packet = request(&V6, 7, 1);
        assert!(!is_reply(&packet, &V6, 7), "our own echo is no reply");
        packet[0] = V6.reply;
        assert!(is_reply(&packet, &V6, 7));
        assert!(!is_reply(&packet, &V6, 8), "another call's");
        assert!(!is_reply(&packet[..17], &V6, 7) && !is_reply(&[], &V6, 7));
        packet[0] = V4.reply;
        let with_header = [&[0x46; 24][..], &packet].concat();
        assert!(is_reply(&with_header, &V4, 7), "IP options make the header longer");
    }
}
