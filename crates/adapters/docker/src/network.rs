//! The cluster's bridge network: a subnet of its own, the node's address on it, members at fixed addresses.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::errors::Error;
use bollard::models::{Ipam, IpamConfig, NetworkCreateRequest, NetworkInspect};
use om_backend::{ErrorKind, Network, PortError, Result};

use crate::client::{DockerEngine, failed, status};
use crate::container::LABEL_CLUSTER;

/// Tried in this order where none is configured. None of them is in Docker's own default pool's lower part.
const CANDIDATES: [&str; 6] =
    ["172.30.0.0/16", "172.31.0.0/16", "10.89.0.0/16", "10.90.0.0/16", "10.91.0.0/16", "192.168.240.0/20"];

/// An IPv4 subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subnet {
    first: u32,
    length: u8,
}

impl Subnet {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.split_once('/')?;
        let (address, length): (Ipv4Addr, u8) = (address.parse().ok()?, length.parse().ok()?);
        let subnet = Self { first: u32::from(address), length };
        (length <= 32 && subnet.first & !subnet.mask() == 0).then_some(subnet)
    }

    fn mask(self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.length)).unwrap_or(0)
    }

    fn overlaps(self, other: Self) -> bool {
        let mask = self.mask() & other.mask();
        self.first & mask == other.first & mask
    }

    fn gateway(self) -> Ipv4Addr {
        Ipv4Addr::from(self.first + 1)
    }

    /// The upper half: Docker hands addresses out of it to containers that ask for none, so that it never takes one that
    /// belongs to a member.
    fn upper_half(self) -> String {
        let half = Ipv4Addr::from(self.first | 1 << (31 - self.length));
        format!("{half}/{}", self.length + 1)
    }
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.first), self.length)
    }
}

/// Subnets that the machine routes to already, from the text of `/proc/net/route`. The default route is none.
fn routed(table: &str) -> Vec<Subnet> {
    let route = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| u32::from_str_radix(word, 16).ok().map(u32::from_be);
        let (first, mask) = (number(words.get(1)?)?, number(words.get(7)?)?);
        (mask != 0).then(|| Subnet { first, length: u8::try_from(mask.count_ones()).unwrap_or(32) })
    };
    table.lines().skip(1).filter_map(route).collect()
}

impl DockerEngine {
    /// Makes the network if it is not there, and tells its addresses.
    pub(crate) async fn ensure_network(&self) -> Result<Network> {
        let configured = self.settings.subnet.as_deref().map(|text| self.configured(text)).transpose()?;
        if let Some(found) = self.find_network().await? {
            let network = self.addresses(&found)?;
            return configured.map_or(Ok(()), |wanted| self.refuse_another(wanted, &network)).map(|()| network);
        }
        let wanted = match configured {
            Some(subnet) => vec![subnet],
            None => CANDIDATES.iter().filter_map(|text| Subnet::parse(text)).collect(),
        };
        let table = std::fs::read_to_string("/proc/net/route").unwrap_or_default();
        let taken = routed(&table);
        let mut detail = "every subnet tried is in use on this machine".to_owned();
        for subnet in wanted.into_iter().filter(|subnet| !taken.iter().any(|other| other.overlaps(*subnet))) {
            match self.create_network(subnet).await {
                Ok(()) => break,
                // Somebody else made it at the same time.
                Err(error) if status(&error) == Some(409) => break,
                // Overlaps another network of Docker's: on to the next.
                Err(error) if matches!(status(&error), Some(400 | 403 | 500)) => detail = error.to_string(),
                Err(error) => return Err(failed("create network", self.network_name(), error)),
            }
        }
        match self.find_network().await? {
            Some(found) => self.addresses(&found),
            None => Err(PortError::new(ErrorKind::Exhausted, "create network", self.network_name(), detail)
                .advise("name a free subnet, for example --subnet 10.123.0.0/16")),
        }
    }

