//! A set of small numbers: epochs, voters, writes.
//!
//! Main piece: [`Set`]. **Invariant:** equal sets are equal bits, so that states compare and hash by value.

/// A set of numbers below eight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Set(u8);

impl Set {
    /// With `member` in it.
    #[must_use]
    pub const fn with(self, member: u8) -> Self {
        Self(self.0 | 1 << member)
    }

    /// Without `member`.
    #[must_use]
    pub const fn without(self, member: u8) -> Self {
        Self(self.0 & !(1 << member))
    }

    /// Whether `member` is in it.
    pub const fn has(self, member: u8) -> bool {
        self.0 & 1 << member != 0
    }

    /// How many are in it.
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether none is.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in it, lowest first.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = u8> {
        (0..8).filter(move |member| self.has(*member))
    }

    /// Whether all of it is in `other`.
    pub const fn within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}
