//! Arguments of commands on services, volumes and operations.

use clap::{Args, Subcommand};
use om_api::Size;

/// How a change is made.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ChangeArgs {
    /// Only show what would be done, and why
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not wait for the end
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Seconds the operation may take [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86400))]
    pub(crate) deadline: Option<u64>,
}

/// `create`.
#[derive(Clone, Debug, Args)]
pub(crate) struct CreateArgs {
    /// The engine: see `openmanage engines`
    pub(crate) engine: String,
    /// The service's name: lower-case letters, digits and hyphens
    pub(crate) name: String,
    /// How many members
    #[arg(long, default_value_t = 3, allow_negative_numbers = true)]
    pub(crate) replicas: u32,
    /// Each member's data volume, in GiB or with a unit
    #[arg(long, value_name = "SIZE", default_value = "10", value_parser = gib, allow_negative_numbers = true)]
    pub(crate) volume_size: Size,
    /// A volume of its own for the write-ahead log, in GiB or with a unit [default: on the data volume]
    #[arg(long, value_name = "SIZE", value_parser = gib, allow_negative_numbers = true)]
    pub(crate) journal_size: Option<Size>,
    /// Each member's memory, in GiB or with a unit
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = gib, allow_negative_numbers = true)]
    pub(crate) memory: Size,
    /// CPUs each member may use, for example 1.5 [default: no limit]
    #[arg(long, value_name = "CPUS", value_parser = cpu, allow_negative_numbers = true)]
    pub(crate) cpu: Option<u32>,
    /// The engine's version [default: the engine's]
    #[arg(long)]
    pub(crate) version: Option<String>,
    /// The image to run [default: the catalog's]
    #[arg(long)]
    pub(crate) image: Option<String>,
    /// A setting of the engine, by the engine's name
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) settings: Vec<(String, String)>,
    /// An option of the engine: see `openmanage engines`
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) options: Vec<(String, String)>,
    /// A write is acknowledged only once a standby has it too; short for --option synchronous=on
    #[arg(long)]
    pub(crate) synchronous: bool,
    /// A zone for the members; may be given several times [default: any]
    #[arg(long = "zone", value_name = "[REGION/]ZONE")]
    pub(crate) zones: Vec<String>,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// `connect`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConnectArgs {
    /// The service
    pub(crate) name: String,
    /// Print the URI instead, without the password
    #[arg(long, conflicts_with = "client_args")]
    pub(crate) uri: bool,
    /// Print the password instead; that it was shown is noted as an event
    #[arg(long, conflicts_with_all = ["client_args", "uri"])]
    pub(crate) show_password: bool,
    /// Further arguments of the client program
    #[arg(last = true)]
    pub(crate) client_args: Vec<String>,
}

/// `delete`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DeleteArgs {
    /// The service
    pub(crate) name: String,
    /// Keep the volumes with everything on them (the default)
    #[arg(long, conflicts_with = "delete_volumes")]
    pub(crate) keep_volumes: bool,
    /// Delete the volumes with everything on them
    #[arg(long)]
    pub(crate) delete_volumes: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}

/// `logs`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LogsArgs {
    /// A member, or a service for all its members
    pub(crate) name: String,
    /// Go on with the lines that follow
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// How many of the last lines
    #[arg(long, short = 'n', default_value_t = 100)]
    pub(crate) tail: usize,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show settings and options that were set
    Get {
        /// The service
        name: String,
    },
    /// Change settings and options: by a reload, or a restart one by one, as each needs
    Set {
        /// The service
        name: String,
        /// Settings of the engine, by the engine's names
        #[arg(value_name = "KEY=VALUE", value_parser = pair)]
        settings: Vec<(String, String)>,
        /// Take a setting back to its default
        #[arg(long, value_name = "KEY")]
        unset: Vec<String>,
        /// An option of the engine
        #[arg(long = "option", value_name = "KEY=VALUE", value_parser = pair)]
        options: Vec<(String, String)>,
        /// Take an option back to its default
        #[arg(long, value_name = "KEY")]
        unset_option: Vec<String>,
        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// `volume`.
#[derive(Debug, Subcommand)]
pub(crate) enum VolumeCommand {
    /// List volumes, those of deleted services included
    #[command(visible_alias = "ls")]
    List,
    /// Enlarge the volumes of a service's members while they run
    Grow {
        /// The service
        name: String,
        /// The data volumes' new size, in GiB or with a unit
        #[arg(long, value_name = "SIZE", value_parser = gib, required_unless_present = "journal", allow_negative_numbers = true)]
        data: Option<Size>,
        /// The journal volumes' new size, in GiB or with a unit
        #[arg(long, value_name = "SIZE", value_parser = gib, allow_negative_numbers = true)]
        journal: Option<Size>,
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Delete a kept volume with everything on it
    Delete {
        /// The volume's name: see `openmanage volume list`
        #[arg(required = true)]
        names: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// `operations`.
#[derive(Debug, Subcommand)]
pub(crate) enum OperationsCommand {
    /// List operations
    #[command(visible_alias = "ls")]
    List {
        /// Only of this service
        #[arg(long)]
        service: Option<String>,
    },
    /// Show an operation, step by step
    Show {
        /// Its id
        id: String,
        /// Follow it to its end
        #[arg(long, short)]
        follow: bool,
    },
    /// Cancel an operation: what it has done is undone
    Cancel {
        /// Its id
        id: String,
        /// Do not wait for the end
        #[arg(long)]
        no_wait: bool,
    },
    /// Try an operation that needs attention again
    Retry {
        /// Its id
        id: String,
        /// Do not wait for the end
        #[arg(long)]
        no_wait: bool,
    },
}

/// A size whose numbers count GiB when they have no unit.
pub(crate) fn gib(text: &str) -> Result<Size, String> {
    Size::parse(text, 1 << 30).map_err(|error| error.to_string().replace("a number of bytes", "a number of GiB"))
}

/// A number of CPUs as thousandths.
pub(crate) fn cpu(text: &str) -> Result<u32, String> {
    let refuse = || format!("{text:?} is not a number of CPUs; accepted: 0.01 to 1024, with at most three decimals");
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(decimals) || decimals.len() > 3 {
        return Err(refuse());
    }
    let thousandths: u32 = format!("{decimals:0<3}").parse().map_err(|_| refuse())?;
    let millis = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(1000)?.checked_add(thousandths));
    millis.filter(|millis| (10..=1_024_000).contains(millis)).ok_or_else(refuse)
}

/// `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no `=`; accepted: KEY=VALUE"))?;
    if key.is_empty() {
        return Err(format!("{text:?} has no key; accepted: KEY=VALUE"));
    }
    Ok((key.to_owned(), value.to_owned()))
}
