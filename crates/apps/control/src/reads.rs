//! What can be read of services, their volumes and their logs.

use futures::stream::{BoxStream, StreamExt};
use om_backend::LogLine;
use om_engines::{Connection, catalog};
use om_model::{EventKind, Invalid, MemberName, ServiceName, ServiceRecord, VolumeRecord};

use crate::control::Control;
use crate::error::ControlError;
use crate::events::About;
use crate::steps::deployment_name;
use crate::store::values;

impl Control {
    /// Services after the name `after`, by name; and whether there are more.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn services(
        &self,
        after: Option<&ServiceName>,
        limit: usize,
    ) -> Result<(Vec<ServiceRecord>, bool), ControlError> {
        let (page, more) = self.store.services.page("", after.map(ServiceName::as_str), limit).await?;
        Ok((values(page), more))
    }

    /// The service of that name.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if there is none.
    pub async fn service(&self, name: &ServiceName) -> Result<ServiceRecord, ControlError> {
        self.store.service(name).await
    }

    /// How clients connect, and the authority's certificate (PEM) by which they know the server.
    ///
    /// # Errors
    /// As [`Self::service`].
    pub async fn connection(&self, name: &ServiceName) -> Result<(Connection, String), ControlError> {
        let service = self.store.service(name).await?;
        let engine = catalog::find(&service.spec.engine).map_err(Invalid::from)?;
        let primary = service.primary.clone().unwrap_or_else(|| MemberName::of(name, 0));
        let connection = engine.connection(&service.name, &primary, &self.settings.zone);
        Ok((connection, self.authority_certificate().await?))
    }

    /// The password of the connection's user: shown by a deliberate act, which is noted as an event.
    ///
    /// # Errors
    /// As [`Self::service`].
    pub async fn password(&self, name: &ServiceName) -> Result<String, ControlError> {
        let service = self.store.service(name).await?;
        let (connection, _) = self.connection(name).await?;
        let secret = self.service_secret(&service.id, &connection.password_secret).await?;
        let about = About { service: Some(name), ..About::default() };
        self.note(EventKind::SecretShown, about, format!("the password of {} was shown", connection.user)).await;
        String::from_utf8(secret).map_err(|error| ControlError::Broken(error.to_string()))
    }

    /// The last `tail` lines of a member's log, then, if asked, those that follow.
    ///
    /// # Errors
    /// [`ControlError::NotFound`] if there is no such member or it has no container.
    pub async fn logs(
        &self,
        name: &ServiceName,
        member: &MemberName,
        tail: usize,
        follow: bool,
    ) -> Result<BoxStream<'static, Result<LogLine, ControlError>>, ControlError> {
        let service = self.store.service(name).await?;
        let members = self.store.members_of(&service.id).await?;
        let Some(record) = members.iter().find(|record| record.name == *member) else {
            let known: Vec<_> = members.iter().map(|record| record.name.to_string()).collect();
            let next = Some(format!("members of {name}: {}", known.join(", ")));
            return Err(ControlError::NotFound { what: "member", name: member.to_string(), next });
        };
        let lines = self.ports.orchestrator.logs(&deployment_name(record), tail, follow).await?;
        Ok(lines.map(|line| line.map_err(ControlError::from)).boxed())
    }

    /// All volumes, those of deleted services too.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn volumes(&self) -> Result<Vec<VolumeRecord>, ControlError> {
        Ok(values(self.store.volumes.all("").await?))
    }

    /// Deletes a kept volume, with everything on it, by its name `[journal_]<service id>_<member>`.
    ///
    /// # Errors
    /// [`ControlError::Conflict`] if it belongs to a service that exists.
    pub async fn delete_volume(&self, name: &str) -> Result<(), ControlError> {
        let unknown = || ControlError::NotFound {
            what: "volume",
            name: name.to_owned(),
            next: Some("`openmanage volume list` shows the volumes there are".into()),
        };
        om_controldb::Key::new(format!("volumes/{name}")).map_err(|_| unknown())?;
        let volume = self.store.volumes.get(name).await?.ok_or_else(unknown)?.value;
        if self.store.service_by_id(&volume.id.service).await?.is_some() {
            return Err(ControlError::Conflict {
                detail: format!("volume {name} belongs to service {}", volume.service_name),
                next: format!("delete the service first: openmanage delete {}", volume.service_name),
            });
        }
        let provider = self.provider(None).await.map_err(|error| ControlError::Unavailable(error.to_string()))?;
        provider.delete(&volume.id).await?;
        Ok(self.store.volumes.remove(name).await?)
    }
}
