//! Progress: conditional updates of the operation's record under the owner's generation.

use om_model::mutation::{Mutation, planted};
use om_model::{OperationState, Timestamp};

use super::Lost;
use crate::control::Control;
use crate::kinds::ServiceOperation;

impl Control {
    /// Makes this process the owner: what a former owner still tries to write is refused from here on.
    pub(super) async fn take_over(&self, operation: &ServiceOperation) -> Result<ServiceOperation, Lost> {
        let owned = self.store.operations.change(operation.id.as_str(), |operation| {
            let mut operation = operation.clone();
            operation.owner_generation += 1;
            Some(operation)
        });
        owned.await.map_err(|error| self.lost(operation, &error))?.ok_or(Lost)
    }

    /// Changes the operation's record, if this process still owns it.
    pub(super) async fn advance(
        &self,
        operation: &ServiceOperation,
        mut change: impl FnMut(&mut ServiceOperation) + Send,
    ) -> Result<ServiceOperation, Lost> {
        let generation = operation.owner_generation;
        let mut mine = true;
        let advanced = self.store.operations.change(operation.id.as_str(), |current| {
            let owned = current.owner_generation == generation || planted(Mutation::OwnerNotChecked);
            mine = owned && !current.state.ended();
            if !mine {
                return None;
            }
            let mut next = current.clone();
            change(&mut next);
            Some(next)
        });
        let advanced = advanced.await.map_err(|error| self.lost(operation, &error))?;
        advanced.filter(|_| mine).ok_or(Lost)
    }

    pub(super) async fn end(
        &self,
        operation: &ServiceOperation,
        state: OperationState,
        reason: Option<String>,
    ) -> Result<ServiceOperation, Lost> {
        let now: Timestamp = self.now();
        self.advance(operation, |operation| {
            operation.state = state;
            operation.reason.clone_from(&reason);
            operation.ended = Some(now);
        })
        .await
    }

    fn lost(&self, operation: &ServiceOperation, error: &om_controldb::Error) -> Lost {
        tracing::warn!(%error, operation = %operation.id, "cannot write progress; taken up again soon");
        Lost
    }
}

#[cfg(test)]
mod tests;
