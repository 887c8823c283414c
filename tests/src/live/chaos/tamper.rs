//! Somebody works against the agent: it is told in the alert stream.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{counter, tells};
use crate::live::{
    agent::Agent,
    place::Place,
    program::{Program, command},
};

/// Links of programs to sends, closed in the agent by a debugger: it notices that it sees its own messages no more.
pub(crate) fn detached_probes_are_told(place: &Place) -> Result<()> {
    let mut gdb = command("gdb")?;
    let agent = Agent::start(place)?;
    let pid = agent.pid();
    // Without what is known of its sources, where other functions are called like those of the C library.
    gdb.args(["-q", "-nx", "-batch", "-readnever", "-p", &pid.to_string()]);
    let links = links(pid)?;
    ensure!(!links.is_empty(), "the agent holds no links");
    for link in &links {
        gdb.arg("-ex").arg(format!("call (int)__close({link})"));
    }
    let ended = Program::run(&mut gdb, place, std::time::Duration::from_secs(60))?;
    let closed = ended.out.lines().filter(|line| line.ends_with(" = 0")).count();
    ensure!(
        closed == links.len(),
        "{closed} of {} were closed: {ended:?}",
        links.len()
    );
    tells(&agent, "alerts", "probes_detached")?;
    ensure!(counter(&agent, "own_messages_unseen")? > 0, "it is not counted");
    // Not by the usual way out: descriptors that were closed behind its back are closed again at the end.
    agent.kill()
}

/// A killed agent tells at its next start that it was, and for how long nobody watched.
pub(crate) fn a_kill_is_told_by_the_next_run(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    agent.kill()?;
    let agent = Agent::start(place)?;
    tells(&agent, "anomalies", "agent_killed")?;
    agent.has_said("ended from outside")?;
    agent.stop(Signal::TERM)?;
    // Asked to end, it is not accused.
    let agent = Agent::start(place)?;
    ensure!(
        agent.has_said("ended from outside").is_err(),
        "an end on request counts as a kill"
    );
    agent.stop(Signal::TERM).map(drop)
}

/// Descriptors of a process that hold programs of sockets to their hooks. Those of libraries are left alone: the agent lets go
/// of them when the probed program ends, and a descriptor that is gone by then ends an unoptimised agent.
fn links(pid: u32) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        let entry = entry?;
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let kind = text.lines().find_map(|line| line.strip_prefix("link_type:"));
        if kind.is_some_and(|kind| matches!(kind.trim(), "raw_tracepoint" | "tracing")) {
            found.push(entry.file_name().into_string().ok().context("a number")?);
        }
    }
    Ok(found)
}
