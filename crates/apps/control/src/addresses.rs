//! Addresses: one per member, reserved by a conditional write, so that no two members ever have the same.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use om_backend::{ErrorKind, Network, PortError};
use om_model::mutation::{Mutation, planted};
use om_model::{MemberName, NodeId, ServiceId, ServiceName};

use crate::control::{Addressing, Control};
use crate::error::ControlError;
use crate::kinds::AddressUse;
use crate::steps::StepError;

/// The first addresses of the network are left to the gateway and to others.
const LEFT_FREE: u32 = 10;

impl Control {
    /// The member's address: the one reserved for it before, or the lowest that is free; the node's own where members
    /// have that.
    pub(crate) async fn reserve_address(
        &self,
        service_name: &ServiceName,
        service: &ServiceId,
        member: &MemberName,
        node: Option<&NodeId>,
    ) -> Result<IpAddr, StepError> {
        let wanted = AddressUse { service: service.clone(), member: member.clone() };
        let (free, range): (Vec<Ipv4Addr>, String) = match self.settings.addresses {
            Addressing::Node => return self.reserve_port(service_name, &wanted, node).await,
            Addressing::Static { first, last } => {
                ((u32::from(first)..=u32::from(last)).map(Ipv4Addr::from).collect(), format!("{first} to {last}"))
            }
            Addressing::Orchestrator => {
                let network = self.ports.orchestrator.network().await?;
                let (base, prefix) = network.subnet;
                (candidates(&network)?.collect(), format!("{base}/{prefix}"))
            }
        };
        let used = self.store.addresses.all("").await?;
        if let Some(mine) = used.iter().find(|stored| stored.value == wanted)
            && let Ok(address) = mine.name.parse()
        {
            return Ok(address);
        }
        let used: BTreeSet<String> = used.into_iter().map(|stored| stored.name).collect();
        let taken = |address: &Ipv4Addr| used.contains(&address.to_string()) && !planted(Mutation::AddressGivenTwice);
        for address in free.into_iter().filter(|address| !taken(address)) {
            match self.store.addresses.create(&address.to_string(), &wanted).await {
                Ok(_) => return Ok(IpAddr::V4(address)),
                Err(_) if planted(Mutation::AddressGivenTwice) => return Ok(IpAddr::V4(address)),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        let full = PortError::new(ErrorKind::Exhausted, "reserve an address in", range, "all are taken");
        Err(full.advise("delete services that are not needed, or configure more addresses for members").into())
    }

    /// The node's own address, for the one member that has the engine's port there.
    async fn reserve_port(
        &self,
        service: &ServiceName,
        wanted: &AddressUse,
        node: Option<&NodeId>,
    ) -> Result<IpAddr, StepError> {
        let unplaced = || StepError::ForGood(format!("{} has no node, hence no address", wanted.member));
        let node = node.ok_or_else(unplaced)?;
        let record = self.store.node(node).await?.ok_or_else(unplaced)?;
        let service = self.store.service(service).await?;
        let port = om_engines::catalog::find(&service.spec.engine).map_or(0, |engine| engine.port());
        let key = port_key(record.address, port);
        match self.store.addresses.create(&key, wanted).await {
            Ok(_) => return Ok(record.address),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
        match self.store.addresses.get(&key).await? {
            Some(there) if there.value == *wanted => Ok(record.address),
            other => {
                let whose = other.map_or_else(|| "another member".to_owned(), |there| there.value.member.to_string());
                Err(StepError::NotYet(format!("port {port} of node {node} is {whose}'s")))
            }
        }
    }

    /// Frees what is reserved for the member, but for the address `kept`.
    pub(crate) async fn free_addresses(
        &self,
        service: &ServiceId,
        member: &MemberName,
        kept: Option<IpAddr>,
    ) -> Result<(), ControlError> {
        let mine = AddressUse { service: service.clone(), member: member.clone() };
        let kept = kept.map(|address| port_key(address, 0));
        let keep = |name: &str| kept.as_ref().is_some_and(|kept| name.split('/').next() == kept.split('/').next());
        for stored in self.store.addresses.all("").await? {
            if stored.value == mine && !keep(&stored.name) {
                self.store.addresses.remove(&stored.name).await?;
            }
        }
        Ok(())
    }
}

/// The name under which a port of a node's address is reserved.
fn port_key(address: IpAddr, port: u16) -> String {
    format!("{address}/{port}")
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
