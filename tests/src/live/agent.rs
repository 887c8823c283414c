//! The agent as an operator runs it: `apiarist run`, then questions over its socket or to its store.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use apiarist::{
    inventory::{EndpointView, WorkloadView},
    status::{Status, TlsReading},
};
use rustix::process::Signal;
use serde::de::DeserializeOwned;

use super::{
    binary,
    place::Place,
    program::{Ended, Program},
    rows, same,
    wait::until,
};

/// Longest wait for the agent to start, to stop, or to know what happened.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Longest wait for it to read an executable: an agent without optimisation takes seconds.
const PROBES: Duration = Duration::from_secs(120);

/// A running agent.
#[derive(Debug)]
pub(crate) struct Agent<'a> {
    place: &'a Place,
    binary: PathBuf,
    program: Program,
    /// Ids of the kernel programs it loaded.
    loaded: BTreeSet<u32>,
}

impl<'a> Agent<'a> {
    /// Starts it on the store and socket of `place`, and waits until it answers.
    pub(crate) fn start(place: &'a Place) -> Result<Self> {
        Self::of(place, &[])
    }

    /// The same, with more arguments.
    pub(crate) fn of(place: &'a Place, arguments: &[&str]) -> Result<Self> {
        Self::launch(place, bare(&binary::apiarist()?), arguments)
    }

    /// The same, by a command that ends in the binary.
    pub(crate) fn launch(place: &'a Place, mut command: Command, arguments: &[&str]) -> Result<Self> {
        let binary = binary::apiarist()?;
        // For `probes`.
        command
            .env("RUST_LOG", "info,apiarist::capture::tls=debug")
            .args([
                "run",
                "--store",
                &place.file("store"),
                "--socket",
                &place.file("agent.sock"),
            ])
            .args(arguments);
        let program = Program::start(&mut command, place)?;
        let mut agent = Self {
            place,
            binary,
            program,
            loaded: BTreeSet::new(),
        };
        let (place, binary) = (agent.place, agent.binary.clone());
        agent.program.ready(|| {
            let status: Status = ask(&binary, "status", &["--socket", &place.file("agent.sock")])?;
            ensure!(status.tls != TlsReading::Starting, "TLS is not read yet");
            Ok(status)
        })?;
        agent.loaded = programs_of(agent.program.pid())?;
        ensure!(!agent.loaded.is_empty(), "the agent runs without kernel programs");
        Ok(agent)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        self.program.signal(signal)
    }

    /// Fails unless its log has these words.
    pub(crate) fn has_said(&self, words: &str) -> Result<()> {
        let said = self.program.complaints();
        ensure!(said.contains(words), "the agent has not said `{words}`: {said}");
        Ok(())
    }

    /// Waits until it probes so many files at `path`: it takes a moment to read one that it does not know.
    pub(crate) fn probes(&self, path: &Path, times: usize) -> Result<()> {
        self.does("probed", path, times)
    }

    /// Waits until it lets a process alone.
    pub(crate) fn has_excluded(&self, pid: u32) -> Result<()> {
        self.does("excluded", Path::new(&format!("pid={pid}")), 1)
    }

    fn does(&self, what: &str, path: &Path, times: usize) -> Result<()> {
        until(PROBES, || self.has_done(what, path, times))
    }

    /// Fails unless it has done this to so many files at `path`.
    pub(crate) fn has_done(&self, what: &str, path: &Path, times: usize) -> Result<()> {
        let (what, path) = (format!(" {what} "), path.display().to_string());
        let said = self.program.complaints();
        let lines = said.lines();
        let done = lines
            .filter(|line| line.contains(&what) && line.contains(&path))
            .count();
        ensure!(done >= times, "{path}: {done} times{what}in {said}");
        Ok(())
    }

    pub(crate) fn endpoints(&self) -> Result<Vec<EndpointView>> {
        self.ask("endpoints")
    }

    pub(crate) fn workloads(&self) -> Result<Vec<WorkloadView>> {
        self.ask("workloads")
    }

    pub(crate) fn status(&self) -> Result<Status> {
        self.ask("status")
    }

