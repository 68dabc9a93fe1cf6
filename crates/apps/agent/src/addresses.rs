//! Members' own addresses on this node's interface, where the orchestrator gives none.
//!
//! Which belong here follows from the mounts: the control folder of a mounted data volume has the member's configuration.
//! **Invariant:** an address of the range is on the interface only while its member is mounted here; whatever else is
//! found there, after a crash or a fence, goes.

use std::net::IpAddr;

use om_backend::Result;
use om_engines::MemberConfig;
use om_engines::member::CONFIG_FILE;
use om_model::VolumeRole;
use om_model::mutation::{Mutation, planted};

use crate::agent::{AddressSettings, Agent};
use crate::survey::Mounted;

impl Agent {
    /// Where `address` goes, if it is a member's own.
    fn place_of(&self, address: IpAddr) -> Option<&AddressSettings> {
        self.settings.addresses.as_ref().filter(|settings| settings.range.contains(&address))
    }

    /// Gives the node a member's address; done, and told to the neighbours again, if it has it.
    pub(crate) async fn add_address(&self, address: IpAddr) -> Result<()> {
        let Some(settings) = self.place_of(address) else { return Ok(()) };
        // A sweep that looked at the mounts before this one was made must not take the address away afterwards.
        let _one = self.known.addressing.lock().await;
        self.ports.host.add_address(&settings.interface, (address, settings.prefix)).await
    }

    pub(crate) async fn remove_address(&self, address: IpAddr) -> Result<()> {
        let Some(settings) = self.place_of(address) else { return Ok(()) };
        let _one = self.known.addressing.lock().await;
        if planted(Mutation::AddressKept) {
            return Ok(());
        }
        self.ports.host.remove_address(&settings.interface, address).await
    }

    /// The member's address, as its control folder has it.
    pub(crate) async fn address_of(&self, mounted: &Mounted) -> Result<Option<IpAddr>> {
        if mounted.volume.role != VolumeRole::Data || mounted.control_device().is_none() {
            return Ok(None);
        }
        let text = self.ports.host.read_file(&mounted.control().join(CONFIG_FILE)).await?;
        let config: Option<MemberConfig> = text.and_then(|text| serde_json::from_slice(&text).ok());
        Ok(config.map(|config| config.address))
    }

    async fn addresses_held(&self) -> Result<Vec<IpAddr>> {
        let mut held = Vec::new();
        for mounted in self.survey().await? {
            held.extend(self.address_of(&mounted).await?);
        }
        Ok(held)
    }

    /// Takes every member's address from the interface whose member is not mounted here.
    pub(crate) async fn sweep_addresses(&self) -> Result<()> {
        let swept = self.settings.addresses.as_ref().filter(|_| !planted(Mutation::AddressKept));
        let Some(settings) = swept else { return Ok(()) };
        let _one = self.known.addressing.lock().await;
        let held = self.addresses_held().await?;
        for address in self.ports.host.addresses(&settings.interface).await? {
            if settings.range.contains(&address) && !held.contains(&address) {
                self.ports.host.remove_address(&settings.interface, address).await?;
            }
        }
        Ok(())
    }

    /// Tells the neighbours of every address again: while this node was cut off, another may have had it.
    pub(crate) async fn announce_addresses(&self) -> Result<()> {
        // During a lapse of the lease they were taken away on purpose.
        if self.settings.addresses.is_none() || self.paused() {
            return Ok(());
        }
        for address in self.addresses_held().await? {
            self.add_address(address).await?;
        }
        Ok(())
    }
}
