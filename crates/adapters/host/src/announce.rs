//! Telling the neighbours that an IPv4 address is here now: gratuitous ARP.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use om_backend::{ErrorKind, PortError, Result};
use rustix::net::addr::{SocketAddrArg, SocketAddrLen, SocketAddrOpaque};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sendto, socket_with};

/// How often it is said, since nobody confirms it, and how far apart.
const TIMES: u32 = 3;
const APART: Duration = Duration::from_millis(20);
const ARP: u16 = 0x0806;
const EVERYBODY: [u8; 6] = [0xff; 6];

/// The two forms: some neighbours heed only the one, some only the other (RFC 5944, section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Request = 1,
    Reply = 2,
}

/// `struct sockaddr_ll`.
#[repr(C)]
struct LinkAddress {
    family: u16,
    protocol: u16,
    index: i32,
    hardware_type: u16,
    packet_type: u8,
    length: u8,
    address: [u8; 8],
}

// SAFETY: the closure gets a pointer to a whole `struct sockaddr_ll`, which lives for the call, and its true length.
#[allow(unsafe_code, reason = "rustix has no socket address for AF_PACKET")]
unsafe impl SocketAddrArg for LinkAddress {
    #[allow(unsafe_code, reason = "the trait's signature")]
    unsafe fn with_sockaddr<R>(&self, f: impl FnOnce(*const SocketAddrOpaque, SocketAddrLen) -> R) -> R {
        const LENGTH: SocketAddrLen = 20;
        const { assert!(size_of::<LinkAddress>() == LENGTH as usize) };
        f(std::ptr::from_ref(self).cast(), LENGTH)
    }
}

/// The packet, without its Ethernet header.
fn packet(form: Form, hardware: [u8; 6], address: Ipv4Addr) -> [u8; 28] {
    let mut packet = [0; 28];
    // Ethernet (1), IPv4 (0x0800), the lengths of their addresses, what is said.
    packet[..8].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, form as u8]);
    packet[8..14].copy_from_slice(&hardware);
    packet[14..18].copy_from_slice(&address.octets());
    if form == Form::Reply {
        packet[18..24].copy_from_slice(&EVERYBODY);
    }
    packet[24..].copy_from_slice(&address.octets());
    packet
}

/// Says that `address` is at `hardware`, on the interface with this index.
#[allow(clippy::disallowed_methods, reason = "the pauses between packets are real")]
pub(crate) async fn announce(index: u32, hardware: [u8; 6], address: Ipv4Addr) -> Result<()> {
    let wrong = |error: io::Error| {
        PortError::new(ErrorKind::Unavailable, "announce", address, error)
            .advise("the address is there; neighbours find it within a minute")
    };
    let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|error| wrong(error.into()))?;
    let to = LinkAddress {
        family: AddressFamily::PACKET.as_raw(),
        protocol: ARP.to_be(),
        index: i32::try_from(index).unwrap_or_default(),
        hardware_type: 0,
        packet_type: 0,
        length: 6,
        address: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0],
    };
    for time in 0..TIMES {
        if time > 0 {
            tokio::time::sleep(APART).await;
        }
        for form in [Form::Request, Form::Reply] {
            sendto(&socket, &packet(form, hardware, address), SendFlags::empty(), &to)
                .map_err(|error| wrong(error.into()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_name_the_address_as_sender_and_target() {
        let (hardware, address) = ([2, 0, 0, 0, 0, 7], Ipv4Addr::new(10, 1, 2, 3));
        for (form, operation, target) in [(Form::Request, 1, [0; 6]), (Form::Reply, 2, EVERYBODY)] {
            let packet = packet(form, hardware, address);
            assert_eq!((packet[7], &packet[8..14]), (operation, &hardware[..]));
            assert_eq!((&packet[14..18], &packet[24..28]), (&[10, 1, 2, 3][..], &[10, 1, 2, 3][..]));
            assert_eq!(packet[18..24], target);
        }
    }
}
