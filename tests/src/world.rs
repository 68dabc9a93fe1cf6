//! One running OpenManage with everything of its own, from `openmanage up` to the last file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::client::Target;
use crate::{docker, eventually, leftovers, names};

/// Beginning of the name of every test's cluster and state folder; the process id follows.
const PREFIX: &str = "e2e-";
/// Where state folders are: on a disk, since databases sync to it.
const FOLDER: &str = "/var/tmp";
/// How long a server may take until it answers.
const UP_WITHIN: Duration = Duration::from_secs(30);
/// How long a member may take to be healthy after whatever happened to it.
pub const HEALTHY_WITHIN: Duration = Duration::from_secs(90);

/// A running OpenManage. Dropped, it takes everything with it.
pub struct World {
    /// The cluster's name.
    pub cluster: String,
    /// Its state folder.
    pub state: PathBuf,
    /// The program under test.
    pub binary: PathBuf,
    /// Tells this world's port and addresses from those of others.
    number: u32,
    kind: Kind,
    server: Option<Child>,
}

/// What is not usual about a world.
#[derive(Clone, Debug, Default)]
pub struct Kind {
    /// The address that the API listens on; a loopback address if none is given.
    pub address: Option<String>,
    /// Further flags of `openmanage up`.
    pub flags: Vec<String>,
    /// A program, with its arguments, that runs the server.
    pub wrapper: Vec<String>,
}

