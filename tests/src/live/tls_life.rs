//! TLS libraries as they come and go: copies of a process's own, replaced and deleted files, roots of containers, many
//! handshakes, an agent that is killed.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use apiarist::status::Coverage;
use aya::{
    maps::{Map, MapData, MapInfo, loaded_maps},
    programs::loaded_programs,
};
use rustix::process::Signal;

use super::{
    agent::{Agent, bare, programs_of},
    binary,
    certificate::Certificate,
    note,
    place::{Place, fixture},
    program::{Program, command, find, output, renamed},
    rows::{row, sorted},
    servers::{accepts, free_port},
    tls_servers::{caddy, nginx_tls},
    wait::until,
};

/// Longest wait for a load generator, or for a report.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Room for a load that comes faster than an agent without optimisation reads it.
pub(super) const RING_BYTES: &str = "[capture]\nring_bytes = 67108864\n";

pub(super) fn watch<'a>(place: &'a Place, configuration: &str) -> Result<Agent<'a>> {
    let configuration = place.write("apiarist.toml", configuration)?;
    Agent::of(place, &["--config", &configuration])
}

/// Twenty requests, as what `get` expects of them.
pub(super) fn twenty(place: &Place, port: u16) -> Result<()> {
    let url = format!("https://127.0.0.1:{port}/users/[1-20]/orders/7");
    output("curl", &["-sSk", "--http1.1", "--max-time", "20", &url], place)?;
    Ok(())
}

pub(super) fn get(count: u64, caller: &str) -> Vec<String> {
    vec![row(
        "GET",
        "/users/{userId}/orders/{orderId}",
        "2xx",
        count,
        caller,
    )]
}

