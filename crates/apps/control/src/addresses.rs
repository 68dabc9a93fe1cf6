//! Addresses: one per member, reserved by a conditional write, so that no two members ever have the same.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use om_backend::{ErrorKind, Network, PortError};
use om_model::{MemberName, ServiceId};

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::AddressUse;
use crate::steps::StepError;

/// The first addresses of the network are left to the gateway and to others.
const LEFT_FREE: u32 = 10;

impl Control {
    /// The member's address: the one reserved for it before, or the lowest that is free.
    pub(crate) async fn reserve_address(&self, service: &ServiceId, member: &MemberName) -> Result<IpAddr, StepError> {
        let network = self.ports.orchestrator.network().await?;
        let wanted = AddressUse { service: service.clone(), member: member.clone() };
        let used = self.store.addresses.all("").await?;
        if let Some(mine) = used.iter().find(|stored| stored.value == wanted)
            && let Ok(address) = mine.name.parse()
        {
            return Ok(address);
        }
        let used: BTreeSet<String> = used.into_iter().map(|stored| stored.name).collect();
        for address in candidates(&network)?.filter(|address| !used.contains(&address.to_string())) {
            match self.store.addresses.create(&address.to_string(), &wanted).await {
                Ok(_) => return Ok(IpAddr::V4(address)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (base, prefix) = network.subnet;
        let full =
            PortError::new(ErrorKind::Exhausted, "reserve an address in", format!("{base}/{prefix}"), "all are taken");
        Err(full.advise("delete services that are not needed, or use a larger --subnet").into())
    }

    /// Frees what is reserved for the member.
    pub(crate) async fn free_addresses(&self, service: &ServiceId, member: &MemberName) -> Result<(), ControlError> {
        let mine = AddressUse { service: service.clone(), member: member.clone() };
        for stored in self.store.addresses.all("").await? {
            if stored.value == mine {
                self.store.addresses.remove(&stored.name).await?;
            }
        }
        Ok(())
    }
}

fn candidates(network: &Network) -> Result<impl Iterator<Item = Ipv4Addr>, PortError> {
    let (IpAddr::V4(base), prefix @ 1..=30) = network.subnet else {
        let subject = format!("{}/{}", network.subnet.0, network.subnet.1);
        return Err(PortError::new(ErrorKind::Invalid, "use the network", subject, "an IPv4 network is needed"));
    };
    let first = u32::from(base) & (u32::MAX << (32 - prefix));
    // The upper half is left to the orchestrator, which gives addresses from there to containers that ask for none.
    let upper_half = first + (1 << (31 - prefix));
    let gateway = network.gateway;
    Ok((first.saturating_add(LEFT_FREE)..upper_half).map(Ipv4Addr::from).filter(move |address| *address != gateway))
}

#[cfg(test)]
mod tests;
