//! PostgreSQL: one primary chosen by the platform, the other members streaming from it.
//!
//! Main pieces: [`Postgresql`] (declarations), `settings` and `tuning` (which settings there are, which values are
//! computed), `limits` (which order of restarts a change needs), `render` (configuration files), `layout` (where things lie), `state` (how far the cluster on a volume has
//! come), `cluster` (initialising and copying), `run` (start, stop, reload), `remote` (what a standby asks its primary),
//! `health` (probe and mending).
//!
//! **Invariant:** a cluster that was completed on a primary is only ever started; a standby's is replaced only by a copy
//! of the same cluster (same system identifier), and only when it can certainly not follow any more.

mod cluster;
mod health;
mod layout;
mod limits;
mod remote;
mod render;
mod run;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod tuning;
mod units;

use std::collections::BTreeMap;
use std::time::Duration;

use om_model::{FieldError, MemberName, ServiceName, ServiceSpec, ZoneName};

pub use self::layout::SOCKET_DIR;
use self::limits::Moves;
use crate::engine::{ChangeClass, Connection, Engine, SecretKind, SecretSpec, Topology, Version};
use crate::machine::Machine;
use crate::member::{Health, MemberConfig, Role};
use crate::script::Script;

/// The option whose `on` makes commits wait for one standby.
const SYNCHRONOUS: &str = "synchronous";

/// The engine.
pub struct Postgresql;

static VERSIONS: [Version; 1] =
    [Version { name: "15", official_image: "docker.io/library/postgres:15", package: Some("postgresql-15") }];

static SECRETS: [SecretSpec; 2] = [
    SecretSpec { name: layout::SUPERUSER, kind: SecretKind::Password },
    SecretSpec { name: layout::REPLICATOR, kind: SecretKind::Password },
];

static OPTIONS: [(&str, &str); 1] = [(SYNCHRONOUS, "off, on")];

