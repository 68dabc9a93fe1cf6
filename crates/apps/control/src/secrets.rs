//! Secrets: generated once, sealed before they are stored, opened only for the member or the authorised caller.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use om_backend::{CertificateRequest, Issued};
use om_engines::{SecretKind, catalog, member};
use om_model::mutation::{Mutation, planted};
use om_model::{Invalid, MemberRecord, ServiceId, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::control::Control;
use crate::error::ControlError;
use crate::kinds::SealedSecret;
use crate::store::or_exists;

const PASSWORD_LENGTH: usize = 32;
/// Where the cluster's authority lies.
const AUTHORITY: &str = "cluster/authority";
const AUTHORITY_DAYS: u32 = 3650;
const MEMBER_DAYS: u32 = 365;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A certificate with its key, as it is sealed.
#[derive(Clone, Serialize, Deserialize)]
struct Certificate {
    certificate: String,
    key: String,
    expires: Timestamp,
}

impl Control {
    /// Generates what the service needs and does not have.
    pub(crate) async fn make_secrets(&self, name: &ServiceName) -> Result<(), ControlError> {
        let service = self.store.service(name).await?;
        let engine = catalog::find(&service.spec.engine).map_err(Invalid::from)?;
        for secret in engine.secrets() {
            let plain = match secret.kind {
                SecretKind::Password => self.ports.runtime.new_password(PASSWORD_LENGTH),
            };
            self.keep_secret(&format!("{}/{}", service.id, secret.name), plain.as_bytes()).await?;
        }
        for record in self.store.members_of(&service.id).await? {
            self.member_certificate(&record).await?;
        }
        Ok(())
    }

    /// Everything a member is given, by file name.
    pub(crate) async fn member_secrets(&self, record: &MemberRecord) -> Result<Vec<(String, Vec<u8>)>, ControlError> {
        let service = self.store.service(&record.service_name).await?;
        let engine = catalog::find(&service.spec.engine).map_err(Invalid::from)?;
        let mut secrets = Vec::new();
        for secret in engine.secrets() {
            let plain = self.open_secret(&format!("{}/{}", service.id, secret.name)).await?;
            secrets.push((secret.name.to_owned(), plain));
        }
        let own = self.member_certificate(record).await?;
        secrets.push((member::TLS_KEY.into(), own.key.into_bytes()));
        secrets.push((member::TLS_CERT.into(), own.certificate.into_bytes()));
        secrets.push((member::TLS_CA.into(), self.authority().await?.certificate.into_bytes()));
        Ok(secrets)
    }

    /// The service's secret `name`.
    pub(crate) async fn service_secret(&self, service: &ServiceId, name: &str) -> Result<Vec<u8>, ControlError> {
        self.open_secret(&format!("{service}/{name}")).await
    }

    pub(crate) async fn remove_secrets(&self, service: &ServiceId) -> Result<(), ControlError> {
        for stored in self.store.secrets.all(&format!("{service}/")).await? {
            self.store.secrets.remove(&stored.name).await?;
        }
        Ok(())
    }

    /// The cluster's authority, founded when first needed.
    pub(crate) async fn authority(&self) -> Result<Issued, ControlError> {
        if self.store.secrets.get(AUTHORITY).await?.is_none() {
            let request = CertificateRequest {
                subject: format!("OpenManage authority of {}", self.settings.zone),
                names: Vec::new(),
                addresses: Vec::new(),
                peer: None,
                from: self.now(),
                days: AUTHORITY_DAYS,
            };
            let issued = self.ports.authority.found(&request)?;
            self.keep_certificate(AUTHORITY, &issued, AUTHORITY_DAYS).await?;
        }
        let kept = self.open_certificate(AUTHORITY).await?;
        Ok(Issued { certificate: kept.certificate, key: kept.key })
    }

    /// A certificate for the server's own names and addresses.
    ///
    /// # Errors
    /// [`ControlError::Unavailable`] if the control database does not answer.
    pub async fn server_certificate(&self) -> Result<Issued, ControlError> {
        let authority = self.authority().await?;
        let names = self.server_names().into_iter().chain(["localhost".to_owned()]).collect();
        let request = CertificateRequest {
            subject: format!("openmanage-manageserver.{}", self.settings.zone),
            names,
            addresses: self.settings.server_addresses.clone(),
            peer: None,
            from: self.now(),
            days: MEMBER_DAYS,
        };
        Ok(self.ports.authority.issue(&authority, &request)?)
    }

    /// The certificate of the cluster's authority, in PEM.
    ///
    /// # Errors
    /// As [`Self::server_certificate`].
    pub async fn authority_certificate(&self) -> Result<String, ControlError> {
        Ok(self.authority().await?.certificate)
    }

    /// The member's certificate; a new one when a third of its time or less is left.
    async fn member_certificate(&self, record: &MemberRecord) -> Result<Issued, ControlError> {
        let name = format!("{}/tls-{}", record.service, record.name);
        if self.store.secrets.get(&name).await?.is_some() {
            let kept = self.open_certificate(&name).await?;
            let left = kept.expires.as_millis().saturating_sub(self.now().as_millis());
            if left > u64::from(MEMBER_DAYS) * DAY_MS / 3 {
                return Ok(Issued { certificate: kept.certificate, key: kept.key });
            }
            self.store.secrets.remove(&name).await?;
        }
        let zone = &self.settings.zone;
        let service = &record.service_name;
        let request = CertificateRequest {
            subject: format!("{}.{zone}", record.name),
            names: vec![
                format!("{}.{zone}", record.name),
                format!("{service}.{zone}"),
                format!("{service}-primary.{zone}"),
            ],
            addresses: record.address.into_iter().collect::<Vec<IpAddr>>(),
            peer: None,
            from: self.now(),
            days: MEMBER_DAYS,
        };
        let issued = self.ports.authority.issue(&self.authority().await?, &request)?;
        self.keep_certificate(&name, &issued, MEMBER_DAYS).await?;
        let kept = self.open_certificate(&name).await?;
        Ok(Issued { certificate: kept.certificate, key: kept.key })
    }

    async fn keep_certificate(&self, name: &str, issued: &Issued, days: u32) -> Result<(), ControlError> {
        let expires = Timestamp::from_millis(self.now().as_millis() + u64::from(days) * DAY_MS);
        let kept = Certificate { certificate: issued.certificate.clone(), key: issued.key.clone(), expires };
        let text = serde_json::to_vec(&kept).map_err(|error| ControlError::Broken(error.to_string()))?;
        self.keep_secret(name, &text).await
    }

    async fn open_certificate(&self, name: &str) -> Result<Certificate, ControlError> {
        let plain = self.open_secret(name).await?;
        serde_json::from_slice(&plain).map_err(|error| ControlError::Broken(format!("secret {name}: {error}")))
    }

    /// Stores a secret unless there is one: whoever comes first decides, and everybody reads that one.
    async fn keep_secret(&self, name: &str, plain: &[u8]) -> Result<(), ControlError> {
        let mut sealed = STANDARD.encode(self.ports.seal.seal(name, plain)?);
        if planted(Mutation::SecretsInTheClear) {
            sealed = String::from_utf8_lossy(plain).into_owned();
        }
        Ok(or_exists(self.store.secrets.create(name, &SealedSecret { sealed }).await)?)
    }

    async fn open_secret(&self, name: &str) -> Result<Vec<u8>, ControlError> {
        let stored = self.store.secrets.get(name).await?.ok_or_else(|| ControlError::not_found("secret", name))?;
        if planted(Mutation::SecretsInTheClear) {
            return Ok(stored.value.sealed.into_bytes());
        }
        let broken = |error: String| ControlError::Broken(format!("secret {name}: {error}"));
        let sealed = STANDARD.decode(&stored.value.sealed).map_err(|error| broken(error.to_string()))?;
        self.ports.seal.open(name, &sealed).map_err(|error| broken(error.to_string()))
    }
}
