//! The agent runs out of what the kernel gives it.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Signal;

use super::{Server, accounted};
use crate::live::{
    agent::Agent,
    place::Place,
    program::{Program, command},
    wait::until,
};

/// Without a descriptor to spare no question is answered, and everything is still seen; with room again it answers.
pub(crate) fn without_descriptors_it_still_sees(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    let server = Server::start(place)?;
    let pid = agent.pid();
    // Those it has stay; there is no number left for another.
    limit(pid, "3", place)?;
    server.ask(place, 500)?;
    limit(pid, "1024", place)?;
    until(Duration::from_secs(10), || agent.status())?;
    accounted(&agent, server.served()?)?;
    agent.stop(Signal::TERM).map(drop)
}

/// Sets how many descriptors a process may have, from outside.
fn limit(pid: u32, most: &str, place: &Place) -> Result<()> {
    let mut prlimit = command("prlimit")?;
    prlimit.args([&format!("--pid={pid}"), &format!("--nofile={most}:")]);
    Program::run(&mut prlimit, place, Duration::from_secs(10))?.success()?;
    Ok(())
}
