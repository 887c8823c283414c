//! Processes that want to harm whoever watches them: what stops each is counted, and the agent goes on.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE},
    note,
    place::{Place, fixture},
    program::{Program, command, output},
    wait::until,
};

/// What the workload is called.
const HOSTILE: &str = "hostile.py";

/// What memory may grow by under attack.
const MOST_GROWTH_BYTES: u64 = 24 << 20;

/// Alerts of one rule that are sent in an hour, and those that become due while it passes.
const MOST_OF_ONE_RULE: usize = 32;

/// Path templates of one workload.
const MOST_TEMPLATES: usize = 2000;

/// Thousands of names at one position of a path do not become as many endpoints.
pub(super) fn paths_do_not_explode(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(
        &agent,
        place,
        "paths",
        &["inventory_path_explosion", "inventory_template_overflow"],
    )?;
    let endpoints = endpoints(&agent)?;
    ensure!(endpoints <= MOST_TEMPLATES + 1, "{endpoints} endpoints");
    note(&format!("4,000 names: {endpoints} endpoints"));
    agent.stop(Signal::TERM).map(drop)
}

/// Made-up hosts, methods and paths that do not exist fill no table.
pub(super) fn the_inventory_is_not_poisoned(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(&agent, place, "poison", &["inventory_host_overflow"])?;
    attack(
        &agent,
        place,
        "poison",
        &["inventory_candidates_forgotten", "inventory_unrouted"],
    )?;
    let endpoints = endpoints(&agent)?;
    ensure!(endpoints < 100, "{endpoints} endpoints were made up");
    note(&format!(
        "3,000 paths that do not exist, 500 hosts: {endpoints} endpoints"
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// Answers that nobody asked for make no exchange.
pub(super) fn roles_are_not_forged(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(&agent, place, "roles", &["orphan_responses"])?;
    let rows = agent.endpoints()?;
    let hits: u64 = rows
        .iter()
        .filter(|row| row.workload == HOSTILE)
        .map(|row| row.hits)
        .sum();
    ensure!(hits <= 50, "{hits} exchanges of 50 requests");
    agent.stop(Signal::TERM).map(drop)
}

/// What unpacks to a thousand times its size is unpacked up to the size of a sample.
pub(super) fn bombs_are_cut(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(&agent, place, "bomb", &["coding_cut"])?;
    agent.stop(Signal::TERM).map(drop)
}

/// What is nested deeper than anybody writes is passed over.
pub(super) fn nesting_is_passed_over(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(&agent, place, "nest", &["inventory_json_cut"])?;
    agent.stop(Signal::TERM).map(drop)
}

/// Hundreds of attacks, each under another name, are a few alerts; what was held back is counted. Attacks on paths that nobody
/// uses make no endpoint to tell about.
pub(super) fn alerts_do_not_flood(place: &Place) -> Result<()> {
    let told = place.file("alerts.jsonl");
    let agent = Agent::of(place, &["--alerts", &told])?;
    attack(&agent, place, "alerts", &["alerts_held_back"])?;
    let held = until(PATIENCE, || {
        let held = counter(&agent, "alerts_held_back")?;
        // Some exchanges may be lost where the machine is busy, and some alerts may be sent.
        ensure!(held >= 500, "{held} of 600 alerts were held back");
        Ok(held)
    })?;
    let text = fs::read_to_string(&told)?;
    let lines = text.lines().count();
    let of_rule = text.lines().filter(|line| line.contains("\"sqli\"")).count();
    ensure!(
        (1..=MOST_OF_ONE_RULE).contains(&of_rule),
        "{of_rule} alerts of one rule were sent"
    );
    ensure!(lines <= 120, "{lines} alerts were sent");
    let before = endpoints(&agent)?;
    ensure!(before == 7, "{before} endpoints are used");
    attack(&agent, place, "strangers", &["inventory_suspects"])?;
    let after = endpoints(&agent)?;
    ensure!(after == before, "attacks made {} endpoints", after - before);
    note(&format!(
        "600 attacks under as many names: {lines} alerts were sent, {held} held back"
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// Tables and blocks of field compression that ask for everything get what is their share.
pub(super) fn field_compression_is_bounded(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    attack(&agent, place, "hpack", &["buffer_full", "malformed"])?;
    agent.stop(Signal::TERM).map(drop)
}

/// A buffer that changes while it is sent may be seen in either state, or neither: nothing else comes of it.
pub(super) fn racing_buffers_are_survived(place: &Place) -> Result<()> {
    let program = place.file("race");
    output(
        "cc",
        &["-O1", "-pthread", "-o", &program, &fixture("race.c")],
        place,
    )?;
    let agent = Agent::start(place)?;
    let before = counters(&agent)?;
    let said = Program::run(
        &mut std::process::Command::new(&program),
        place,
        Duration::from_secs(60),
    )?
    .success()?;
    let sent: u64 = said.trim().parse().context("it tells no number")?;
    let rows = agent.endpoints()?;
    let hits: u64 = rows
        .iter()
        .filter(|row| row.workload == "race")
        .map(|row| row.hits)
        .sum();
    ensure!(hits <= sent, "{hits} exchanges of {sent} requests");
    let odd = [
        "malformed",
        "orphan_responses",
        "other_connections",
        "undecided_connections",
        "tls_connections",
    ];
    let counted = until(PATIENCE, || {
        let counted = grown(&before, &counters(&agent)?, &odd);
        ensure!(counted > 0, "no request was torn, or it was not counted");
        Ok(counted)
    })?;
    note(&format!(
        "{sent} requests in racing buffers: {hits} exchanges, {counted} oddities counted"
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// Runs one attack: one of these counters must grow, memory must not, and a neighbour must still be seen.
fn attack(agent: &Agent<'_>, place: &Place, name: &str, counters_of: &[&str]) -> Result<()> {
    let (before, memory) = (counters(agent)?, own_bytes(agent.pid())?);
    let mut hostile = command("python3")?;
    hostile.args([&fixture(HOSTILE), name]);
    Program::run(&mut hostile, place, Duration::from_secs(90))?.success()?;
    let counted = until(PATIENCE, || {
        let counted = grown(&before, &counters(agent)?, counters_of);
        ensure!(counted > 0, "none of {counters_of:?} has grown");
        Ok(counted)
    })?;
    let growth = own_bytes(agent.pid())?.saturating_sub(memory);
    note(&format!(
        "{name}: {} {counted}, memory grew by {} KiB",
        counters_of.join(" + "),
        growth >> 10
    ));
    ensure!(growth <= MOST_GROWTH_BYTES, "memory grew by {growth} bytes");
    Ok(())
}

fn endpoints(agent: &Agent<'_>) -> Result<usize> {
    let rows = agent.endpoints()?;
    Ok(rows.iter().filter(|row| row.workload == HOSTILE).count())
}

fn counters(agent: &Agent<'_>) -> Result<BTreeMap<String, u64>> {
    Ok(agent.status()?.counters)
}

fn counter(agent: &Agent<'_>, name: &str) -> Result<u64> {
    Ok(counters(agent)?.get(name).copied().unwrap_or(0))
}

fn grown(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, names: &[&str]) -> u64 {
    let of = |counters: &BTreeMap<String, u64>, name: &str| counters.get(name).copied().unwrap_or(0);
    names
        .iter()
        .map(|name| of(after, name).saturating_sub(of(before, name)))
        .sum()
}

/// Memory that is not mapped from files.
fn own_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    Ok(kib.context("no RssAnon")? << 10)
}
