//! An agent that costs more than it may copies less, and says so.

use std::{fs, time::Duration};

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE},
    note,
    place::{Place, fixture},
    program::{Program, command},
    servers,
    wait::until,
};

/// As little as can be asked for: any load is more.
const CONFIG: &str = "[capture]\nmax_cpu_percent = 1\n";

/// Longest wait for the first step: the agent bears with a few bad seconds.
const STEP: Duration = Duration::from_secs(60);

/// More than the time allows.
const REQUESTS: u64 = 1_000_000_000;

/// Longer than the least that is copied of a message, shorter than what is copied of it at first.
const BODY_BYTES: usize = 3_000;

/// Bodies are cut shorter, which `status` shows; every exchange is still there, and nothing counts as lost.
pub(super) fn copies_less_when_it_costs_too_much(place: &Place) -> Result<()> {
    let port = servers::free_port()?;
    let servers = format!(
        "server {{
           listen 127.0.0.1:{port};
           keepalive_requests 1000000;
           location / {{ return 200 '{}'; }}
         }}",
        "x".repeat(BODY_BYTES)
    );
    let mut wrk = command("wrk")?;
    fs::create_dir(place.path().join("temp"))?;
    let config = place.write("config.toml", CONFIG)?;
    let agent = Agent::of(place, &["--config", &config])?;
    let before = agent.status()?.counters;
    let _server = servers::nginx(place, "nginx-governed", port, &servers)?;
    wrk.args(["-t1", "-c2", "-d300s", "-s", &fixture("count.lua")]);
    wrk.arg(format!("http://127.0.0.1:{port}/users/42"));
    wrk.args(["--", &REQUESTS.to_string()]);
    let wrk = Program::start(&mut wrk, place)?;
    let after = until(STEP, || {
        let counters = agent.status()?.counters;
        ensure!(
            counters.get("governor_step") > Some(&1),
            "the governor has not stepped down twice: {counters:?}"
        );
        Ok(counters)
    })?;
    wrk.signal(Signal::INT)?;
    wrk.end(PATIENCE)?;
    let [before, now] = [&before, &after].map(|counters| counters.get("governor_budget_bytes"));
    note(&format!("budget before: {before:?}, under the limit: {now:?}"));
    ensure!(now < before, "the budget is {now:?}, it was {before:?}");
    let endpoints = agent.endpoints()?;
    let rows: Vec<_> = endpoints
        .iter()
        .filter(|row| row.workload == "nginx-governed")
        .collect();
    let [row] = rows.as_slice() else {
        bail!("{} endpoints", rows.len());
    };
    ensure!(row.hits > 0, "nothing was seen");
    let lost = agent.lost_events()?;
    ensure!(
        row.completeness.lost <= lost,
        "{lost} events were lost, but {:?}",
        row.completeness
    );
    agent.stop(Signal::TERM)?;
    Ok(())
}
