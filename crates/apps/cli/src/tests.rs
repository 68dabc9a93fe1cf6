//! The command line as a whole: what is understood, what is refused, what is given back as data.

mod against_server;
mod running;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Cli, Command};
use crate::local::{ControlDbKind, VolumeKind};
use crate::verbs;
use crate::*;

fn cli(line: &str) -> Result<Cli, String> {
    Cli::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())
}

fn refused(line: &str) -> String {
    cli(line).map(|_| ()).expect_err(line)
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn help_names_every_command() {
    let help = Cli::command().render_help().to_string();
    let verbs =
        ["create", "list", "get", "members", "connect", "restart", "stop", "start", "config", "volume", "delete"];
    let more =
        ["logs", "events", "operations", "engines", "dns", "up", "down", "image", "cluster", "completion", "man"];
    for verb in verbs.iter().chain(&more) {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in:\n{help}");
    }
    assert!(help.contains("Exit codes: 0 done"));
}

#[test]
fn create_as_in_the_design() {
    let parsed =
        cli("openmanage create postgresql orders --replicas 3 --volume-size 100 --cpu 1.5 --set a=b=c").expect("fine");
    let Command::Create(args) = parsed.command else { panic!("not create") };
    assert_eq!((args.volume_size.as_bytes(), args.memory.as_bytes(), args.cpu), (100 << 30, 1 << 30, Some(1500)));
    assert_eq!(args.settings, [("a".into(), "b=c".into())]);
}

#[test]
fn bad_values_are_refused_with_what_is_accepted() {
    for (flags, told) in [
        ("--volume-size -1", "negative"),
        ("--volume-size 10GB", "GiB"),
        ("--volume-size 99999999999999", "too large"),
        ("--replicas -1", "-1"),
        ("--replicas many", "many"),
        ("--cpu 0", "0.01 to 1024"),
        ("--cpu 1.2345", "three decimals"),
        ("--set novalue", "KEY=VALUE"),
        ("--deadline 0", "1..=86400"),
        ("--bogus", "--bogus"),
        ("--output yaml", "json"),
    ] {
        let error = refused(&format!("openmanage create postgresql orders {flags}"));
        assert!(error.contains(told), "{flags}: {error}");
    }
    assert!(refused("openmanage frobnicate").contains("frobnicate"));
    assert!(refused("openmanage volume grow orders").contains("--data"));
    assert!(refused("openmanage delete orders --keep-volumes --delete-volumes").contains("cannot be used with"));
}

fn local(line: &str) -> LocalCommand {
    let cli = cli(line).unwrap_or_else(|error| panic!("{error}"));
    crate::local::command(cli, &environment(Path::new("/default"))).unwrap_or_else(|_| panic!("{line} is not local"))
}

#[test]
fn local_commands_are_given_back_as_data() {
    let LocalCommand::Up(up) = local("openmanage up") else { panic!("not up") };
    assert_eq!(
        (up.cluster.as_str(), up.listen[0].port(), up.state.as_path()),
        ("default", 27040, Path::new("/default"))
    );
    assert_eq!((up.control_db, up.volumes, up.detach), (ControlDbKind::Sqlite, VolumeKind::Images, false));
    let LocalCommand::Up(up) = local(
        "openmanage up --state /s --cluster test --subnet 10.9.0.0/24 --controldb etcd --etcd-endpoints http://a,http://b -d",
    ) else {
        panic!("not up")
    };
    assert_eq!(up.control_db, ControlDbKind::Etcd(vec!["http://a".into(), "http://b".into()]));
    assert_eq!((up.subnet.map(|subnet| subnet.prefix), up.detach), (Some(24), true));
    assert_eq!(local("openmanage --state /s down"), LocalCommand::Down { state: "/s".into() });
    for (line, told) in [
        ("openmanage up --cluster Test", "lower-case"),
        ("openmanage up --subnet 10.0.0.0", "ADDRESS/PREFIX"),
        ("openmanage up --listen nowhere", "--listen"),
        ("openmanage up --controldb etcd", "--etcd-endpoints"),
    ] {
        let error = refused(line);
        assert!(error.contains(told), "{line}: {error}");
    }
}

#[test]
fn members_and_hosts_are_read_from_names() {
    assert_eq!(verbs::service_of("orders-0"), Some("orders"));
    assert_eq!(verbs::service_of("orders"), None);
    assert_eq!(verbs::service_of("my-orders"), None);
    assert_eq!(verbs::host_of("postgresql://u@h.example:5432/db?x=y"), Some("h.example"));
    assert_eq!(verbs::host_of("postgresql://h/db"), Some("h"));
    assert_eq!(verbs::host_of("postgresql://a,b/db"), None);
}

/// An environment in which nothing is reached.
pub(crate) fn environment(state: &Path) -> Environment {
    struct Still;
    #[async_trait]
    impl om_backend::Clock for Still {
        fn now(&self) -> om_model::Timestamp {
            om_model::Timestamp::default()
        }
        fn monotonic(&self) -> std::time::Duration {
            std::time::Duration::ZERO
        }
        async fn sleep(&self, _: std::time::Duration) {}
    }
    impl om_backend::Tasks for Still {
        fn spawn(&self, _: &'static str, _: futures::future::BoxFuture<'static, ()>) {}
    }
    impl om_backend::Entropy for Still {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(7);
        }
    }
    #[async_trait]
    impl LookUp for Still {
        async fn look_up(&self, _: SocketAddr, host: &str) -> Result<Vec<IpAddr>, String> {
            Err(format!("{host}: no DNS here"))
        }
    }
    let runtime = Runtime { clock: Arc::new(Still), tasks: Arc::new(Still), entropy: Arc::new(Still) };
    Environment { state_dir: state.to_owned(), runtime, look_up: Arc::new(Still) }
}
