//! As many requests as two cores can serve: nothing is lost, or what is lost is counted.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use apiarist::inventory::EndpointView;
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE},
    note,
    place::{Place, fixture},
    program::{Program, command},
    servers,
    wait::until,
};

const REQUESTS: u64 = 100_000;

/// Threads of wrk, over which the requests are spread.
const THREADS: u64 = 2;

/// What the agent may take, with what is mapped from files.
const MOST_RESIDENT_BYTES: u64 = 60 << 20;

/// The most memory of its own that the agent may have when it comes to rest. What is mapped from files is left out: the
/// executable of an unoptimised build has twice the size.
const MOST_OWN_BYTES: u64 = 48 << 20;

/// One line of the access log: a status and its end.
const LINE_BYTES: u64 = 4;

pub(super) fn wrk_against_nginx(place: &Place) -> Result<()> {
    let port = servers::free_port()?;
    let log = place.file("access");
    let servers = format!(
        "log_format status '$status';
         server {{
           listen 127.0.0.1:{port};
           keepalive_requests 1000000;
           access_log {log} status;
           location / {{ return 200 '{{\"total\": 12.5}}'; }}
         }}"
    );
    let mut wrk = command("wrk")?;
    fs::create_dir(place.path().join("temp"))?;
    let agent = Agent::start(place)?;
    let _server = servers::nginx(place, "nginx-load", port, &servers)?;
    wrk.args(["-t2", "-c32", "-d300s", "-s", &fixture("count.lua")]);
    wrk.arg(format!("http://127.0.0.1:{port}/users/42/orders/7"));
    wrk.args(["--", &(REQUESTS / THREADS).to_string()]);
    let wrk = Program::start(&mut wrk, place)?;
    until(Duration::from_secs(120), || {
        let served = served(&log)?;
        ensure!(served >= REQUESTS, "nginx has served {served} requests");
        Ok(())
    })?;
    wrk.signal(Signal::INT)?;
    wrk.end(PATIENCE)?;

    let served = served(&log)?;
    let (hits, lost) = until(PATIENCE, || {
        let seen = seen(&agent)?;
        ensure!(
            accounted(served, seen),
            "nginx served {served} requests; of them were seen, and messages lost: {seen:?}"
        );
        Ok(seen)
    })?;
    let resident = agent.status()?.memory_bytes;
    let peak = memory(agent.pid(), "VmHWM:")?;
    note(&format!(
        "{served} requests: {hits} exchanges, {lost} events lost, {} MiB resident, {} at most",
        resident >> 20,
        peak >> 20
    ));
    // The bound for what is shipped: an unoptimised executable alone takes the difference.
    ensure!(
        cfg!(debug_assertions) || resident <= MOST_RESIDENT_BYTES,
        "{resident} bytes are resident, {peak} at most"
    );
    let own = memory(agent.pid(), "RssAnon:")?;
    ensure!(
        own <= MOST_OWN_BYTES,
        "{own} bytes of its own are resident, {resident} with what is mapped, {peak} at most"
    );
    agent.stop(Signal::TERM)?;
    Ok(())
}

/// Connections that are busy when the agent starts, and never pause.
pub(super) fn busy_connections_are_joined(place: &Place) -> Result<()> {
    let port = servers::free_port()?;
    let servers = format!(
        "server {{
           listen 127.0.0.1:{port};
           keepalive_requests 100000000;
           location / {{ return 200 '{{\"total\": 12.5}}'; }}
         }}"
    );
    fs::create_dir(place.path().join("temp"))?;
    let _server = servers::nginx(place, "nginx-busy", port, &servers)?;
    let mut wrk = command("wrk")?;
    wrk.args(["-t1", "-c4", "-d300s"]);
    wrk.arg(format!("http://127.0.0.1:{port}/users/42"));
    let wrk = Program::start(&mut wrk, place)?;
    let agent = Agent::start(place)?;
    until(PATIENCE, || {
        let rows = agent.endpoints()?;
        let row = rows.iter().find(|row| row.workload == "nginx-busy");
        let complete = row.map_or(0, |row| row.completeness.complete);
        ensure!(complete >= 1_000, "{complete} exchanges are complete");
        Ok(())
    })?;
    wrk.signal(Signal::INT)?;
    wrk.end(PATIENCE)?;
    agent.stop(Signal::TERM)?;
    Ok(())
}

