//! The agent is stopped for a while, replaced, or its ring is too small.

use std::time::Duration;

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{Server, accounted, counter, neighbours::rest};
use crate::live::{agent::Agent, note, place::Place};

/// How long it is stopped where there is time for it, besides the requests.
const MINUTE: Duration = Duration::from_secs(60);

/// While the agent does not run, its ring fills: what does not fit is counted, to the last exchange.
pub(crate) fn stopped_it_counts_what_it_missed(place: &Place) -> Result<()> {
    let config = place.write("config.toml", "[capture]\nring_bytes = 65536\n")?;
    let agent = Agent::of(place, &["--config", &config])?;
    let server = Server::start(place)?;
    agent.signal(Signal::STOP)?;
    server.ask(place, 5000)?;
    if std::env::var_os("APIARIST_LONG_TESTS").is_some() {
        rest(MINUTE)?;
    }
    agent.signal(Signal::CONT)?;
    let served = server.served()?;
    let (hits, lost) = accounted(&agent, served)?;
    ensure!(lost > 0, "a ring of 64 KiB held 5,000 exchanges");
    server.ask(place, 200)?;
    let after = server.served()?;
    let (hits_after, lost_after) = accounted(&agent, after)?;
    ensure!(
        hits_after >= hits + (after - served).saturating_sub(lost_after - lost),
        "it does not see what comes after"
    );
    note(&format!(
        "{served} exchanges while stopped: {hits} seen, {lost} events lost and counted"
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// Another binary takes over the store: nothing of it is lost, and only what passed in between was not seen.
pub(crate) fn upgrade_keeps_the_store(place: &Place) -> Result<()> {
    let server = Server::start(place)?;
    let agent = Agent::start(place)?;
    server.ask(place, 300)?;
    let before = server.served()?;
    let (hits, _) = accounted(&agent, before)?;
    agent.stop(Signal::TERM)?;
    server.ask(place, 50)?;
    let missed = server.served()? - before;

    let agent = Agent::start(place)?;
    let gap_ms = counter(&agent, "restart_gap_ms")?;
    ensure!(gap_ms < 60_000, "the gap is told as {gap_ms} ms");
    server.ask(place, 300)?;
    let served = server.served()? - missed;
    let (hits_after, _) = accounted(&agent, served)?;
    ensure!(
        hits_after > hits,
        "nothing was added to the {hits} exchanges of before"
    );
    note(&format!(
        "{missed} requests passed in a gap told as {gap_ms} ms; {hits_after} of {served} others are there"
    ));
    agent.stop(Signal::TERM).map(drop)
}