/// Copies of OpenSSL's libraries in a directory of the test, for one server's use.
pub(super) fn own_libraries(place: &Place, name: &str) -> Result<PathBuf> {
    let system = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let directory = place.path().join(name);
    fs::create_dir(&directory)?;
    for library in ["libssl.so.3", "libcrypto.so.3"] {
        let from = Path::new(&system).join(library);
        fs::copy(&from, directory.join(library))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    Ok(directory)
}

/// The library is replaced under a running server, as an upgrade does: that one is still read, and the next one is.
pub(super) fn a_library_is_upgraded(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    upgrade(place, &own, &agent)?;
    agent.expect("tls_new.py", &get(20, "curl"))
}

pub(super) fn upgrade(place: &Place, own: &Certificate, agent: &Agent<'_>) -> Result<()> {
    let libraries = own_libraries(place, "upgraded")?;
    let library = libraries.join("libssl.so.3");
    let start = |name: &str| {
        let mut server = server(place, name, &find("python3")?, own)?;
        let mut server = Program::start(server.env("LD_LIBRARY_PATH", &libraries), place)?;
        let port = server.port()?;
        anyhow::Ok((server, port))
    };
    let (_old, old_port) = start("tls_old.py")?;
    greet(place, old_port)?;
    agent.probes(&library, 1)?;
    let fresh = libraries.join("fresh");
    fs::copy(&library, &fresh)?;
    fs::rename(&fresh, &library)?;
    let (_new, new_port) = start("tls_new.py")?;
    greet(place, new_port)?;
    agent.probes(&library, 2)?;
    twenty(place, old_port)?;
    twenty(place, new_port)?;
    agent.shows("tls_old.py", &get(20, "curl"))?;
    agent.shows("tls_new.py", &get(20, "curl"))
}

/// A handshake without a request, in guests: there Python loads its library later than the agent looks at a process that has
/// started, and its first connection has it looked at again.
fn greet(place: &Place, port: u16) -> Result<()> {
    if binary::is_guest() {
        output(
            "openssl",
            &["s_client", "-connect", &format!("127.0.0.1:{port}")],
            place,
        )?;
    }
    Ok(())
}

/// A server of Python, by an interpreter of one's choice, known as `name`. Prints its port.
fn server(place: &Place, name: &str, python: &Path, own: &Certificate) -> Result<Command> {
    let script = place.write(name, fs::read(fixture("tls_server.py"))?)?;
    let mut server = Command::new(python);
    server.args([&script, "asyncio", &own.certificate, &own.key]);
    Ok(server)
}

/// Neither executable nor libraries have a name any more when the agent starts.
pub(super) fn deleted_files_are_read(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let deleted = Deleted::start(place, &own)?;
    let agent = watch(place, RING_BYTES)?;
    deleted.is_read(place, &agent)?;
    agent.expect("tls_gone.py", &get(20, "curl"))
}

/// A server whose executable and libraries have no name any more.
pub(super) struct Deleted {
    libraries: PathBuf,
    port: u16,
    _server: Program,
}

impl Deleted {
    pub(super) fn start(place: &Place, own: &Certificate) -> Result<Self> {
        let libraries = own_libraries(place, "deleted")?;
        let python = renamed("python3", "python3", place)?;
        let mut server = server(place, "tls_gone.py", &python, own)?;
        let mut server = Program::start(server.env("LD_LIBRARY_PATH", &libraries), place)?;
        let port = server.port()?;
        fs::remove_file(&python)?;
        fs::remove_dir_all(&libraries)?;
        Ok(Self {
            libraries,
            port,
            _server: server,
        })
    }

    pub(super) fn is_read(&self, place: &Place, agent: &Agent<'_>) -> Result<()> {
        agent.probes(&self.libraries.join("libssl.so.3"), 1)?;
        twenty(place, self.port)?;
        agent.shows("tls_gone.py", &get(20, "curl"))
    }
}

/// The library is loaded by a process that has run for a while.
pub(super) fn a_library_is_loaded_late(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    load_late(place, &own, &agent)?;
    agent.expect("tls_late.py", &get(20, "curl"))
}

pub(super) fn load_late(place: &Place, own: &Certificate, agent: &Agent<'_>) -> Result<()> {
    let mut server = command("python3")?;
    server.args([&fixture("tls_late.py"), &own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    twenty(place, server.port()?)?;
    agent.shows("tls_late.py", &get(20, "curl"))
}

/// In a mount namespace, another library lies where the host has its own.
pub(super) fn a_container_has_its_own_library(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    contain(place, &own, &agent)?;
    agent.expect("tls_inside.py", &get(20, "curl"))
}

pub(super) fn contain(place: &Place, own: &Certificate, agent: &Agent<'_>) -> Result<()> {
    let library = own_libraries(place, "contained")?.join("libssl.so.3");
    let hosts = format!("/usr/lib/{}-linux-gnu/libssl.so.3", std::env::consts::ARCH);
    let python = server(place, "tls_inside.py", &find("python3")?, own)?;
    let mut server = command("unshare")?;
    server.args([
        "--mount",
        "sh",
        "-c",
        "mount --bind $0 $1 && shift && exec \"$@\"",
    ]);
    server.arg(&library).arg(&hosts);
    server.arg(python.get_program()).args(python.get_args());
    let mut server = Program::start(&mut server, place)?;
    let port = server.port()?;
    let seen = format!("/proc/{}/root{hosts}", server.pid());
    greet(place, port)?;
    agent.probes(Path::new(&seen), 1)?;
    twenty(place, port)?;
    agent.shows("tls_inside.py", &get(20, "curl"))
}

/// 100 streams at once on each connection, by C and by Go.
pub(super) fn a_hundred_streams_over_tls(place: &Place) -> Result<()> {
    command("h2load")?;
    let own = Certificate::new(place)?;
    let (port, other) = (free_port()?, free_port()?);
    let requests: u64 = if binary::is_guest() { 400 } else { 2000 };
    let root = place.open_to_all("www")?;
    fs::write(root.join("small"), b"small")?;
    let agent = watch(place, RING_BYTES)?;
    let mut nghttpd = Command::new(renamed("nghttpd", "nghttpd-tls", place)?);
    nghttpd.arg("-d").arg(&root).arg(port.to_string());
    nghttpd.args([&own.key, &own.certificate]);
    let mut nghttpd = Program::start(&mut nghttpd, place)?;
    nghttpd.ready(|| accepts(port))?;
    let mut caddy = caddy(place, "caddy-streams", &own, other, "respond /small small")?;
    caddy.ready(|| accepts(other))?;
    agent.probes(&place.path().join("caddy-streams"), 1)?;
    for port in [port, other] {
        let url = format!("https://127.0.0.1:{port}/small");
        let many = requests.to_string();
        let said = output("h2load", &["-n", &many, "-c", "2", "-m", "100", &url], place)?;
        ensure!(said.contains(&format!(" {requests} succeeded")), "{said}");
    }
    let expected = [row("GET", "/small", "2xx", requests, "h2load")];
    agent.shows("nghttpd-tls", &expected)?;
    agent.expect("caddy-streams", &expected)
}

/// A table of the kernel programs that the agent holds: it may have closed the table's own descriptor.
pub(super) fn table(agent: &Agent<'_>, name: &str) -> Result<Map> {
    let programs = programs_of(agent.pid())?;
    let mut ids = BTreeSet::new();
    for program in loaded_programs().filter_map(Result::ok) {
        if programs.contains(&program.id()) {
            ids.extend(
                program
                    .map_ids()?
                    .context("the kernel tells no tables of programs")?,
            );
        }
    }
    let is_it = |map: &MapInfo| ids.contains(&map.id()) && map.name_as_str() == Some(name);
    let Some(info) = loaded_maps().filter_map(Result::ok).find(is_it) else {
        bail!("the agent's programs have no table {name}");
    };
    Ok(Map::LruHashMap(MapData::from_id(info.id())?))
}

/// Calls of TLS libraries that the agent's programs have noted.
fn calls(agent: &Agent<'_>) -> Result<usize> {
    let calls = aya::maps::HashMap::<_, [u8; 16], [u8; 48]>::try_from(table(agent, "TLS_CALLS")?)?;
    Ok(calls.keys().count())
}

/// Connections that come and go by the thousand, ten thousand outside of guests: each is bound to its own session, and nothing
/// is left of them.
pub(super) fn thousands_of_handshakes(place: &Place) -> Result<()> {
    let each: u64 = if binary::is_guest() { 500 } else { 5000 };
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = watch(place, RING_BYTES)?;
    let _server = nginx_tls(place, "nginx-churn", &own, port)?;
    let before = calls(&agent)?;
    // Two at once, whose answers differ: plaintext at the wrong socket would show.
    let start = |path: &str| {
        let mut ab = command("ab")?;
        ab.args(["-q", "-c", "8", "-n", &each.to_string()]);
        ab.arg(format!("https://127.0.0.1:{port}{path}"));
        Program::start(&mut ab, place)
    };
    let running = [start("/users/1/orders/7")?, start("/locks/9")?];
    for ab in running {
        let said = ab.end(PATIENCE)?.success()?;
        ensure!(
            said.contains(&format!("Complete requests:      {each}\n")),
            "{said}"
        );
    }
    let expected = sorted(vec![
        row("GET", "/users/{userId}/orders/{orderId}", "2xx", each, "ab"),
        row("GET", "/locks/{lockId}", "4xx", each, "ab"),
    ]);
    agent.shows("nginx-churn", &expected)?;
    until(PATIENCE, || {
        let after = calls(&agent)?;
        ensure!(
            after <= before + 8,
            "{after} calls are noted, {before} were before"
        );
        Ok(())
    })?;
    let status = agent.status()?;
    let open = |name: &str| status.counters.get(name).copied().unwrap_or_default();
    // On an emulated processor programs last long enough to be preempted four times over; none of that cost an exchange.
    let left_out = match binary::is_guest() {
        true => status.lost.get("left_out_operations").copied().unwrap_or(0),
        false => 0,
    };
    let lost: u64 = status.lost.values().sum();
    ensure!(lost == left_out, "lost: {:?}", status.lost);
    note(&format!(
        "{} handshakes: {} TLS connections read, {} opened, {} closed, {left_out} operations left out",
        2 * each,
        open("tls_read_connections"),
        open("connections_opened"),
        open("connections_closed")
    ));
    agent.expect("nginx-churn", &expected)
}

/// Waits until so many further exchanges of a workload are known.
pub(super) fn reads(agent: &Agent<'_>, workload: &str, count: u64) -> Result<()> {
    let hits = || -> Result<u64> {
        let rows = agent.endpoints()?;
        let of_workload = rows.iter().filter(|row| row.workload == workload);
        Ok(of_workload.map(|row| row.hits).sum())
    };
    let before = hits()?;
    until(PATIENCE, || {
        let now = hits()?;
        ensure!(
            now >= before + count,
            "{now} exchanges of {workload} are known, {before} were before: {:?}",
            agent.status()?.counters
        );
        Ok(())
    })
}

/// Connections over TLS that are older than the agent and busy while it starts: before the library's functions are probed, nothing
/// tells that they are TLS but their records.
pub(super) fn older_connections_are_read(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let _server = nginx_tls(place, "nginx-older", &own, port)?;
    let mut load = command("h2load")?;
    // More than there is time for.
    load.args(["--h1", "-t1", "-c4", "-n100000000", "--rps=20"]);
    load.arg(format!("https://127.0.0.1:{port}/users/1/orders/7"));
    let load = Program::start(&mut load, place)?;
    twenty(place, port)?;
    let agent = watch(place, RING_BYTES)?;
    reads(&agent, "nginx-older", 100)?;
    load.signal(Signal::TERM)?;
    load.end(PATIENCE)?;
    agent.stop(Signal::TERM).map(drop)
}

/// However the agent ends, those it watches go on: twenty times, at any point of its life.
pub(super) fn an_agent_killed_harms_nobody(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let mut nginx = nginx_tls(place, "nginx-calm", &own, port)?;
    let mut wrk = command("wrk")?;
    // Longer than it takes.
    wrk.args(["-t1", "-c4", "-d3600s"]);
    wrk.arg(format!("https://127.0.0.1:{port}/users/1/orders/7"));
    let load = Program::start(&mut wrk, place)?;
    let binary = binary::apiarist()?;
    let kills = if std::env::var_os("APIARIST_LONG_TESTS").is_some() {
        200
    } else {
        20
    };
    let mut seed = 1_u64;
    for number in 0..kills {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_millis((seed >> 33) % 2000);
        let mut agent = bare(&binary);
        agent.args(["run", "--store", &place.file(&format!("store-{number}"))]);
        agent.args(["--socket", &place.file("agent.sock")]);
        let agent = Program::start(&mut agent, place)?;
        // Until its time has come.
        until(delay, || -> Result<()> { bail!("waiting") }).unwrap_or(());
        agent.signal(Signal::KILL)?;
        agent.end(PATIENCE)?;
        // A server that stalls does not answer.
        twenty(place, port)?;
    }
    nginx.ready(|| accepts(port))?;
    load.signal(Signal::INT)?;
    let said = load.end(PATIENCE)?.success()?;
    let troubles = ["Socket errors", "Non-2xx"];
    ensure!(
        said.contains("requests in") && !troubles.iter().any(|trouble| said.contains(trouble)),
        "{said}"
    );
    let requests = said
        .lines()
        .find(|line| line.contains("requests in"))
        .unwrap_or_default();
    note(&format!("{kills} agents were killed during {}", requests.trim()));
    Ok(())
}

pub(super) fn coverage(
    agent: &Agent<'_>,
    workload: &str,
    right: impl Fn(&Coverage) -> bool,
) -> Result<Coverage> {
    until(PATIENCE, || {
        let rows = agent.status()?.coverage;
        let found = rows.iter().find(|row| row.workload == workload && right(row));
        found.cloned().with_context(|| {
            format!(
                "no such row of {workload}: {:?}",
                rows.iter().find(|row| row.workload == workload)
            )
        })
    })
}

/// NSS, by a client; Go's and OpenSSL's clients are read by the other tests' servers, too.
pub(super) fn clients_of_nss_and_go_are_read(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = watch(place, RING_BYTES)?;
    let _server = nginx_tls(place, "nginx-far", &own, port)?;
    output("python3", &[&fixture("tls_nss.py"), &port.to_string()], place)?;
    let row = coverage(&agent, "tls_nss.py", |row| row.tls_library.is_some())?;
    ensure!(
        row.tls_library.as_deref() == Some("nss") && row.read_pct == 100.0,
        "{row:?}"
    );
    agent.expect("nginx-far", &get(20, "tls_nss.py"))
}

/// Who is excluded is let alone although it uses the library that others are read at.
pub(super) fn the_excluded_are_let_alone(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let [by_comm, by_path, watched] = [free_port()?, free_port()?, free_port()?];
    let agent = watch(
        place,
        &format!(
            "[capture.tls]\nexclude_comms = [\"nginx-comm\"]\nexclude_paths = [\"{}\"]\n",
            place.file("nginx-path")
        ),
    )?;
    let (comm, path) = (
        nginx_tls(place, "nginx-comm", &own, by_comm)?,
        nginx_tls(place, "nginx-path", &own, by_path)?,
    );
    let _seen = nginx_tls(place, "nginx-seen", &own, watched)?;
    agent.has_excluded(comm.pid())?;
    agent.has_excluded(path.pid())?;
    for port in [by_comm, by_path, watched] {
        twenty(place, port)?;
    }
    agent.shows("nginx-seen", &get(20, "curl"))?;
    for name in ["nginx-comm", "nginx-path"] {
        let row = coverage(&agent, name, |row| row.bytes > 0)?;
        ensure!(row.read_pct == 0.0, "{row:?}");
        agent.shows(name, &[])?;
    }
    what_stays_open_is_told(place, &agent, by_comm)?;
    agent.stop(Signal::TERM)?;
    Ok(())
}

/// The bytes of a connection that is not read are known before it is closed.
fn what_stays_open_is_told(place: &Place, agent: &Agent<'_>, port: u16) -> Result<()> {
    let before = coverage(agent, "nginx-comm", |_| true)?.bytes;
    let mut load = command("h2load")?;
    // More than there is time for.
    load.args(["--h1", "-t1", "-c1", "-n100000000", "--rps=50"]);
    load.arg(format!("https://127.0.0.1:{port}/users/1/orders/7"));
    let load = Program::start(&mut load, place)?;
    let row = coverage(agent, "nginx-comm", |row| row.bytes > before + 65_536)?;
    ensure!(row.read_pct == 0.0, "{row:?}");
    load.signal(Signal::TERM)?;
    load.end(PATIENCE)?;
    Ok(())
}
