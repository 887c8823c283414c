//! A steady load for a long time: memory and descriptors stay as they are.
//!
//! How long, `APIARIST_SOAK_SECONDS` says; a minute otherwise.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{Server, accounted_for};
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

/// What memory may grow by, from the first third to the end. The tables of what is learned fill up meanwhile, and what
/// processes of this host have run: 4 MiB and its index at the most.
const MOST_GROWTH_BYTES: u64 = 8 << 20;

/// Its own, because the suite may run beside it.
const SERVER: &str = "nginx-soak";

/// What the agent has at one time.
#[derive(Debug, Clone, Copy)]
struct Has {
    own_bytes: u64,
    resident_bytes: u64,
    /// Probes of TLS libraries are left out.
    descriptors: usize,
    /// What the host has to do, over a minute.
    host_load: f64,
}

/// Memory of its own and descriptors are the same after a third of the time and at the end of the load.
pub(crate) fn stays_as_it_is_under_steady_load(place: &Place) -> Result<()> {
    let seconds = std::env::var("APIARIST_SOAK_SECONDS")
        .ok()
        .map_or(Ok(SHORT), |text| text.parse())
        .context("APIARIST_SOAK_SECONDS is no number")?;
    let mut load = command("h2load")?;
    let server = Server::named(SERVER, place)?;
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
    let served = server.served()?;
    let (hits, lost) = accounted_for(&agent, SERVER, served)?;
    note(&format!(
        "{served} exchanges in {took:.0} s ({:.0} a second): {hits} seen, {lost} events lost",
        served as f64 / took
    ));
    let at = |part: usize| samples.get(part * (samples.len() - 1) / 6).context("no samples");
    for (when, part) in [("start", 0), ("third", 2), ("half", 3), ("end", 6)] {
        note(&format!("{when} of the load: {}", at(part)?));
    }
    let (first, last) = (at(2)?, at(6)?);
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

impl std::fmt::Display for Has {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            own_bytes,
            resident_bytes,
            descriptors,
            host_load,
        } = self;
        write!(
            f,
            "memory of its own {} KiB, resident {} KiB, descriptors {descriptors}, load of the host {host_load}",
            own_bytes >> 10,
            resident_bytes >> 10
        )
    }
}

fn has(pid: u32) -> Result<Has> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
        kib.map(|kib| kib << 10).with_context(|| format!("no {name}"))
    };
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let host_load = fs::read_to_string("/proc/loadavg")?;
    Ok(Has {
        own_bytes: bytes("RssAnon:")?,
        resident_bytes: bytes("VmRSS:")?,
        descriptors: open.filter(|target| !is_probe(target)).count(),
        host_load: host_load.split(' ').next().unwrap_or_default().parse()?,
    })
}

/// A probe of a TLS library: there are more whenever somebody on this host uses another one.
fn is_probe(target: &Path) -> bool {
    target == Path::new("anon_inode:[perf_event]")
}
