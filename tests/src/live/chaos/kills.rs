//! The agent is killed at random moments while a server is busy: its store opens, is whole, and lacks nothing older than promised.
//!
//! How often, `APIARIST_LONG_TESTS=1` says: 200 times, ten otherwise.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use apiarist::{
    clock::monotonic_ns,
    inventory::{EndpointView, Limits},
    status::Status,
    store::{Reader, Restored},
};
use rustix::process::Signal;

use super::{SERVER, Server, kept};
use crate::live::{
    agent::{Agent, PATIENCE},
    note,
    place::Place,
    program::{Program, command},
    wait::until,
};

/// How often the store is written.
const FLUSH: Duration = Duration::from_secs(1);

/// What comes on top: the way from the kernel to the core, and the write itself, of an unoptimised build on a busy host.
const GRACE: Duration = Duration::from_secs(2);

/// Exchanges each second, over so many connections.
const RATE: u64 = 1000;
const CONNECTIONS: u64 = 4;

/// Longest life of an agent after it has seen something.
const LONGEST_MS: u64 = 5000;

/// What a store holds, all of it read at one moment.
#[derive(Debug, Clone, PartialEq)]
struct Holds {
    /// Exchanges of the server's endpoints.
    hits: u64,
    /// Exchanges that the server's own record counts: another table, written in the same moment.
    counted: u64,
    /// Events that the kernel could not hand over to it.
    lost: u64,
}

/// Whatever the moment: all that was served more than the interval ago is there, and no write was cut in two.
pub(crate) fn killed_at_any_moment(place: &Place) -> Result<()> {
    let kills = match std::env::var_os("APIARIST_LONG_TESTS") {
        Some(_) => 200,
        None => 10,
    };
    let config = place.write("config.toml", "[store]\nflush_seconds = 1\n")?;
    let mut load = command("h2load")?;
    let server = Server::start(place)?;
    load.args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), "-n100000000"]);
    load.args([&format!("--rps={}", RATE / CONNECTIONS), &server.url()]);
    let load = Program::start(&mut load, place)?;
    let port = server.port.to_string();
    let mut before = Holds {
        hits: 0,
        counted: 0,
        lost: 0,
    };
    let (mut worst, mut seed) = (Duration::ZERO, 1_u64);
    for number in 0..kills {
        let agent = Agent::of(place, &["--config", &config, "--port", &port])?;
        for words in ["was damaged", "could not be used"] {
            ensure!(agent.has_said(words).is_err(), "kill {number}: the store {words}");
        }
        until(PATIENCE, || {
            ensure!(hits(&agent.endpoints()?) > before.hits, "nothing is seen");
            Ok(())
        })?;
        let missed = at_rest(&agent, &server, &load)?;
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let samples = watch(&server, Duration::from_millis((seed >> 33) % LONGEST_MS))?;
        agent.signal(Signal::KILL)?;
        let killed = monotonic_ns();
        agent.kill()?;

        let after = holds(Path::new(&place.file("store"))).with_context(|| format!("kill {number}"))?;
        let listed = kept(place)?;
        ensure!(
            listed == after.hits,
            "kill {number}: lists show {listed} exchanges of {after:?}"
        );
        ensure!(
            after.counted == after.hits && after.hits >= before.hits,
            "kill {number}: from {before:?} to {after:?}: a write was cut in two"
        );
        // Until the first write of this run the losses are those of the one before.
        let lost = if after.hits == before.hits { 0 } else { after.lost };
        let behind = behind(&samples, missed + after.hits + lost, killed);
        worst = worst.max(behind);
        ensure!(
            behind <= FLUSH + GRACE,
            "kill {number}: the store is {behind:?} behind; it went from {before:?} to {after:?}, {missed} were missed, served were {samples:?}"
        );
        before = after;
    }
    note(&format!(
        "{kills} kills: {} exchanges kept, the store at most {:.1} s behind with a write each second",
        before.hits,
        worst.as_secs_f64()
    ));
    Ok(())
}

/// Stops the load until the agent has filed all that it will ever see of what was served so far: the rest, of all runs.
fn at_rest(agent: &Agent<'_>, server: &Server, load: &Program) -> Result<u64> {
    load.signal(Signal::STOP)?;
    let mut last = None;
    let missed = until(PATIENCE, || {
        let served = server.served()?;
        let now = (served, hits(&agent.endpoints()?));
        let is_same = last.replace(now) == Some(now);
        ensure!(is_same, "the load goes on");
        Ok(served.saturating_sub(now.1))
    });
    load.signal(Signal::CONT)?;
    missed
}

/// Notes for so long how many requests were served, and when.
fn watch(server: &Server, span: Duration) -> Result<Vec<(u64, u64)>> {
    let begin = monotonic_ns();
    let mut samples = Vec::new();
    until(span + PATIENCE, || {
        samples.push((monotonic_ns(), server.served()?));
        ensure!(monotonic_ns() - begin >= span.as_nanos() as u64, "not yet");
        Ok(())
    })?;
    Ok(samples)
}

/// For how long before the kill more was served than the store and what was missed account for.
fn behind(samples: &[(u64, u64)], accounted: u64, killed: u64) -> Duration {
    let missing = samples.iter().find(|(_, served)| *served > accounted);
    Duration::from_nanos(missing.map_or(0, |(at, _)| killed - at))
}

fn holds(store: &Path) -> Result<Holds> {
    let mut contents = Reader::open(store)?.load()?;
    let status: Status = match &contents.status {
        Some(status) => serde_json::from_slice(status).context("half a status")?,
        None => Status::default(),
    };
    let Restored {
        inventory,
        newest,
        skipped,
    } = contents.restore(Limits::default());
    ensure!(skipped == 0, "{skipped} rows are no whole records");
    let endpoints = inventory.endpoint_views(newest);
    let workloads = inventory.workload_views();
    let server = workloads.iter().filter(|row| row.name == SERVER);
    let reasons = ["ring_full_events", "quota_events"];
    Ok(Holds {
        hits: hits(&endpoints),
        counted: server.map(|row| row.hits - row.unrouted).sum(),
        lost: reasons.iter().filter_map(|reason| status.lost.get(*reason)).sum(),
    })
}

/// Exchanges of the server's endpoints.
fn hits(endpoints: &[EndpointView]) -> u64 {
    let of_server = endpoints.iter().filter(|row| row.workload == SERVER);
    of_server.map(|row| row.hits).sum()
}
