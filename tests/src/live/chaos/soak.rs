//! A steady load for a long time: memory and descriptors stay as they are.
//!
//! How long, `APIARIST_SOAK_SECONDS` says; a minute otherwise.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Server, accounted};
use crate::live::{
    agent::Agent,
    note,
    place::Place,
    program::{Program, command},
    wait::until,
};

/// Exchanges each second.
const RATE: u64 = 5000;

/// Clients that share it.
const CLIENTS: u64 = 10;

/// Seconds without a wish for another length.
const SHORT: u64 = 60;

/// What memory may grow by, from the first third to the end. The tables of what is learned fill up meanwhile.
const MOST_GROWTH_BYTES: u64 = 8 << 20;

/// What the agent has.
#[derive(Debug, Clone, Copy)]
struct Has {
    own_bytes: u64,
    /// Probes of TLS libraries are left out.
    descriptors: usize,
}

/// Memory of its own and descriptors are the same after a third of the time and at the end.
pub(crate) fn stays_as_it_is_under_steady_load(place: &Place) -> Result<()> {
    let seconds = std::env::var("APIARIST_SOAK_SECONDS")
        .ok()
        .map_or(Ok(SHORT), |text| text.parse())
        .context("APIARIST_SOAK_SECONDS is no number")?;
    let mut load = command("h2load")?;
    let server = Server::start(place)?;
    // What else this host does would be learned, too.
    let agent = Agent::of(place, &["--port", &server.port.to_string()])?;
    load.args([
        "--h1",
        "-t1",
        &format!("-c{CLIENTS}"),
        &format!("--rps={}", RATE / CLIENTS),
    ]);
    load.args([&format!("-n{}", RATE * seconds), &server.url()]);
    let begin = apiarist::clock::monotonic_ns();
    let load = Program::start(&mut load, place)?;
    let mut samples = Vec::new();
    until(Duration::from_secs(3 * seconds + 60), || {
        let passed = (apiarist::clock::monotonic_ns() - begin) / 1_000_000_000;
        if samples.len() as u64 <= passed {
            samples.push(has(agent.pid())?);
        }
        let served = server.served()?;
        ensure!(served >= RATE * seconds, "{served} requests were served");
        Ok(())
    })?;
    let took = (apiarist::clock::monotonic_ns() - begin) as f64 / 1e9;
    load.end(Duration::from_secs(20))?;
    samples.push(has(agent.pid())?);
    let served = server.served()?;
    let (hits, lost) = accounted(&agent, served)?;
    let warm = samples.get(samples.len() / 3..).unwrap_or_default();
    let (first, last) = (
        warm.first().context("no samples")?,
        warm.last().context("no samples")?,
    );
    let most = warm.iter().map(|has| has.own_bytes).max().unwrap_or_default();
    note(&format!(
        "{served} exchanges in {took:.0} s ({:.0} a second): {hits} seen, {lost} events lost; memory of its own {} KiB, then {} \
         KiB, at most {} KiB; descriptors {}, then {}",
        served as f64 / took,
        first.own_bytes >> 10,
        last.own_bytes >> 10,
        most >> 10,
        first.descriptors,
        last.descriptors
    ));
    ensure!(
        last.own_bytes <= first.own_bytes + MOST_GROWTH_BYTES,
        "memory has grown from {} to {} bytes",
        first.own_bytes,
        last.own_bytes
    );
    ensure!(
        last.descriptors <= first.descriptors + 2,
        "descriptors have grown from {} to {}",
        first.descriptors,
        last.descriptors
    );
    agent.stop(Signal::TERM).map(drop)
}

fn has(pid: u32) -> Result<Has> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    Ok(Has {
        own_bytes: kib.context("no RssAnon")? << 10,
        descriptors: open.filter(|target| !is_probe(target)).count(),
    })
}

/// A probe of a TLS library: there are more whenever somebody on this host uses another one.
fn is_probe(target: &Path) -> bool {
    target == Path::new("anon_inode:[perf_event]")
}
