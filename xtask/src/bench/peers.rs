//! `cargo xtask bench peers`: what other tools cost beside the same work, the agent among them.
//!
//! In: the tools of the list that this machine has; none is installed for it. Rounds alternate: without anything, then with each
//! tool in turn. Out: for each tool the throughput in relation to the round without before it, and its processor time for each
//! request. Tells nothing about how much a tool understood: that is another comparison.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    Work,
    agent::Agent,
    load::{Load, Round},
    process::{self, Place, Process},
    summary::spread,
};
use crate::shell::say;

/// A tool that watches HTTP on this host without being asked.
struct Peer {
    name: &'static str,
    arguments: &'static [&'static str],
    /// What it says when it is ready.
    ready: &'static str,
}

const PEERS: [Peer; 4] = [
    Peer {
        name: "tshark",
        arguments: &[
            "-i",
            "lo",
            "-f",
            "tcp",
            "-Y",
            "http",
            "-T",
            "fields",
            "-e",
            "http.request.method",
            "-e",
            "http.request.uri",
            "-e",
            "http.response.code",
        ],
        ready: "Capturing on",
    },
    Peer {
        name: "suricata",
        arguments: &[
            "-c",
            "/etc/suricata/suricata.yaml",
            "-i",
            "lo",
            "-k",
            "none",
            "-S",
            "/dev/null",
        ],
        ready: "ngine started",
    },
    Peer {
        name: "tcpdump",
        arguments: &["-i", "lo", "-n", "-s", "512", "-w", "/dev/null", "tcp"],
        ready: "listening on",
    },
    // The head of each request, read at the system call.
    Peer {
        name: "bpftrace",
        arguments: &[
            "-e",
            "tracepoint:syscalls:sys_enter_recvfrom { @at[tid] = args->ubuf; } \
             tracepoint:syscalls:sys_exit_recvfrom /@at[tid]/ { if (args->ret > 16) { printf(\"%r\\n\", buf(@at[tid], 64)); } \
             delete(@at[tid]); }",
        ],
        ready: "Attaching",
    },
];

/// After a tool said that it is ready.
const SETTLE: Duration = Duration::from_secs(1);

/// What a tool came to.
#[derive(Default)]
struct Cost {
    ratios: Vec<f64>,
    microseconds: Vec<f64>,
}

impl Cost {
    fn add(&mut self, without: &Round, with: &Round, cpu_seconds: f64) {
        self.ratios.push(with.rate / without.rate);
        self.microseconds.push(cpu_seconds * 1e6 / with.count.max(1.0));
    }
}

/// Measures, and prints a line for each tool. The figures.
pub(super) fn measure(binary: &Path, rounds: u32, seconds: u32) -> Result<Value> {
    let place = Place::new()?;
    let mut load = Load::start(Work::Small, &place)?;
    load.round(1)?;
    let (here, missing): (Vec<&Peer>, Vec<&Peer>) = PEERS.iter().partition(|peer| is_installed(peer.name));
    for peer in missing {
        say(format!(
            "peers: {} is not installed here, and left out",
            peer.name
        ));
    }
    let mut own = Cost::default();
    let mut others: Vec<Cost> = here.iter().map(|_| Cost::default()).collect();
    for _ in 0..rounds {
        let without = load.round(seconds)?;
        let agent = Agent::start(binary, &place)?;
        let before = agent.figures()?;
        let with = load.round(seconds)?;
        own.add(&without, &with, agent.settled()?.since(&before).cpu_seconds);
        agent.stop()?;
        for (peer, cost) in here.iter().zip(&mut others) {
            let without = load.round(seconds)?;
            let (process, group) = start(peer, &place)?;
            let before = group_seconds(group);
            let with = load.round(seconds)?;
            let spent = group_seconds(group) - before;
            process.stop()?;
            cost.add(&without, &with, spent);
        }
    }
    let named = std::iter::once("apiarist").chain(here.iter().map(|peer| peer.name));
    let rows = named.zip(std::iter::once(own).chain(others)).map(|(name, cost)| {
        let (ratio, microseconds) = (spread(&cost.ratios), spread(&cost.microseconds));
        say(format!(
            "beside {name}: {} of the throughput without it, {} µs of its processor time for each request (median, least, most)",
            shown(&ratio),
            shown(&microseconds)
        ));
        json!({"tool": name, "ratio": ratio, "microseconds_each": microseconds})
    });
    Ok(Value::Array(rows.collect()))
}

fn shown(spread: &Value) -> String {
    let of = |name: &str| spread.get(name).and_then(Value::as_f64).unwrap_or_default();
    format!("{:.2} ({:.2}, {:.2})", of("median"), of("min"), of("max"))
}

fn is_installed(program: &str) -> bool {
    let mut asked = Command::new(program);
    asked.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok()
}

/// Starts a tool in a process group of its own, for it may start others; the number of the group.
fn start(peer: &Peer, place: &Place) -> Result<(Process, u32)> {
    let log = place.file(peer.name);
    let mut command = Command::new(peer.name);
    command
        .args(peer.arguments)
        .current_dir(place.directory())
        .process_group(0);
    let process = Process::start(&mut command, &log)?;
    process::until(&format!("{} is not ready", peer.name), || {
        fs::read(&log)
            .is_ok_and(|said| String::from_utf8_lossy(&said).contains(peer.ready))
            .then_some(())
    })?;
    std::thread::park_timeout(SETTLE);
    let group = process.id();
    Ok((process, group))
}

/// Processor seconds of all processes of a group that are there.
fn group_seconds(group: u32) -> f64 {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_group = pids.filter(|pid| {
        let stat = process::text(format!("/proc/{pid}/stat"));
        // proc_pid_stat(5), field 5.
        let field = stat
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(2));
        field.and_then(|field| field.parse().ok()) == Some(group)
    });
    of_group.filter_map(|pid| process::cpu_seconds(pid).ok()).sum()
}
