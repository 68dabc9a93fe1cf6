//! Which node a member is to be on.
//!
//! Main pieces: [`Sites`] (the nodes and what is on them), [`choose`]. The order of preference: a node that nobody misses, no other
//! member of the service on the node, a zone the service asked for, zones shared out evenly, few members, the name.
//!
//! **Invariant:** a node that is lost or drained is never chosen.

use om_model::{MemberName, NodeId, Place, ServiceId};

/// The nodes, as far as placing members needs to know them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sites {
    /// False on one machine, where there is nothing to choose.
    pub several: bool,
    /// True where members have their node's address: then no two with the same port can be on one node.
    pub shared_addresses: bool,
    /// The nodes.
    pub nodes: Vec<Site>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub id: NodeId,
    /// Its zone, where it has one.
    pub zone: Option<String>,
    /// It is there.
    pub present: bool,
    /// Some agent misses it, which is not enough to call it lost: chosen only where nothing else can be had.
    pub suspect: bool,
    /// No member is to be on it.
    pub drained: bool,
    /// The members that are meant to be on it.
    pub tenants: Vec<Tenant>,
}

/// A member on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its service.
    pub service: ServiceId,
    /// Its name.
    pub member: MemberName,
    /// The port it listens on.
    pub port: u16,
}

/// The member to be placed.
#[derive(Clone, Debug)]
pub struct Guest<'a> {
    /// Who it is.
    pub tenant: Tenant,
    /// Its place among its service's members.
    pub index: u16,
    /// Where its service's members may be; empty: anywhere.
    pub places: &'a [Place],
}

impl Sites {
    /// The node of that name.
    pub fn find(&self, id: &NodeId) -> Option<&Site> {
        self.nodes.iter().find(|site| site.id == *id)
    }

    /// Whether the node can serve: false for one that is lost or was forgotten.
    pub fn present(&self, id: &NodeId) -> bool {
        self.find(id).is_some_and(|site| site.present)
    }

    /// Notes that `tenant` is meant to be on the node, for the next choice.
    pub fn settle(&mut self, id: &NodeId, tenant: Tenant) {
        for site in &mut self.nodes {
            site.tenants.retain(|there| there.service != tenant.service || there.member != tenant.member);
        }
        if let Some(site) = self.nodes.iter_mut().find(|site| site.id == *id) {
            site.tenants.push(tenant);
        }
    }

    /// Whether the port of `guest` is taken on the node by another member, where that matters.
    pub fn clashes(&self, site: &Site, guest: &Tenant) -> bool {
        self.shared_addresses && site.tenants.iter().any(|there| there.port == guest.port && !same(there, guest))
    }
}

/// The node that is to take `guest`, if one can, but none of `not`.
pub fn choose(sites: &Sites, guest: &Guest<'_>, not: Option<&NodeId>) -> Option<NodeId> {
    let admissible = |site: &&Site| {
        let zone_fits =
            guest.places.is_empty() || guest.places.iter().any(|place| site.zone.as_ref() == Some(&place.zone));
        site.present && !site.drained && Some(&site.id) != not && zone_fits && !sites.clashes(site, &guest.tenant)
    };
    let ours = |site: &Site| {
        let others = |there: &&Tenant| there.service == guest.tenant.service && !same(there, &guest.tenant);
        site.tenants.iter().filter(others).count()
    };
    let preferred =
        (!guest.places.is_empty()).then(|| &guest.places[usize::from(guest.index) % guest.places.len()].zone);
    let rank = |site: &&Site| {
        let off_zone = preferred.is_some_and(|zone| site.zone.as_ref() != Some(zone));
        let in_zone: usize = sites.nodes.iter().filter(|other| other.zone == site.zone).map(ours).sum();
        (site.suspect, ours(site), off_zone, in_zone, site.tenants.len(), site.id.clone())
    };
    sites.nodes.iter().filter(admissible).min_by_key(rank).map(|site| site.id.clone())
}

fn same(one: &Tenant, other: &Tenant) -> bool {
    one.service == other.service && one.member == other.member
}

#[cfg(test)]
mod tests;
