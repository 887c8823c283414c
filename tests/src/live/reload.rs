//! A configuration that changes while the agent runs.

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::{Agent, PATIENCE},
    place::Place,
    wait::until,
};

/// A changed file counts after SIGHUP, and is told; one that is wrong changes nothing.
pub(super) fn configuration_is_read_again(place: &Place) -> Result<()> {
    let config = place.write("config.toml", "")?;
    let agent = Agent::of(place, &["--config", &config])?;
    let budget = |agent: &Agent<'_>| -> Result<u64> {
        let counters = agent.status()?.counters;
        counters
            .get("governor_budget_bytes")
            .copied()
            .context("no budget is told")
    };
    ensure!(budget(&agent)? == 8192, "the budget is not the default");

    // What is told goes to those who were told until then.
    let told = place.file("told.jsonl");
    let sink = format!("[alerts]\nsinks = [\"file://{told}?events=anomaly\"]\n");
    place.write(
        "config.toml",
        format!("[capture]\nbudget_bytes = 4096\nring_bytes = 65536\n{sink}"),
    )?;
    agent.signal(Signal::HUP)?;
    until(PATIENCE, || {
        ensure!(budget(&agent)? == 4096, "the budget has not changed");
        Ok(())
    })?;

    place.write("config.toml", "[capture]\nbudget_bytes = 1\n")?;
    agent.signal(Signal::HUP)?;
    // Signals of one kind may become one: the next goes when this one was seen.
    until(PATIENCE, || agent.has_said("the configuration stays as it was"))?;
    place.write("config.toml", format!("[capture]\nbudget_bytes = 2048\n{sink}"))?;
    agent.signal(Signal::HUP)?;
    until(PATIENCE, || {
        ensure!(budget(&agent)? == 2048, "the budget has not changed again");
        Ok(())
    })?;
    agent.has_said("capture.ring_bytes; restart the agent")?;

    let anomalies: Vec<Value> = agent.ask("anomalies")?;
    ensure!(
        anomalies
            .iter()
            .any(|anomaly| anomaly["class"] == "configuration_changed"),
        "the change is not told: {anomalies:?}"
    );
    until(PATIENCE, || {
        let told = std::fs::read_to_string(&told)?;
        ensure!(
            told.contains("configuration_changed") && told.contains("capture.budget_bytes"),
            "the sink was not told: {told}"
        );
        Ok(())
    })?;
    agent.stop(Signal::TERM).map(drop)
}