    /// Events that the kernel could not hand over, because a ring was full or one control group had its share.
    pub(crate) fn lost_events(&self) -> Result<u64> {
        let lost = self.status()?.lost;
        let reasons = ["ring_full_events", "quota_events"];
        Ok(reasons.iter().filter_map(|reason| lost.get(*reason)).sum())
    }

    /// The answer to one question.
    pub(crate) fn ask<T: DeserializeOwned>(&self, topic: &str) -> Result<T> {
        ask(&self.binary, topic, &["--socket", &self.place.file("agent.sock")])
    }

    /// Waits until the endpoints of a workload are these, then stops the agent and asks its store the same: nothing came
    /// after, nothing was forgotten.
    pub(crate) fn expect(self, workload: &str, expected: &[String]) -> Result<()> {
        self.shows(workload, expected)?;
        let place = self.place;
        self.stop(Signal::TERM)?;
        same("stored endpoints", &rows::of(&stored(place)?, workload), expected)
    }

    /// Waits until the endpoints of a workload are these.
    pub(crate) fn shows(&self, workload: &str, expected: &[String]) -> Result<()> {
        until(PATIENCE, || {
            let seen = rows::of(&self.endpoints()?, workload);
            same(&format!("endpoints of {workload}"), &seen, expected)
        })
        .with_context(|| self.lost())
    }

    /// Losses that the agent reports, for the reader of a failure.
    pub(crate) fn lost(&self) -> String {
        match self.status() {
            Ok(mut status) => {
                status.lost.retain(|_, count| *count > 0);
                status.counters.retain(|_, count| *count > 0);
                format!("lost: {:?}, counters: {:?}", status.lost, status.counters)
            }
            Err(error) => format!("no status: {error:#}"),
        }
    }

    /// Stops it by a signal: it must end with code 0 and leave no program in the kernel.
    pub(crate) fn stop(self, signal: Signal) -> Result<Ended> {
        self.program.signal(signal)?;
        let ended = self.program.end(PATIENCE)?;
        ensure!(
            ended.status.code() == Some(0),
            "the agent ended with {}: {}",
            ended.status,
            ended.err
        );
        gone(&self.loaded)?;
        Ok(ended)
    }

    /// Ends it as a crash would.
    pub(crate) fn kill(self) -> Result<()> {
        self.program.signal(Signal::KILL)?;
        self.program.end(PATIENCE)?;
        gone(&self.loaded)
    }
}

/// The endpoints in the store, without an agent.
pub(crate) fn stored(place: &Place) -> Result<Vec<EndpointView>> {
    ask(
        &binary::apiarist()?,
        "endpoints",
        &["--store", &place.file("store")],
    )
}

/// The binary without what the environment could change.
pub(crate) fn bare(binary: &std::path::Path) -> Command {
    let mut command = Command::new(binary);
    for name in ["RUST_LOG", "APIARIST_CONFIG", "APIARIST_SOCKET", "NO_COLOR"] {
        command.env_remove(name);
    }
    command
}

fn ask<T: DeserializeOwned>(binary: &std::path::Path, topic: &str, from: &[&str]) -> Result<T> {
    let output = bare(binary)
        .args([topic, "-o", "json"])
        .args(from)
        .output()
        .context("cannot run the agent's binary")?;
    if !output.status.success() {
        bail!("{topic}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{topic} gave no JSON of the agreed form"))
}

/// Ids of the kernel programs that a process holds.
pub(super) fn programs_of(pid: u32) -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // A descriptor may be closed meanwhile.
        let text = fs::read_to_string(entry?.path()).unwrap_or_default();
        let id = text.lines().find_map(|line| line.strip_prefix("prog_id:"));
        ids.extend(id.and_then(|id| id.trim().parse::<u32>().ok()));
    }
    Ok(ids)
}

/// Waits until none of these programs is in the kernel: it frees them a moment after the last use.
fn gone(loaded: &BTreeSet<u32>) -> Result<()> {
    until(PATIENCE, || {
        let left: Vec<u32> = aya::programs::loaded_programs()
            .filter_map(Result::ok)
            .map(|program| program.id())
            .filter(|id| loaded.contains(id))
            .collect();
        ensure!(left.is_empty(), "kernel programs were left behind: {left:?}");
        Ok(())
    })
}
