//! What the original's flags ask for.

use om_api::{CreateService, Resources, Size, VolumeSizes};

use super::flags::Flags;

/// Operations of the original: what each does here, or `None` if this release does not have it.
pub(super) const OPERATIONS: [(&str, Option<&str>); 15] = [
    ("create-service", Some("make a service and wait until it is ready")),
    ("check-service-init", Some("tell whether a service is initialized")),
    ("delete-service", Some("delete a service; its volumes are kept")),
    ("list-services", Some("list services")),
    ("get-service", Some("show a service")),
    ("list-members", Some("show a service's members")),
    ("get-config", Some("show what was configured")),
    ("stop-service", Some("stop a service; everything is kept")),
    ("start-service", Some("start a stopped service")),
    ("restart-service", Some("restart the members one by one")),
    ("update-service", None),
    ("update-service-resource", None),
    ("scale-service", None),
    ("upgrade-service", None),
    ("run-task", None),
];

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

/// What is asked for.
#[derive(Debug, PartialEq)]
pub(super) struct Asked {
    /// The server, if named.
    server: Option<String>,
    /// TLS is asked for.
    tls: bool,
    /// The cluster, if named.
    pub(super) cluster: Option<String>,
    /// The region, if named.
    pub(super) region: Option<String>,
    /// What to tell beforehand.
    pub(super) notes: Vec<String>,
    /// What to do.
    pub(super) work: Work,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Work {
    Create(CreateService),
    CheckInit(String),
    Delete(String),
    List,
    Get(String),
    Members(String),
    /// By name, or by id.
    Config {
        name: Option<String>,
        id: Option<String>,
    },
    Stop(String),
    Start(String),
    Restart(String),
}

/// Translates the flags; an error says which flag is wrong and what to write.
pub(super) fn translate(flags: &Flags) -> Result<Asked, String> {
    let text = |name| flags.text(name).map(str::to_owned);
    let server = text("server-url").map(|server| with_tls(server, flags.is_on("tls-enabled")));
    let (region, cluster) = (text("region"), text("cluster"));
    Ok(Asked { server, cluster, region, tls: flags.is_on("tls-enabled"), notes: notes(flags), work: work(flags)? })
}

impl Asked {
    /// The server: the one named, else that of the cluster named, unless that is `here`; else this machine's.
    pub(super) fn server(&self, here: Option<&str>) -> Option<String> {
        let elsewhere = self.cluster.as_deref().filter(|cluster| Some(*cluster) != here);
        let derived = elsewhere.map(|cluster| format!("openmanage-manageserver.{cluster}-openmanage.com:27040"));
        self.server.clone().or(derived.map(|server| with_tls(server, self.tls)))
    }
}

fn with_tls(server: String, tls: bool) -> String {
    if tls && !server.contains("://") { format!("https://{server}") } else { server }
}

fn work(flags: &Flags) -> Result<Work, String> {
    let known =
        || OPERATIONS.iter().filter(|(_, meaning)| meaning.is_some()).map(|(name, _)| *name).collect::<Vec<_>>();
    let Some(op) = flags.text("op") else { return Err(format!("-op is missing; accepted: {}", known().join(", "))) };
    let name =
        || flags.text("service-name").map(str::to_owned).ok_or_else(|| format!("-op={op} needs -service-name=NAME"));
    Ok(match op {
        "create-service" => Work::Create(create(flags, name()?)?),
        "check-service-init" => Work::CheckInit(name()?),
        "delete-service" => Work::Delete(name()?),
        "list-services" => Work::List,
        "get-service" => Work::Get(name()?),
        "list-members" => Work::Members(name()?),
        "get-config" => match (flags.text("service-name"), flags.text("service-uuid")) {
            (None, None) => return Err("-op=get-config needs -service-name=NAME or -service-uuid=UUID".into()),
            (name, id) => Work::Config { name: name.map(str::to_owned), id: id.map(str::to_owned) },
        },
        "stop-service" => Work::Stop(name()?),
        "start-service" => Work::Start(name()?),
        "restart-service" => Work::Restart(name()?),
        "update-service" => return Err("-op=update-service is not in this release; settings are changed with: openmanage config set NAME KEY=VALUE".into()),
        op if OPERATIONS.iter().any(|(name, _)| *name == op) => {
            return Err(format!("-op={op} is not in this release; this release has: {}", known().join(", ")));
        }
        op => return Err(format!("-op={op} is not an operation; accepted: {}", known().join(", "))),
    })
}

fn create(flags: &Flags, name: String) -> Result<CreateService, String> {
    let engine =
        flags.text("service-type").ok_or("-op=create-service needs -service-type=TYPE, for example postgresql")?;
    let bytes = |flag: &str, unit: u64| -> Result<Option<Size>, String> {
        let Some(number) = flags.number(flag)?.filter(|number| *number > 0) else { return Ok(None) };
        number
            .checked_mul(unit)
            .map(|bytes| Some(Size::bytes(bytes)))
            .ok_or_else(|| format!("-{flag}={number} is too large"))
    };
    let data = bytes("volume-size", GIB)?.ok_or("-op=create-service needs -volume-size=GB, more than 0")?;
    let replicas = flags.number("replicas")?.unwrap_or(3);
    let replicas = u32::try_from(replicas).map_err(|_| format!("-replicas={replicas} is too large"))?;
    let mut memory = None;
    for flag in ["max-memory", "reserve-memory", "soft-memory"] {
        memory = memory.or(bytes(flag, MIB)?);
    }
    let resources = resources(flags, memory)?;
    Ok(CreateService {
        name,
        engine: engine.to_lowercase(),
        version: None,
        image: flags.text("pg-image").map(str::to_owned),
        replicas: Some(replicas),
        resources,
        volumes: VolumeSizes { data, journal: bytes("journal-volume-size", GIB)? },
        settings: Default::default(),
        options: Default::default(),
        places: Vec::new(),
    })
}

/// What each member may use. The original counted CPUs in units, 1024 of them to one.
fn resources(flags: &Flags, memory: Option<Size>) -> Result<Option<Resources>, String> {
    let mut units = None;
    for flag in ["max-cpuunits", "cpu-units"] {
        units = units.or(flags.number(flag)?.filter(|units| *units > 0));
    }
    let millis = units.map(|units| u32::try_from(units.saturating_mul(1000).div_ceil(1024)).unwrap_or(u32::MAX));
    Ok(match (memory, millis) {
        (None, None) => None,
        (memory, cpu_millis) => Some(Resources { memory: memory.unwrap_or(Size::bytes(GIB)), cpu_millis }),
    })
}

/// What the user should know of flags that do not do here what they did there.
fn notes(flags: &Flags) -> Vec<String> {
    let secret =
        ["admin", "passwd", "password", "replication-user", "replication-passwd", "pg-repluser", "pg-replpasswd"];
    let (secrets, rest): (Vec<&str>, Vec<&str>) = flags.without_effect().partition(|name| secret.contains(name));
    let dashed = |names: &[&str]| names.iter().map(|name| format!("-{name}")).collect::<Vec<_>>().join(", ");
    let mut notes = Vec::new();
    if !secrets.is_empty() {
        let names = dashed(&secrets);
        notes.push(format!(
            "{names}: not used, users and passwords are generated; see: openmanage connect NAME --show-password"
        ));
    }
    if !rest.is_empty() {
        notes.push(format!("{}: accepted, without effect in this release", dashed(&rest)));
    }
    notes
}

#[cfg(test)]
mod tests;
