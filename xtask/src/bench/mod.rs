//! `cargo xtask bench`: what the agent costs, measured beside the same work without it.
//!
//! Rounds alternate: without, with, without, with, so that a machine that changes its speed changes both. Ratios of
//! neighbouring rounds are compared, never figures of different days. Results are printed as a table and written as JSON with
//! minimum, median and maximum.

mod agent;
pub(crate) mod gate;
mod kernel;
mod kernel_stats;
mod load;
mod memory;
mod peers;
mod pipeline;
mod process;
mod scale;
mod servers;
mod start;
mod summary;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::{
    setup::{self, Purpose},
    shell::{self, is_root, say},
    workspace,
};
use agent::Agent;
use load::{Load, Round};
use summary::Summary;

/// Options of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What is measured; without a name all that is done with and without the agent
    #[arg(value_enum, value_name = "WORK")]
    measures: Vec<Measure>,
    /// Pairs of rounds, without and with the agent
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Seconds of each round
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Where the figures are written [default: target/bench.json]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// With `gate`: record the counts instead of comparing them with the committed table
    #[arg(long)]
    update: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Measure {
    /// nginx with one worker, wrk with 32 connections, answers of 600 bytes, as fast as they can
    Small,
    /// The same at 20,000 requests each second, which leaves the processors idle in between
    Steady,
    /// The same over TLS
    Tls,
    /// Four connections of HTTP/2 with 32 streams each
    Http2,
    /// Answers of 1 MiB
    Large,
    /// A plain server in Go, as fast as it can
    Go,
    /// An application server in Python, gunicorn
    Python,
    /// An application server in Node, by Express
    Express,
    /// A plain server in Node, as fast as it can
    Node,
    /// Calls of 10,000 methods of JSON-RPC in turn, each an endpoint, as fast as they can; give it --seconds 10 or more, so
    /// that the store is written meanwhile
    Many,
    /// Small reads and writes of files; no socket is opened
    Files,
    /// Nanoseconds of the kernel programs for an operation, captured and muted
    Kernel,
    /// Milliseconds from the start of the agent to the first exchange that it sees
    Start,
    /// Resident memory with 10,000 connections and 1,000 endpoints
    Memory,
    /// Throughput and processor time beside `small`, of the agent and of other tools that are installed here
    Peers,
    /// Recorded events in memory through the whole user side, stage by stage
    Pipeline,
    /// The same among few and many endpoints, connections and workloads
    Scale,
    /// Instructions of the hot path, held against the committed table
    Gate,
}

/// Work that is done with and without the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Small,
    Steady,
    Tls,
    Http2,
    Large,
    Go,
    Python,
    Express,
    Node,
    Many,
    Files,
}

impl Measure {
    /// What is done with and without the agent, if it is that.
    fn work(self) -> Option<Work> {
        match self {
            Self::Small => Some(Work::Small),
            Self::Steady => Some(Work::Steady),
            Self::Tls => Some(Work::Tls),
            Self::Http2 => Some(Work::Http2),
            Self::Large => Some(Work::Large),
            Self::Go => Some(Work::Go),
            Self::Python => Some(Work::Python),
            Self::Express => Some(Work::Express),
            Self::Node => Some(Work::Node),
            Self::Many => Some(Work::Many),
            Self::Files => Some(Work::Files),
            Self::Kernel
            | Self::Start
            | Self::Memory
            | Self::Peers
            | Self::Pipeline
            | Self::Scale
            | Self::Gate => None,
        }
    }
}

impl Measure {
    fn needs_agent(self) -> bool {
        self.work().is_some() || matches!(self, Self::Kernel | Self::Start | Self::Memory | Self::Peers)
    }
}

/// Measures, prints, writes.
pub(crate) fn main(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let target = workspace::target_directory(&root);
    let measures: Vec<Measure> = match options.measures.as_slice() {
        [] => Measure::value_variants()
            .iter()
            .copied()
            .filter(|measure| measure.work().is_some())
            .collect(),
        named => named.to_vec(),
    };
    let binary = match measures.iter().any(|measure| measure.needs_agent()) {
        true => Some(prepare(&root, options)?),
        false => None,
    };
    let mut results = Vec::new();
    for measure in measures {
        match (measure.work(), &binary) {
            (Some(work), Some(binary)) => {
                let summary = beside(work, binary, options)?;
                say(summary.line());
                results.push(summary.json());
            }
            (None, Some(binary)) if measure == Measure::Kernel => {
                results.push(json!({"work": "kernel", "operations": kernel::measure(binary)?}));
            }
            (None, Some(binary)) if measure == Measure::Start => {
                results.push(start::measure(binary, options.rounds)?);
            }
            (None, Some(binary)) if measure == Measure::Peers => {
                let tools = peers::measure(binary, options.rounds, options.seconds)?;
                results.push(json!({"work": "peers", "tools": tools}));
            }
            (None, Some(binary)) if measure == Measure::Memory => {
                results.push(memory::measure(binary)?);
            }
            _ if measure == Measure::Pipeline => {
                results.push(json!({"work": "pipeline", "stages": pipeline::measure(&root)?}));
            }
            _ if measure == Measure::Scale => {
                results.push(json!({"work": "scale", "sizes": scale::measure(&root)?}));
            }
            _ => gate::check(options.update)?,
        }
    }
    if results.is_empty() {
        return Ok(());
    }
    let out = options.out.clone().unwrap_or_else(|| target.join("bench.json"));
    let all = json!({
        "kernel": process::text("/proc/sys/kernel/osrelease"),
        "processors": std::thread::available_parallelism().map_or(1, usize::from),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "works": Value::Array(results),
    });
    fs::write(&out, format!("{all:#}\n")).with_context(|| format!("cannot write {}", out.display()))?;
    say(format!("wrote {}", out.display()));
    Ok(())
}

/// Makes the machine ready for work beside the agent; the agent.
fn prepare(root: &Path, options: &Options) -> Result<PathBuf> {
    if !is_root()? {
        bail!("measuring needs root, to load the kernel programs: run this as root");
    }
    kernel_stats::refuse_if_left_on()?;
    setup::prepare(Purpose::Bench)?;
    shell::agent(root, options.binary.as_deref())
}

fn beside(work: Work, binary: &Path, options: &Options) -> Result<Summary> {
    let place = process::Place::new()?;
    let mut load = Load::start(work, &place)?;
    // Caches, and the server's own beginnings.
    load.round(1)?;
    let mut summary = Summary::of(work);
    for number in 1..=options.rounds {
        let without = load.round(options.seconds)?;
        let agent = Agent::start(binary, &place)?;
        let before = agent.figures()?;
        let with = load.round(options.seconds)?;
        let after = agent.settled()?;
        let cost = after.since(&before);
        agent.stop()?;
        say(format!(
            "{} {number}/{}: {:.0}/s without, {:.0}/s with, {:.3} of it; {:.2} µs of the agent for each exchange",
            work.name(),
            options.rounds,
            without.rate,
            with.rate,
            with.rate / without.rate,
            cost.microseconds_each(),
        ));
        summary.add(&without, &with, &cost);
    }
    if let Some(kernel) = Agent::kernel_time(binary, &place, &[], || {
        load.round(options.seconds).map(|_: Round| ())
    })? {
        summary.set_kernel(kernel);
    }
    Ok(summary)
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Steady => "steady",
            Self::Tls => "tls",
            Self::Http2 => "http2",
            Self::Large => "large",
            Self::Go => "go",
            Self::Python => "python",
            Self::Express => "express",
            Self::Node => "node",
            Self::Many => "many",
            Self::Files => "files",
        }
    }
}
