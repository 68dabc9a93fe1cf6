//! The port that every engine fills.

use std::collections::BTreeMap;
use std::time::Duration;

use om_model::{FieldError, MemberName, ServiceName, ServiceSpec, ZoneName};
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::member::{Health, MemberConfig, Role};

/// A version that the catalog offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// As the user writes it, for example `15`.
    pub name: &'static str,
    /// The official image, taken when no image of our own has been built.
    pub official_image: &'static str,
    /// The distribution's package that `openmanage image build` installs, if it has this version.
    pub package: Option<&'static str>,
}

/// Who accepts writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Topology {
    /// One member, chosen by the platform; the others follow it.
    ChosenPrimary,
}

/// A secret that is generated once, when a service is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretSpec {
    /// Its name, also its file's.
    pub name: &'static str,
    /// What it looks like.
    pub kind: SecretKind,
}

/// What a secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// 32 letters and digits.
    Password,
}

/// What a change of settings needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeClass {
    /// Nothing differs.
    Nothing,
    /// The server takes it up while running.
    Reload,
    /// The server must be restarted.
    Restart,
}

/// How a client connects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The URI for writes, without the password.
    pub uri: String,
    /// The URI for reads, where it differs.
    pub read_uri: Option<String>,
    /// The user to connect as.
    pub user: String,
    /// The secret that holds the user's password.
    pub password_secret: String,
    /// The program that people use, and its arguments, without the password.
    pub client: Vec<String>,
    /// The environment variable through which that program takes the password.
    pub password_variable: String,
    /// The environment variable through which it takes the path of the authority's certificate.
    pub ca_variable: String,
    /// The environment variable through which it takes the address of the URI's host, so that people can connect from a
    /// machine whose resolver does not know our zone; `None` if it has no such variable.
    pub address_variable: Option<String>,
}

/// An engine. Implementations are stateless.
pub trait Engine: Send + Sync {
    /// Its name in the catalog, API and CLI.
    fn name(&self) -> &'static str;

    /// Versions offered, newest last.
    fn versions(&self) -> &'static [Version];

    /// The version when the user names none.
    fn default_version(&self) -> &'static str;

    /// The port members listen on.
    fn port(&self) -> u16;

    /// Who accepts writes.
    fn topology(&self) -> Topology;

    /// The program that must be in the image, shown when it is not.
    fn server_program(&self) -> &'static str;

    /// The user in the image that owns the data and runs the server.
    fn user(&self) -> &'static str;

    /// Secrets generated when a service is made.
    fn secrets(&self) -> &'static [SecretSpec];

    /// Options it offers beside its settings: name and accepted values in words.
    fn options(&self) -> &'static [(&'static str, &'static str)];

    /// Refusals of this engine; `ServiceSpec::problems` has those that hold for all.
    fn problems(&self, spec: &ServiceSpec) -> Vec<FieldError>;

    /// What a change from `old` to `new` needs, settings and options together.
    fn change_class(&self, old: &ServiceSpec, new: &ServiceSpec) -> ChangeClass;

    /// The order in which members are restarted one by one, given who is primary now.
    fn restart_order(&self, members: &[MemberName], primary: Option<&MemberName>) -> Vec<MemberName>;

    /// The order in which members take up a change from `old` to `new` that needs a restart. The restart order, unless
    /// the change itself asks for another.
    fn configure_order(
        &self,
        old: &ServiceSpec,
        new: &ServiceSpec,
        members: &[MemberName],
        primary: Option<&MemberName>,
    ) -> Vec<MemberName> {
        let _ = (old, new);
        self.restart_order(members, primary)
    }

    /// Why a change from `old` to `new` cannot be made at once though both are acceptable, if it cannot: its parts need
    /// different orders.
    fn not_at_once(&self, old: &ServiceSpec, new: &ServiceSpec) -> Option<FieldError> {
        let _ = (old, new);
        None
    }

    /// How a client connects.
    fn connection(&self, service: &ServiceName, primary: &MemberName, zone: &ZoneName) -> Connection;

    /// How long a graceful stop may take before the server is ended.
    fn stop_within(&self) -> Duration;

    /// Brings the member from whatever its volume holds to a running server: initialises, joins, or starts what is there.
    fn start(&self, config: &MemberConfig) -> Box<dyn Machine<Output = ()>>;

    /// Looks at the running server.
    fn probe(&self, config: &MemberConfig) -> Box<dyn Machine<Output = Health>>;

    /// Makes the running server take up a changed configuration as far as a reload can. True if a restart is needed for
    /// the rest.
    fn reload(&self, config: &MemberConfig) -> Box<dyn Machine<Output = bool>>;

    /// Stops the server gracefully, then less so, within [`Self::stop_within`].
    fn stop(&self, config: &MemberConfig) -> Box<dyn Machine<Output = ()>>;

    /// Given the member's health for the last `unhealthy_for`, says how to mend it while it runs, if it needs mending
    /// (for example a standby that can no longer follow is seeded anew). `None`: nothing to do.
    fn mend(
        &self,
        config: &MemberConfig,
        health: &Health,
        unhealthy_for: Duration,
    ) -> Option<Box<dyn Machine<Output = ()>>>;

    /// The roles that a healthy service shows, by member.
    fn expected_roles(&self, members: &[MemberName], primary: Option<&MemberName>) -> BTreeMap<MemberName, Role>;
}