impl Engine for Postgresql {
    fn name(&self) -> &'static str {
        "postgresql"
    }

    fn versions(&self) -> &'static [Version] {
        &VERSIONS
    }

    fn default_version(&self) -> &'static str {
        "15"
    }

    fn port(&self) -> u16 {
        layout::PORT
    }

    fn topology(&self) -> Topology {
        Topology::ChosenPrimary
    }

    fn server_program(&self) -> &'static str {
        "postgres"
    }

    fn user(&self) -> &'static str {
        layout::SUPERUSER
    }

    fn secrets(&self) -> &'static [SecretSpec] {
        &SECRETS
    }

    fn options(&self) -> &'static [(&'static str, &'static str)] {
        &OPTIONS
    }

    fn problems(&self, spec: &ServiceSpec) -> Vec<FieldError> {
        let mut found = Vec::new();
        if !VERSIONS.iter().any(|version| version.name == spec.version) {
            found.push(FieldError::new("version", format!("{:?} is not offered", spec.version), "15"));
        }
        if spec.replicas > tuning::REPLICAS_MAX {
            let accepted = format!("1 to {} for postgresql", tuning::REPLICAS_MAX);
            found.push(FieldError::new("replicas", format!("is {}", spec.replicas), accepted));
        }
        found.extend(spec.options.iter().filter_map(|(name, value)| option_problem(name, value, spec.replicas)));
        found.extend(spec.settings.iter().filter_map(|(name, value)| settings::problem(name, value)));
        found
    }

    fn change_class(&self, old: &ServiceSpec, new: &ServiceSpec) -> ChangeClass {
        if old.version != new.version || old.image != new.image || old.resources != new.resources {
            return ChangeClass::Restart;
        }
        let values = |spec: &ServiceSpec| tuning::effective(&spec.resources, &spec.volumes, &spec.settings);
        let (before, after) = (values(old), values(new));
        let differing = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name));
        // Standbys' names and the option reach the server through settings that it reloads.
        let rest = old.options != new.options || old.replicas != new.replicas;
        let rest = if rest { ChangeClass::Reload } else { ChangeClass::Nothing };
        differing.map(|name| settings::change_of(name)).max().unwrap_or(rest).max(rest)
    }

    fn restart_order(&self, members: &[MemberName], primary: Option<&MemberName>) -> Vec<MemberName> {
        let standbys = members.iter().filter(|member| Some(*member) != primary);
        standbys.chain(members.iter().filter(|member| Some(*member) == primary)).cloned().collect()
    }

    fn configure_order(
        &self,
        old: &ServiceSpec,
        new: &ServiceSpec,
        members: &[MemberName],
        primary: Option<&MemberName>,
    ) -> Vec<MemberName> {
        let mut order = self.restart_order(members, primary);
        if !Moves::between(old, new).lowered.is_empty() {
            // The primary, which comes last of them, goes first.
            order.sort_by_key(|member| Some(member) != primary);
        }
        order
    }

    fn not_at_once(&self, old: &ServiceSpec, new: &ServiceSpec) -> Option<FieldError> {
        Moves::between(old, new).conflict()
    }

    fn connection(&self, service: &ServiceName, primary: &MemberName, zone: &ZoneName) -> Connection {
        let (user, port) = (layout::SUPERUSER, layout::PORT);
        let uri = |host: String| format!("postgresql://{user}@{host}.{zone}:{port}/postgres?sslmode=verify-full");
        let write = uri(primary.to_string());
        Connection {
            client: vec!["psql".into(), write.clone()],
            uri: write,
            read_uri: Some(uri(service.to_string()) + "&target_session_attrs=prefer-standby"),
            user: user.into(),
            password_secret: layout::SUPERUSER.into(),
            password_variable: "PGPASSWORD".into(),
            ca_variable: "PGSSLROOTCERT".into(),
            address_variable: Some("PGHOSTADDR".into()),
        }
    }

    fn stop_within(&self) -> Duration {
        run::STOP_WITHIN
    }

    fn start(&self, config: &MemberConfig) -> Box<dyn Machine<Output = ()>> {
        let config = config.clone();
        Box::new(Script::new(|hands| run::start(hands, config)))
    }

    fn probe(&self, config: &MemberConfig) -> Box<dyn Machine<Output = Health>> {
        let config = config.clone();
        Box::new(Script::new(|hands| health::probe(hands, config)))
    }

    fn reload(&self, config: &MemberConfig) -> Box<dyn Machine<Output = bool>> {
        let config = config.clone();
        Box::new(Script::new(|hands| run::reload(hands, config)))
    }

    fn stop(&self, _: &MemberConfig) -> Box<dyn Machine<Output = ()>> {
        Box::new(Script::new(run::stop))
    }

    fn mend(
        &self,
        config: &MemberConfig,
        health: &Health,
        unhealthy_for: Duration,
    ) -> Option<Box<dyn Machine<Output = ()>>> {
        let follows = !config.is_primary() && health.role == Some(Role::Standby);
        if health.healthy || !follows || unhealthy_for < health::LOOK_INTO_AFTER {
            return None;
        }
        let config = config.clone();
        Some(Box::new(Script::new(|hands| health::mend(hands, config))))
    }

    fn expected_roles(&self, members: &[MemberName], primary: Option<&MemberName>) -> BTreeMap<MemberName, Role> {
        let role = |member: &MemberName| {
            if Some(member) == primary { Role::Primary } else { Role::Standby }
        };
        members.iter().map(|member| (member.clone(), role(member))).collect()
    }
}

fn option_problem(name: &str, value: &str, replicas: u16) -> Option<FieldError> {
    let field = format!("options.{name}");
    let Some((_, accepted)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
        return Some(FieldError::new(field, "is not an option of postgresql", SYNCHRONOUS));
    };
    if !accepted.split(", ").any(|word| word == value) {
        return Some(FieldError::new(field, format!("is {value:?}"), *accepted));
    }
    // Commits of a single member would wait for ever.
    (name == SYNCHRONOUS && value == "on" && replicas < 2).then(|| {
        FieldError::new(field, "is on with one member, which has no standby to wait for", "off, or 2 to 9 replicas")
    })
}
