//! Tables of the kernel that are full: more sessions of TLS at once than it remembers.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::counter;
use crate::live::{
    agent::{Agent, PATIENCE},
    note,
    place::{Place, fixture},
    program::{Program, command},
    tls::Certificate,
    wait::until,
};

/// The least the configuration takes.
const SESSIONS: u64 = 64;

/// Connections at once, each a session at both ends, and requests on each.
const CONNECTIONS: u64 = 300;
const ROUNDS: u64 = 4;

/// Exchanges of the resource that the clients ask for.
fn hits(agent: &Agent<'_>) -> Result<u64> {
    let rows = agent.endpoints()?;
    let rows = rows.iter().filter(|row| row.template.starts_with("/seats/"));
    Ok(rows.map(|row| row.hits).sum())
}

/// Nine times as many sessions as there is room for: all are served, those that are forgotten are counted, and what comes
/// once there is room again is seen in full.
pub(crate) fn more_tls_sessions_than_are_remembered(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let config = place.write("config.toml", format!("[capture.tls]\nsessions = {SESSIONS}\n"))?;
    let agent = Agent::of(place, &["--config", &config])?;
    let mut server = command("python3")?;
    server.args([&fixture("tls_server.py"), "asyncio", &own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    let port = server.first_line()?;
    let many = |connections: u64, rounds: u64| -> Result<u64> {
        let mut client = command("python3")?;
        client.args([
            &fixture("tls_many.py"),
            port.trim(),
            &connections.to_string(),
            &rounds.to_string(),
        ]);
        let told = Program::run(&mut client, place, Duration::from_secs(90))?.success()?;
        told.trim().parse().context("the number of requests")
    };
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
        let lost = agent.status()?.lost;
        let unbound = lost.get("tls_unbound_operations").copied().unwrap_or(0);
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