/// Once the server's end tells all, the client's end is left alone, unless both are wanted. Either way every exchange is
/// there, with its caller, and nothing counts as lost.
pub(super) fn clients_ends_are_left_alone(place: &Place) -> Result<()> {
    const CONNECTIONS: u64 = 2;
    const REQUESTS: u64 = 2_000;
    let port = servers::free_port()?;
    let servers = format!(
        "server {{ listen 127.0.0.1:{port}; keepalive_requests 100000; location / {{ return 200 'ok'; }} }}"
    );
    fs::create_dir(place.path().join("temp"))?;
    let _server = servers::nginx(place, "nginx-told", port, &servers)?;
    let both = place.write("both.toml", "[capture]\nboth_ends = true\n")?;
    let alone = ["--comm", "nginx-told,curl", "--config", &both];
    for (both_ends, arguments) in [(false, &alone[..2]), (true, &alone[..])] {
        let agent = Agent::of(place, arguments)?;
        let hits = |rows: &[EndpointView]| -> u64 {
            let rows = rows.iter().filter(|row| row.workload == "nginx-told");
            rows.map(|row| row.hits).sum()
        };
        let before = hits(&agent.endpoints()?);
        let mut asked = Vec::new();
        for _ in 0..CONNECTIONS {
            let mut curl = command("curl")?;
            curl.args(["-sS", "-o", "/dev/null", "--max-time", "60"]);
            curl.arg(format!("http://127.0.0.1:{port}/users/[1-{REQUESTS}]"));
            asked.push(Program::start(&mut curl, place)?);
        }
        for curl in asked {
            curl.end(Duration::from_secs(60))?;
        }
        let (rows, status) = until(PATIENCE, || {
            let (rows, status) = (agent.endpoints()?, agent.status()?);
            let count = |name: &str| status.counters.get(name).copied().unwrap_or(0);
            let seen = hits(&rows) - before;
            ensure!(seen == CONNECTIONS * REQUESTS, "{seen} exchanges were seen");
            ensure!(
                count("reconciled_connections") >= CONNECTIONS,
                "{} connections are reconciled",
                count("reconciled_connections")
            );
            Ok((rows, status))
        })?;
        let count = |name: &str| status.counters.get(name).copied().unwrap_or(0);
        let left_alone = count("told_sockets");
        note(&format!(
            "{} operations, {} muted, {left_alone} sockets left alone",
            count("operations"),
            count("muted_operations")
        ));
        ensure!(
            (left_alone >= CONNECTIONS) != both_ends,
            "{left_alone} clients' ends were left alone"
        );
        ensure!(
            count("unreconciled_connections") == 0 && count("gap_bytes") == 0,
            "something counts as lost: {:?}",
            status.counters
        );
        for row in rows.iter().filter(|row| row.workload == "nginx-told") {
            ensure!(
                row.callers == ["curl"] && row.completeness.complete == row.hits,
                "not every exchange is whole, with its caller: {row:?}"
            );
        }
        agent.stop(Signal::TERM)?;
    }
    Ok(())
}

/// Requests that nginx has answered, by its own log.
fn served(log: &str) -> Result<u64> {
    Ok(fs::metadata(log)?.len() / LINE_BYTES)
}

/// Exchanges filed, and events that the kernel could not hand over.
fn seen(agent: &Agent<'_>) -> Result<(u64, u64)> {
    let endpoints = agent.endpoints()?;
    let rows = endpoints.iter().filter(|row| row.workload == "nginx-load");
    let hits = rows.map(|row| row.hits).sum();
    Ok((hits, agent.lost_events()?))
}

/// All was seen; or less, and at least as many events were lost as exchanges are missing.
fn accounted(served: u64, (hits, lost): (u64, u64)) -> bool {
    hits == served || (hits < served && served - hits <= lost)
}

/// A size in the status of a process, in bytes (proc_pid_status(5)).
pub(super) fn memory(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no {field}"))? << 10)
}