impl World {
    /// Starts a server on a new cluster, after clearing away what killed runs left.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn start() -> Self {
        leftovers::of_former_runs(Path::new(FOLDER), PREFIX);
        Self::begin(format!("{PREFIX}{}", std::process::id()), std::process::id(), Kind::default())
    }

    /// Starts another server beside this one, with a cluster, a state folder and addresses of its own.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn beside(&self, word: &str, kind: Kind) -> Self {
        Self::begin(format!("{}-{word}", self.cluster), self.number + 2000, kind)
    }

    fn begin(cluster: String, number: u32, kind: Kind) -> Self {
        let state = Path::new(FOLDER).join(&cluster);
        std::fs::create_dir_all(&state).expect("the state folder can be made");
        let binary = program("OPENMANAGE_BINARY", "debug/openmanage");
        let mut world = Self { cluster, state, binary, number, kind, server: None };
        world.start_server();
        world
    }

    /// The address that the API listens on.
    pub fn api_address(&self) -> &str {
        self.kind.address.as_deref().unwrap_or("127.0.0.1")
    }

    /// The flags that tell the CLI where the server is: what the server left in the state folder, where it speaks TLS.
    pub(crate) fn server_flags(&self) -> Vec<String> {
        let url = || ["--server".to_owned(), format!("http://127.0.0.1:{}", self.port())];
        if self.kind.address.is_some() { Vec::new() } else { url().into() }
    }

    /// Where the DNS server answers the host.
    pub fn dns(&self) -> String {
        format!("127.27.{}", self.octets())
    }

    /// The DNS zone.
    pub fn zone(&self) -> String {
        format!("{}-openmanage.com", self.cluster)
    }

    /// The API's port: above those handed out to outgoing connections, so that none of them takes it first.
    pub fn port(&self) -> u32 {
        61_000 + self.number % 4000
    }

    /// Two octets that tell this run's addresses from those of a quickstart and of other runs.
    fn octets(&self) -> String {
        format!("{}.{}", 1 + self.number % 200, 1 + self.number / 200 % 200)
    }

    /// The first three octets of the addresses of the members' network.
    fn network(&self) -> String {
        format!("10.{}.{}", 100 + self.number % 100, self.number / 100 % 250)
    }

    /// The address of the members' network's gateway, which is this machine's.
    pub fn gateway(&self) -> String {
        format!("{}.1", self.network())
    }

    /// The name of the volume plugin in Docker.
    pub fn driver(&self) -> String {
        format!("openmanage-{}", self.cluster)
    }

    /// The arguments of `openmanage` for this world's server.
    pub fn up_arguments(&self) -> Vec<String> {
        let words = [
            ("--cluster", self.cluster.clone()),
            ("--state", self.state.display().to_string()),
            ("--listen", format!("{}:{}", self.api_address(), self.port())),
            ("--subnet", format!("{}.0/24", self.network())),
            ("--dns-listen", format!("{}:53", self.dns())),
        ];
        std::iter::once("up".to_owned())
            .chain(words.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]))
            .chain(self.kind.flags.iter().cloned())
            .collect()
    }

    /// The same with some flags' values replaced, for another server than this world's.
    ///
    /// # Panics
    /// If a flag is not there.
    pub fn up_arguments_with(&self, changes: &[(&str, String)]) -> Vec<String> {
        let mut arguments = self.up_arguments();
        for (flag, value) in changes {
            let at = arguments.iter().position(|word| word == flag).unwrap_or_else(|| panic!("{flag} is not there"));
            arguments[at + 1].clone_from(value);
        }
        arguments
    }

    /// Starts the server process and waits until it answers.
    ///
    /// # Panics
    /// If it ends, or does not answer in time.
    pub fn start_server(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("the log can be written");
        let binary = self.binary.display().to_string();
        let words: Vec<String> = self.kind.wrapper.iter().cloned().chain([binary]).chain(self.up_arguments()).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a second handle")).stderr(log);
        self.server = Some(command.spawn().expect("the program can be run"));
        eventually(UP_WITHIN, "the server answers", || {
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            assert!(ended.is_none(), "the server ended: {ended:?}\n{}", self.log_tail());
            let called = self.call(&["list"]);
            if called.code == 0 { Ok(()) } else { Err(called.stderr) }
        });
    }

    /// The server's process id.
    ///
    /// # Panics
    /// If it does not run.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().expect("the server runs").id()
    }

    /// Kills the server as a crash would: nothing of it runs another instruction.
    pub fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    /// Asks the server to end and waits until it has. Yields its exit code.
    ///
    /// # Panics
    /// If it does not end within 30 seconds.
    pub fn stop_server(&mut self) -> Option<i32> {
        let mut server = self.server.take()?;
        let _ = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
        eventually(Duration::from_secs(30), "the server ends when asked", || match server.try_wait() {
            Ok(Some(status)) => Ok(status.code()),
            _ => Err("it still runs".into()),
        })
    }

    /// The file with the administrator's token.
    pub fn token_file(&self) -> PathBuf {
        self.state.join("admin.token")
    }

    /// The log of the server: beside the state folder, since the folder must end empty.
    pub fn log(&self) -> PathBuf {
        self.state.with_extension("log")
    }

    fn log_tail(&self) -> String {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        last_lines(&log, 40)
    }

    fn show(&self) {
        println!("--- the server's log\n{}", self.log_tail());
        for container in docker::containers(&leftovers::label(&self.cluster)) {
            let name = docker::inspect(&container)["Name"].to_string();
            println!(
                "--- container {name}
{}",
                last_lines(&docker::output(&container), 15)
            );
        }
        println!("---");
    }

    // What a user sees of a service.

    /// The service, made with three members of the smallest useful size if it is not there, once all are healthy.
    ///
    /// # Panics
    /// If that fails or takes too long.
    pub fn service(&self, name: &str) -> Vec<Value> {
        if self.call(&["get", name]).code != 0 {
            self.create(name, 3);
        }
        self.healthy(name, 3)
    }

    /// Creates a service and waits for the operation's end.
    ///
    /// # Panics
    /// If it fails.
    pub fn create(&self, name: &str, replicas: u16) {
        let replicas = replicas.to_string();
        let size = ["--volume-size", "512MiB", "--memory", "256MiB"];
        self.call(&[&["create", "postgresql", name, "--replicas", &replicas], &size[..]].concat()).ok();
    }

    /// The service's members, once so many of them are healthy and exactly one is the primary.
    ///
    /// # Panics
    /// If that takes too long.
    #[track_caller]
    pub fn healthy(&self, service: &str, count: usize) -> Vec<Value> {
        eventually(HEALTHY_WITHIN, "all members are healthy", || {
            let members = self.rows(&["members", service]);
            let healthy = members.iter().filter(|member| member["healthy"] == true).count();
            let primaries = members.iter().filter(|member| member["role"] == "primary").count();
            if healthy == count && primaries == 1 { Ok(members) } else { Err(format!("{members:#?}")) }
        })
    }

    /// The name of the member that has this role (the first such).
    ///
    /// # Panics
    /// If none has.
    #[track_caller]
    pub fn member_with_role(&self, service: &str, role: &str) -> String {
        let members = self.rows(&["members", service]);
        let member = members.iter().find(|member| member["role"] == role);
        member.unwrap_or_else(|| panic!("no {role} among {members:#?}"))["name"].as_str().expect("a name").to_owned()
    }

    /// The container that runs a member, running or not.
    ///
    /// # Panics
    /// If there is not exactly one.
    #[track_caller]
    pub fn container(&self, member: &str) -> String {
        let of_cluster = docker::containers(&leftovers::label(&self.cluster));
        let of_member = docker::containers(&format!("com.openmanage.member={member}"));
        let mut both: Vec<String> = of_member.into_iter().filter(|id| of_cluster.contains(id)).collect();
        assert_eq!(both.len(), 1, "containers of {member}: {both:?}");
        both.remove(0)
    }

    /// The address that DNS gives for a label of the zone.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn address(&self, label: &str) -> Result<String, String> {
        let mut addresses = names::ask(&self.dns(), &format!("{label}.{}", self.zone()), "A")?;
        if addresses.len() == 1 {
            Ok(addresses.remove(0))
        } else {
            Err(format!("{label} has the addresses {addresses:?}"))
        }
    }

    /// How to reach a label of the zone (`orders-0`, `orders-primary`) as the service's user.
    ///
    /// # Panics
    /// If the service cannot be connected to.
    #[track_caller]
    pub fn target(&self, service: &str, label: &str) -> Target {
        let connection = self.json(&["connect", service, "--uri"]);
        let shown = self.json(&["connect", service, "--show-password"]);
        let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_else(|| panic!("{field} in {of}")).to_owned();
        let ca = self.state.with_extension(format!("{service}.crt"));
        std::fs::write(&ca, text(&connection, "ca")).expect("the certificate can be written");
        let address = eventually(Duration::from_secs(10), "the name has an address", || self.address(label));
        let (user, password) = (text(&connection, "user"), text(&shown, "password"));
        Target { host: format!("{label}.{}", self.zone()), address, user, password, ca }
    }

    /// Runs a statement at a label of the zone, on a connection of its own.
    ///
    /// # Panics
    /// If the database refuses it.
    #[track_caller]
    pub fn sql(&self, service: &str, label: &str, statement: &str) -> String {
        self.target(service, label).query(statement).unwrap_or_else(|error| panic!("{statement} at {label}: {error}"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.kill_server();
        leftovers::remove(&self.cluster, &self.state);
        let certificate = |name: &str| name.starts_with(&format!("{}.", self.cluster)) && name.ends_with(".crt");
        for entry in std::fs::read_dir(FOLDER).into_iter().flatten().filter_map(Result::ok) {
            if certificate(&entry.file_name().to_string_lossy()) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(self.log());
        }
    }
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

/// A program under test: named by the environment variable, else where cargo puts it.
///
/// # Panics
/// If it is not there.
pub(crate) fn program(variable: &str, built: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie below the workspace's root");
    let path = std::env::var_os(variable).map_or_else(|| root.join("target").join(built), PathBuf::from);
    assert!(path.is_file(), "{} is not there: run ./test, which builds it, or set {variable}", path.display());
    path
}

impl crate::runner::Scene for World {
    fn start() -> Self {
        Self::start()
    }

    fn describe(&self) {
        self.show();
    }
}
