//! `cargo xtask bench`: what the agent costs, measured beside the same work without it.
//!
//! Rounds alternate: without, with, without, with, so that a machine that changes its speed changes both. Ratios of
//! neighbouring rounds are compared, never figures of different days. Results are printed as a table and written as JSON with
//! minimum, median and maximum.

mod agent;
mod load;
mod process;
mod summary;

use std::{fs, path::PathBuf};

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
    /// What is measured; all without a name
    #[arg(value_enum, value_name = "WORK")]
    works: Vec<Work>,
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
}

/// Work that is done with and without the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Work {
    /// nginx with one worker, wrk with 32 connections, answers of 600 bytes, as fast as they can
    Small,
    /// The same over TLS
    Tls,
    /// Answers of 1 MiB
    Large,
    /// An application server in Python
    Python,
    /// An application server in Node
    Node,
    /// Small reads and writes of files; no socket is opened
    Files,
}

/// Measures, prints, writes.
pub(crate) fn main(options: &Options) -> Result<()> {
    if !is_root()? {
        bail!("measuring needs root, to load the kernel programs: run this as root");
    }
    setup::prepare(Purpose::Bench)?;
    let root = workspace::root()?;
    let target = workspace::target_directory(&root);
    let binary = shell::agent(&root, options.binary.as_deref())?;
    let works = match options.works.as_slice() {
        [] => Work::value_variants(),
        named => named,
    };
    let mut results = Vec::new();
    for work in works {
        let summary = measure(*work, &binary, options)?;
        say(summary.line());
        results.push(summary.json());
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

fn measure(work: Work, binary: &std::path::Path, options: &Options) -> Result<Summary> {
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
    if let Some(kernel) =
        Agent::kernel_time(binary, &place, || load.round(options.seconds).map(|_: Round| ()))?
    {
        summary.set_kernel(kernel);
    }
    Ok(summary)
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Tls => "tls",
            Self::Large => "large",
            Self::Python => "python",
            Self::Node => "node",
            Self::Files => "files",
        }
    }
}
