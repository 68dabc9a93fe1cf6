//! The name service: answers for the cluster's zone.

use async_trait::async_trait;
use om_model::zone::Zone;

use crate::error::Result;

/// The name service.
#[async_trait]
pub trait NameService: Send + Sync {
    /// Answers from `zone` from now on. A zone in which some member's epoch (by service) is lower than one already
    /// answered keeps that member's higher entry: an answer of a former epoch never follows one of a later.
    async fn publish(&self, zone: &Zone) -> Result<()>;

    /// Takes the whole zone away.
    async fn withdraw(&self) -> Result<()>;
}
