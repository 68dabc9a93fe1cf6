//! Addresses of the node, by rtnetlink.
//!
//! **Invariant:** giving and taking an address touches no other: on an interface that we take addresses from, secondary
//! addresses outlive the primary one.

use std::io;
use std::net::IpAddr;

use futures::TryStreamExt;
use futures::future::{Either, select};
use om_backend::{ErrorKind, PortError, Result};
use rtnetlink::Handle;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use rustix::io::Errno;

use crate::announce;

type Asked<T> = std::result::Result<T, rtnetlink::Error>;

/// What is known of an interface.
struct Interface {
    index: u32,
    /// Its Ethernet address, where neighbours are asked for by ARP.
    hardware: Option<[u8; 6]>,
}

fn errno(error: &rtnetlink::Error) -> Option<Errno> {
    match error {
        rtnetlink::Error::NetlinkError(told) => Errno::from_io_error(&told.to_io()),
        _ => None,
    }
}

fn wrong(action: &str, interface: &str, error: &rtnetlink::Error) -> PortError {
    match errno(error) {
        Some(Errno::NODEV) => PortError::new(ErrorKind::NotFound, action, interface, "there is no such interface")
            .advise("name an interface of this node: ip link"),
        Some(Errno::PERM | Errno::ACCESS) => {
            PortError::new(ErrorKind::Unavailable, action, interface, error).advise("run the agent as root")
        }
        Some(Errno::INVAL) => PortError::new(ErrorKind::Invalid, action, interface, error),
        _ => PortError::new(ErrorKind::Unavailable, action, interface, error),
    }
}

/// Speaks to the kernel for as long as `work` takes.
async fn with_netlink<T, W: Future<Output = Result<T>>>(work: impl FnOnce(Handle) -> W) -> Result<T> {
    let gone = |error: io::Error| PortError::new(ErrorKind::Unavailable, "speak", "netlink", error);
    let (connection, handle, _) = rtnetlink::new_connection().map_err(gone)?;
    match select(std::pin::pin!(work(handle)), connection).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(gone(io::Error::other("the connection ended"))),
    }
}

async fn interface(handle: &Handle, action: &str, name: &str) -> Result<Interface> {
    let asked: Asked<Option<LinkMessage>> = handle.link().get().match_name(name).execute().try_next().await;
    let link = asked.map_err(|error| wrong(action, name, &error))?;
    let link = link.ok_or_else(|| PortError::new(ErrorKind::NotFound, action, name, "there is no such interface"))?;
    let silent = link.header.flags.intersects(LinkFlags::Loopback | LinkFlags::Noarp);
    let hardware = link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Address(bytes) if !silent => <[u8; 6]>::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    Ok(Interface { index: link.header.index, hardware })
}

/// The address itself: on point-to-point links `Address` is the other end.
fn own(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}

async fn all_of(handle: &Handle, action: &str, name: &str, index: u32) -> Result<Vec<AddressMessage>> {
    let asked = handle.address().get().set_link_index_filter(index).execute();
    asked.try_collect().await.map_err(|error| wrong(action, name, &error))
}

/// Gives the node `address` and tells the neighbours, also if it has it already.
pub(crate) async fn add(name: &str, (address, length): (IpAddr, u8)) -> Result<()> {
    const ACTION: &str = "add an address to";
    let found = with_netlink(|handle| async move {
        let found = interface(&handle, ACTION, name).await?;
        let mut request = handle.address().add(found.index, address, length);
        if address.is_ipv6() {
            // Whoever had it was fenced before: looking for another holder would only cost a second.
            request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
        }
        match request.execute().await {
            Ok(()) => Ok(found),
            Err(error) if errno(&error) == Some(Errno::EXIST) => Ok(found),
            Err(error) => Err(wrong(ACTION, name, &error)),
        }
    })
    .await?;
    match (address, found.hardware) {
        (IpAddr::V4(address), Some(hardware)) => announce::announce(found.index, hardware, address).await,
        // Neighbours find an IPv6 address again by themselves: an unanswered neighbour is asked for anew within seconds.
        _ => Ok(()),
    }
}

/// Takes `address` from the node.
pub(crate) async fn remove(name: &str, address: IpAddr) -> Result<()> {
    const ACTION: &str = "remove an address from";
    with_netlink(|handle| async move {
        let index = match interface(&handle, ACTION, name).await {
            Ok(found) => found.index,
            // Without the interface the node does not have the address either.
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let all = all_of(&handle, ACTION, name, index).await?;
        let same = |message: &AddressMessage| own(message) == Some(address);
        if address.is_ipv4() && all.iter().any(same) {
            keep_secondaries(name)?;
        }
        for message in all.into_iter().filter(same) {
            match handle.address().del(message).execute().await {
                Ok(()) => {}
                Err(error) if errno(&error) == Some(Errno::ADDRNOTAVAIL) => {}
                Err(error) => return Err(wrong(ACTION, name, &error)),
            }
        }
        Ok(())
    })
    .await
}

/// By default the kernel takes all addresses of a subnet away with the first of them: other members' too.
fn keep_secondaries(name: &str) -> Result<()> {
    let setting = format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
    if std::fs::read_to_string(&setting).is_ok_and(|value| value.trim() == "1") {
        return Ok(());
    }
    std::fs::write(&setting, "1").map_err(|error| {
        PortError::new(ErrorKind::Unavailable, "set", &setting, error)
            .advise(format!("set it by hand: sysctl net.ipv4.conf.{name}.promote_secondaries=1"))
    })
}

/// The addresses of an interface.
pub(crate) async fn list(name: &str) -> Result<Vec<IpAddr>> {
    const ACTION: &str = "list the addresses of";
    with_netlink(|handle| async move {
        let index = interface(&handle, ACTION, name).await?.index;
        Ok(all_of(&handle, ACTION, name, index).await?.iter().filter_map(own).collect())
    })
    .await
}
