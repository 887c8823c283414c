//! Tables of the kernel that are full: more sessions and calls of TLS at once than it remembers, and more processes whose
//! TLS is let alone.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::counter;
use crate::live::{
    agent::{Agent, PATIENCE},
    certificate::Certificate,
    note,
    place::{Place, fixture},
    program::{Program, command},
    servers::{accepts, free_port},
    tls_life::{RING_BYTES, coverage, table, twenty, watch},
    tls_servers::{caddy, nginx_tls, python},
    wait::until,
};

/// The least the configuration takes.
const SESSIONS: u64 = 64;

/// Connections at once, each a session at both ends, and requests on each.
const CONNECTIONS: u64 = 300;
const ROUNDS: u64 = 4;

/// Processes that are let alone: twice as many as there is room for.
const LET_ALONE: u32 = 8 * 1024;

/// Exchanges of the resource that the clients ask for.
fn hits(agent: &Agent<'_>) -> Result<u64> {
    let rows = agent.endpoints()?;
    let rows = rows.iter().filter(|row| row.template.starts_with("/seats/"));
    Ok(rows.map(|row| row.hits).sum())
}

/// So many requests on each of so many connections, round after round; gives how many were served.
fn ask(place: &Place, port: &str, connections: u64, rounds: u64) -> Result<u64> {
    let mut client = command("python3")?;
    client.args([
        &fixture("tls_many.py"),
        port,
        &connections.to_string(),
        &rounds.to_string(),
    ]);
    let told = Program::run(&mut client, place, Duration::from_secs(90))?.success()?;
    told.trim().parse().context("the number of requests")
}

/// A loss that the agent has counted.
fn loss(agent: &Agent<'_>, name: &str) -> Result<u64> {
    Ok(agent.status()?.lost.get(name).copied().unwrap_or(0))
}

