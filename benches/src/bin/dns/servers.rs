//! The two servers, each a child process on core 0 with the same records, ended when dropped.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use om_backend::NameService;
use om_dns::{DEFAULT_TTL, DnsServer, Settings};
use om_model::zone::Zone;

use crate::Outcome;

/// Names with one A record each.
pub(crate) const RECORDS: u16 = 1000;

const ZONE: &str = "bench-openmanage.com";

const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A running server.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Server {
    /// The processor time it has used, its threads together.
    pub(crate) fn processor_time(&self) -> Outcome<Duration> {
        Ok(om_benches::process::processor_time(self.process.id())?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn label(n: u16) -> String {
    format!("orders{n}-0")
}

fn address(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 20, high, low))
}

/// What dnsperf asks: every name once, in an order that jumps about.
pub(crate) fn write_queries(folder: &Path) -> Outcome<PathBuf> {
    let path = folder.join("queries");
    // 389 has no factor in common with 1000, so that all names come by.
    let order = (0..u32::from(RECORDS)).map(|n| n * 389 % u32::from(RECORDS));
    let names = order.filter_map(|n| Some(label(u16::try_from(n).ok()?)));
    let lines: String = names.map(|name| format!("{name}.{ZONE} A\n")).collect();
    fs::write(&path, lines)?;
    Ok(path)
}

/// The server under test: this program again, with `serve`.
pub(crate) fn ours() -> Outcome<Server> {
    let mut process = Command::new("taskset")
        .args(["-c", "0"])
        .arg(std::env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot run taskset: {error}"))?;
    let mut line = String::new();
    let said = process.stdout.take().ok_or("no standard output")?;
    BufReader::new(said).read_line(&mut line)?;
    let mut server = Server { name: "openmanage", address: LOOPBACK, process };
    server.address = line.trim().parse().map_err(|_| format!("our server said {line:?} and not its address"))?;
    Ok(server)
}

/// The child's side of [`ours`]: answers until its standard input ends, hence also when the parent is killed.
pub(crate) fn serve() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let server = DnsServer::new(Settings { zone: ZONE.parse()?, ttl: DEFAULT_TTL, upstreams: Vec::new() });
    let zone = Zone {
        name: ZONE.parse()?,
        serial: 1,
        fixed: (0..RECORDS).map(|n| (label(n), vec![address(n)])).collect(),
        members: BTreeMap::new(),
        services: BTreeMap::new(),
    };
    let address = runtime.block_on(async {
        let address = server.listen(LOOPBACK, false).await?;
        server.publish(&zone).await?;
        Ok::<_, om_backend::PortError>(address)
    })?;
    println!("{address}");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}

/// Debian's knotd with one UDP worker.
pub(crate) fn knot(folder: &Path) -> Outcome<Server> {
    let address = UdpSocket::bind(LOOPBACK)?.local_addr()?;
    let at = folder.display();
    let config = format!(
        "server:\n  rundir: \"{at}\"\n  listen: {}@{}\n  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n\
         database:\n  storage: \"{at}\"\n\
         log:\n  - target: stderr\n    any: error\n\
         zone:\n  - domain: {ZONE}\n    file: \"{at}/zone\"\n",
        address.ip(),
        address.port()
    );
    fs::write(folder.join("knot.conf"), config)?;
    let mut zone = format!(
        "$ORIGIN {ZONE}.\n$TTL {DEFAULT_TTL}\n@ SOA ns hostmaster 1 3600 600 86400 1\n@ NS ns\nns A 127.0.0.1\n"
    );
    for n in 0..RECORDS {
        writeln!(zone, "{} A {}", label(n), self::address(n))?;
    }
    fs::write(folder.join("zone"), zone)?;
    let process = Command::new("taskset")
        .args(["-c", "0", "/usr/sbin/knotd", "-c"])
        .arg(folder.join("knot.conf"))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run taskset and knotd: {error}"))?;
    let server = Server { name: "knotd", address, process };
    await_answers(&server)?;
    Ok(server)
}

fn await_answers(server: &Server) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match runtime.block_on(om_dns::resolve(server.address, &format!("{}.{ZONE}", label(1)))) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(100)),
        }
    }
}