    fn configured(&self, text: &str) -> Result<Subnet> {
        // A /28 has room for the gateway, nine members and some guests.
        Subnet::parse(text).filter(|subnet| (8..=28).contains(&subnet.length)).ok_or_else(|| {
            PortError::new(ErrorKind::Invalid, "use the subnet", text, "it is not an IPv4 network of 8 to 28 bits")
                .advise("write it as its first address and its length, for example 10.123.0.0/16")
        })
    }

    /// Members keep their addresses for life, so the network keeps its subnet.
    fn refuse_another(&self, wanted: Subnet, network: &Network) -> Result<()> {
        let present = format!("{}/{}", network.subnet.0, network.subnet.1);
        if present == wanted.to_string() {
            return Ok(());
        }
        let detail = format!("it has the subnet {present}, and members keep their addresses");
        Err(PortError::new(ErrorKind::Invalid, format!("use {wanted} for network"), self.network_name(), detail)
            .advise(format!("start it with --subnet {present}, or without --subnet")))
    }

    /// Our network, if it is there. A stranger's of that name is refused.
    async fn find_network(&self) -> Result<Option<NetworkInspect>> {
        let name = self.network_name();
        let found = match self.client().await?.inspect_network(&name, None).await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(404) => return Ok(None),
            Err(error) => return Err(failed("look at network", name, error)),
        };
        let label = found.labels.as_ref().and_then(|labels| labels.get(LABEL_CLUSTER));
        if label.map(String::as_str) == Some(self.settings.cluster.as_str()) {
            return Ok(Some(found));
        }
        let detail = "a network of that name is there which this cluster did not make";
        Err(PortError::new(ErrorKind::Refused, "use network", &name, detail)
            .advise(format!("remove it (docker network rm {name}) or give this cluster another name")))
    }

    async fn create_network(&self, subnet: Subnet) -> std::result::Result<(), Error> {
        let config = IpamConfig {
            subnet: Some(subnet.to_string()),
            gateway: Some(subnet.gateway().to_string()),
            ip_range: Some(subnet.upper_half()),
            ..IpamConfig::default()
        };
        let request = NetworkCreateRequest {
            name: self.network_name(),
            driver: Some("bridge".to_owned()),
            ipam: Some(Ipam { config: Some(vec![config]), ..Ipam::default() }),
            labels: Some(HashMap::from([(LABEL_CLUSTER.to_owned(), self.settings.cluster.to_string())])),
            ..NetworkCreateRequest::default()
        };
        let client = self.client().await.map_err(|error| Error::DockerStreamError { error: error.to_string() })?;
        client.create_network(request).await.map(drop)
    }

    fn addresses(&self, found: &NetworkInspect) -> Result<Network> {
        let configs = found.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
        let addresses = configs.iter().find_map(|config| {
            let subnet = Subnet::parse(config.subnet.as_deref()?)?;
            let gateway = config.gateway.as_deref().and_then(|text| text.parse().ok());
            Some((subnet, gateway.unwrap_or(IpAddr::V4(subnet.gateway()))))
        });
        let (subnet, gateway) = addresses.ok_or_else(|| {
            let detail = "it has no IPv4 subnet";
            PortError::new(ErrorKind::Refused, "use network", self.network_name(), detail)
                .advise("remove it; it is made anew")
        })?;
        Ok(Network { subnet: (IpAddr::V4(Ipv4Addr::from(subnet.first)), subnet.length), gateway })
    }

    /// Removes the network. Refused while containers of ours, or anybody's running ones, are on it.
    pub(crate) async fn remove_network(&self) -> Result<()> {
        let name = self.network_name();
        if self.find_network().await?.is_none() {
            return Ok(());
        }
        match self.client().await?.remove_network(&name).await {
            Ok(()) => Ok(()),
            Err(error) if status(&error) == Some(404) => Ok(()),
            Err(error) => Err(failed("remove network", &name, error)
                .advise(format!("see who is on it: docker network inspect {name}"))),
        }
    }
}

#[cfg(test)]
mod tests;