/// Nine times as many sessions as there is room for: all are served, those that are forgotten are counted, and what comes
/// once there is room again is seen in full.
pub(crate) fn more_tls_sessions_than_are_remembered(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let config = place.write("config.toml", format!("[capture.tls]\nsessions = {SESSIONS}\n"))?;
    let agent = Agent::of(place, &["--config", &config])?;
    let mut server = python(place, "tls_server.py", "asyncio", &own)?;
    let port = server.port()?.to_string();
    let many = |connections: u64, rounds: u64| ask(place, &port, connections, rounds);
    // The library is found by those who use it first.
    until(Duration::from_secs(60), || {
        many(1, 1)?;
        ensure!(hits(&agent)? > 0, "nothing is read yet");
        Ok(())
    })?;
    let before = hits(&agent)?;
    let served = many(CONNECTIONS, ROUNDS)?;
    ensure!(served == CONNECTIONS * ROUNDS, "{served} requests were served");
    let (forgotten, unbound, seen) = until(PATIENCE, || {
        let forgotten = counter(&agent, "tls_forgotten")?;
        let unbound = loss(&agent, "tls_unbound_operations")?;
        ensure!(
            forgotten + unbound > 0,
            "nothing tells that sessions were forgotten"
        );
        let seen = hits(&agent)? - before;
        ensure!(seen <= served, "{seen} exchanges were seen of {served}");
        ensure!(
            served - seen <= forgotten + unbound,
            "of {served} exchanges {seen} were seen; {forgotten} sessions came back, {unbound} operations have no socket"
        );
        Ok((forgotten, unbound, seen))
    })?;
    let known = hits(&agent)?;
    let few = many(SESSIONS / 8, 25)?;
    let again = until(PATIENCE, || {
        let again = hits(&agent)? - known;
        ensure!(
            again >= few,
            "with room again {again} of {few} exchanges are seen"
        );
        Ok(again)
    })?;
    note(&format!(
        "{} sessions where {SESSIONS} are remembered: {served} of {served} requests served, {seen} seen, {forgotten} sessions \
         came back, {unbound} operations without a socket; with room again {again} of {few} seen",
        2 * CONNECTIONS
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// A server in Go waits in a call of the library on each idle connection, on five times as many as there is room for: all
/// requests are served, what a forgotten call has read is counted, and what comes once there is room again is seen in full.
pub(crate) fn more_tls_calls_than_are_remembered(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let configuration =
        format!("{RING_BYTES}[capture.tls]\nsessions = {SESSIONS}\nexclude_comms = [\"python3\"]\n");
    let agent = watch(place, &configuration)?;
    let port = free_port()?;
    let mut caddy = caddy(place, "caddy-calls", &own, port, "respond /seats/* taken")?;
    caddy.ready(|| accepts(port))?;
    agent.probes(&place.path().join("caddy-calls"), 1)?;
    let many = |connections, rounds| ask(place, &port.to_string(), connections, rounds);
    let served = many(CONNECTIONS, ROUNDS)?;
    ensure!(served == CONNECTIONS * ROUNDS, "{served} requests were served");
    let (calls, others, seen) = until(PATIENCE, || {
        let calls = loss(&agent, "tls_forgotten_calls")?;
        let unbound = loss(&agent, "tls_unbound_operations")?;
        let others = unbound + counter(&agent, "tls_forgotten")?;
        let seen = hits(&agent)?;
        ensure!(calls > 0, "nothing tells that calls were forgotten");
        ensure!(
            seen <= served && served - seen <= calls + others,
            "of {served} exchanges {seen} were seen; {calls} calls were forgotten, {others} sessions"
        );
        Ok((calls, others, seen))
    })?;
    let known = hits(&agent)?;
    let few = many(SESSIONS / 8, 25)?;
    let again = until(PATIENCE, || {
        let again = hits(&agent)? - known;
        ensure!(
            again >= few,
            "with room again {again} of {few} exchanges are seen"
        );
        Ok(again)
    })?;
    note(&format!(
        "{CONNECTIONS} calls at once where {SESSIONS} are remembered: {served} of {served} requests served, {seen} seen, \
         {calls} calls forgotten, {others} times a session; with room again {again} of {few} seen"
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// One process that is let alone has twice as many children as there is room for: those that have ended give way, a server that
/// is let alone, too, and idle meanwhile, is still not read. When it is forgotten after all, that is counted, and it is put back.
pub(crate) fn more_processes_than_are_let_alone(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(
        place,
        "[capture.tls]\nexclude_comms = [\"nginx-alone\", \"python3\"]\n",
    )?;
    let port = free_port()?;
    let alone = nginx_tls(place, "nginx-alone", &own, port)?;
    agent.has_excluded(alone.pid())?;
    let mut parent = command("python3")?;
    parent.args([&fixture("forks.py"), &LET_ALONE.to_string()]);
    let mut parent = Program::start(&mut parent, place)?;
    parent.first_line()?;
    agent.has_excluded(parent.pid())?;
    parent.signal(Signal::USR1)?;
    parent.end(Duration::from_secs(120))?.success()?;
    let table = table(&agent, "TLS_EXCLUDED")?;
    let mut table = aya::maps::HashMap::<_, u32, u8>::try_from(table)?;
    let room = table.keys().count();
    twenty(place, port)?;
    let unread = |requests: u64| {
        let row = coverage(&agent, "nginx-alone", |row| row.bytes > requests * 100)?;
        ensure!(row.read_pct == 0.0, "{row:?}");
        agent.shows("nginx-alone", &[])
    };
    unread(20)?;
    table.remove(&alone.pid())?;
    let forgotten = until(PATIENCE, || {
        let forgotten = counter(&agent, "tls_exclusions_forgotten")?;
        ensure!(forgotten > 0, "nothing tells that it was forgotten");
        Ok(forgotten)
    })?;
    table.get(&alone.pid(), 0).context("it was not put back")?;
    twenty(place, port)?;
    unread(40)?;
    note(&format!(
        "{LET_ALONE} processes let alone, {room} of them known at the end: a server from before is not read; \
         {forgotten} forgotten and put back"
    ));
    agent.stop(Signal::TERM).map(drop)
}
