//! Members with what is known of them right now.

use futures::future::join_all;
use om_backend::{Deployment, MemberStatus};
use om_model::{MemberRecord, ServiceName};

use crate::control::Control;
use crate::error::ControlError;
use crate::steps::deployment_name;

/// A member with what is known of it right now.
#[derive(Clone, Debug)]
pub struct MemberView {
    /// Its record.
    pub record: MemberRecord,
    /// Its deployment, if the orchestrator has one.
    pub deployment: Option<Deployment>,
    /// What the member says of itself; the reason if it cannot be asked.
    pub status: Result<MemberStatus, String>,
}

impl Control {
    /// The members of a service, by index, each asked now.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if there is no such service.
    pub async fn members(&self, name: &ServiceName) -> Result<Vec<MemberView>, ControlError> {
        let service = self.store.service(name).await?;
        let records = self.store.members_of(&service.id).await?;
        // Without an orchestrator the members may still be asked.
        let deployments = self.ports.orchestrator.list(Some(&service.id)).await.unwrap_or_default();
        let views = records.into_iter().map(|record| {
            let deployment_name = deployment_name(&record);
            let deployment = deployments.iter().find(|deployment| deployment.name == deployment_name).cloned();
            async {
                let status = match self.agent_of(&record).await {
                    Ok(agent) => agent.status(&record.service, &record.name).await.map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                MemberView { record, deployment, status }
            }
        });
        Ok(join_all(views).await)
    }
}
