//! What can be done to a host's network and storage while it has power.

use super::{Host, Way};

impl Host {
    // Faults of the network.

    /// Pulls its cable.
    pub fn cut_link(&self) {
        self.network.link(&self.name, false);
    }

    /// Plugs its cable in again and ends every loss.
    pub fn heal_link(&self) {
        self.network.link(&self.name, true);
        self.network.lose_none(&self.name);
    }

    /// Loses all it sends, or all that is sent to it.
    pub fn cut_one_way(&self, way: Way) {
        self.network.lose(&self.name, way);
    }

    /// Loses so many percent of what it sends and of what is sent to it.
    pub fn loss(&self, percent: u32) {
        self.network.lose_some(&self.name, percent);
    }

    /// Loses what it and one other say to each other.
    pub fn cut_from(&self, other: &Self) {
        self.network.part(&self.name, &other.name);
    }

    // Faults of the storage.

    /// Cuts it off the shared storage: every operation hangs until [`Self::heal_storage`], and is forgotten at power-off.
    ///
    /// # Panics
    /// If it has no power or no shared storage.
    pub fn cut_storage(&self) {
        self.with_life(|life| life.storage.as_ref().expect("it has shared storage").cut());
    }

    /// The same, but writes that are on their way at power-off stay on their way: they are performed when
    /// [`Self::release_writes`] says so.
    ///
    /// # Panics
    /// If it has no power or no shared storage.
    pub fn hold_writes(&self) {
        self.with_life(|life| life.storage.as_ref().expect("it has shared storage").hold());
    }

    /// Ends [`Self::cut_storage`] and [`Self::hold_writes`]: what hung is performed.
    ///
    /// # Panics
    /// If it has no power or no shared storage.
    pub fn heal_storage(&self) {
        self.with_life(|life| life.storage.as_ref().expect("it has shared storage").heal());
    }

    /// Performs the writes that were held back when it lost power. Yields how many there were.
    pub fn release_writes(&self) -> usize {
        self.witness.release(&self.name)
    }
}
