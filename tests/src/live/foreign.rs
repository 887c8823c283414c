//! Protocols that are not HTTP: nothing is listed, nothing is copied, the sockets are muted.
//!
//! The agent is told to watch the programs of the test alone, by task names of their own, so that whatever it tells of
//! is theirs.

use std::{fs, os::unix::fs::chown, path::PathBuf, process::Command, time::Duration};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{
    agent::Agent,
    lacks,
    place::{Place, fixture},
    program::{Program, command, output, renamed},
    refusals::{NOBODY, as_nobody},
    servers::free_port,
};

/// Longest wait for a load to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections of each load over each kind of socket, at least.
const CONNECTIONS: u64 = 8;

/// Bytes that are copied of a socket at the most before its protocol is known not to be watched.
const FIRST_BYTES: u64 = 16;

pub(super) fn redis_is_muted(place: &Place) -> Result<()> {
    let (port, socket) = (free_port()?.to_string(), place.file("redis.sock"));
    let server = renamed("redis-server", "foreign-redis", place)?;
    let client = renamed("redis-benchmark", "foreign-bench", place)?;
    let agent = Agent::of(place, &["--comm", "foreign-redis,foreign-bench"])?;
    let mut redis = Command::new(server);
    redis
        .args([
            "--port",
            &port,
            "--unixsocket",
            &socket,
            "--save",
            "",
            "--daemonize",
            "no",
        ])
        .args(["--dir", &place.file("")]);
    let mut redis = Program::start(&mut redis, place)?;
    redis.ready(|| output("redis-cli", &["-p", &port, "ping"], place))?;
    for at in [["-p", &port], ["-s", &socket]] {
        let mut load = Command::new(&client);
        load.args(at).args(["-q", "-n", "2000", "-c", "8", "-d", "1000"]);
        load.args(["-t", "ping,set,get,lpush,lrange_100"]);
        Program::run(&mut load, place, PATIENCE)?.success()?;
    }
    nothing_came(agent, 2 * 2 * CONNECTIONS, 0)
}

pub(super) fn postgresql_is_muted(place: &Place) -> Result<()> {
    let programs = postgresql()?;
    let data = place.open_to_all("data")?;
    chown(&data, Some(NOBODY), Some(NOBODY))?;
    let data = data.to_string_lossy().into_owned();
    let mut init = as_nobody(&programs.join("initdb"))?;
    init.args([
        "-D",
        &data,
        "-U",
        "bee",
        "--auth=trust",
        "--no-sync",
        "--no-instructions",
    ]);
    Program::run(&mut init, place, PATIENCE)?.success()?;
    let port = free_port()?.to_string();
    let agent = Agent::of(place, &["--comm", "postgres,pgbench"])?;
    let mut server = as_nobody(&programs.join("postgres"))?;
    server.args([
        "-D",
        &data,
        "-p",
        &port,
        "-k",
        &data,
        "-c",
        "listen_addresses=127.0.0.1",
    ]);
    let mut server = Program::start(server.args(["-c", "fsync=off"]), place)?;
    let bench = |host: &str, arguments: &[&str]| {
        let mut bench = command("pgbench")?;
        bench
            .args(["-h", host, "-p", &port, "-U", "bee"])
            .args(arguments)
            .arg("postgres");
        Program::run(&mut bench, place, PATIENCE)?.success()
    };
    server.ready(|| bench("127.0.0.1", &["-i", "-q"]))?;
    for host in ["127.0.0.1", &data] {
        bench(host, &["-n", "-c", "8", "-t", "50"])?;
        bench(host, &["-n", "-c", "8", "-t", "50", "-M", "prepared"])?;
    }
    // Over TCP a client asks for TLS first. The answer is one letter, `N`, as in `NOTIFY`. Loads and attempts to
    // connect are some forty sockets.
    nothing_came(agent, 2 * 2 * CONNECTIONS, 100)
}

pub(super) fn random_bytes_are_muted(place: &Place) -> Result<()> {
    let python = renamed("python3", "foreign-noise", place)?;
    let agent = Agent::of(place, &["--comm", "foreign-noise"])?;
    let mut noise = Command::new(python);
    noise.args([
        &fixture("noise.py"),
        &place.file("noise.sock"),
        &CONNECTIONS.to_string(),
    ]);
    Program::run(&mut noise, place, PATIENCE)?.success()?;
    nothing_came(agent, 3 * 2 * CONNECTIONS, 0)
}

/// The agent knows nothing of these programs but that at least so many of their sockets are to be let alone. At most
/// `undecided` of them were told of, with first bytes that could have been the start of a method.
fn nothing_came(agent: Agent<'_>, sockets: u64, undecided: u64) -> Result<()> {
    let status = agent.status()?;
    let count = |name: &str| status.counters.get(name).copied().unwrap_or(0);
    ensure!(
        count("muted_sockets") >= sockets,
        "{} of {sockets} sockets were muted",
        count("muted_sockets")
    );
    let told = count("connections_opened");
    ensure!(
        told <= undecided && status.bytes <= undecided * FIRST_BYTES,
        "{} bytes of {told} sockets were told of",
        status.bytes
    );
    let workloads = agent.workloads()?;
    ensure!(workloads.is_empty(), "workloads are listed: {workloads:?}");
    let said = agent.stop(Signal::TERM)?.out;
    let last = said.lines().last().unwrap_or_default();
    ensure!(
        last.starts_with("0 endpoints, 0 exchanges, "),
        "in the end: {last}"
    );
    Ok(())
}

/// Where the server's programs are: Debian keeps them off `PATH`, by version.
fn postgresql() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").map_err(|_| lacks("postgres"))?;
    let newest = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|path| path.join("initdb").is_file())
        .max();
    newest.ok_or_else(|| lacks("postgres"))
}
