//! `apiarist replay FILE…`: analyse recorded traffic as if it happened now.
//!
//! Here: files, progress, and where the results go. The work itself is [`crate::replay`]'s.

mod result;

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use result::Replacement;

use super::{Context, Failure, logging, progress, target::Target};
use crate::{
    capture::file::{self, Problems},
    clock::Timestamp,
    openapi::routes,
    policy::Policies,
    replay::{LearnUntil, Options, Outcome, Replay},
    status::Status,
    verdict::Alert,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist replay traffic.pcap --store ./result
  apiarist endpoints --store ./result
  apiarist replay monday.har tuesday.jsonl.gz --trace trace.jsonl
  apiarist replay shop.apr --learn-until 10000 --alerts alerts.jsonl

Reads pcap and pcapng captures, HAR 1.2, recordings of `apiarist record` and exchanges files, told apart
by content, plain or compressed with gzip. Time comes from the files. The same files give the same
results. Exits with 2 if a file is none of these, or if nothing in the files could be read.";

/// Analyse recorded traffic: captures, HAR, recordings, exchanges files
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Files, told apart by content
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Leave a store in this directory, for the query commands; replaces what an earlier replay left there
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Write alerts as JSON Lines to a file, or to standard output with `-`
    #[arg(long, value_name = "-|FILE")]
    alerts: Option<PathBuf>,
    /// Write what was concluded about each exchange as JSON Lines to a file, or to standard output with `-`
    #[arg(long, value_name = "-|FILE")]
    trace: Option<PathBuf>,
    /// Only learn until so many exchanges, or until this time of the input (2026-01-31T08:00:00Z)
    #[arg(long, value_name = "N|TIME", value_parser = learn_until)]
    learn_until: Option<LearnUntil>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let Args {
        files,
        store,
        alerts,
        trace,
        learn_until,
    } = args;
    let config = context.config()?;
    logging::start(context.log.as_deref().unwrap_or("warn"), config.log.format)?;
    // What cannot be opened or written is found before the work is done.
    let inputs = files
        .into_iter()
        .map(Input::open)
        .collect::<Result<Vec<_>, _>>()?;
    let store = store
        .map(|directory| Replacement::open(&directory, config.store.max_bytes, context.now))
        .transpose()?;
    let trace_to = trace.map(Target::create).transpose()?;
    let alerts_to = alerts.map(Target::create).transpose()?;

    let mut replay = Replay::new(&Options {
        trace: trace_to.is_some(),
        learn_until,
        inventory: config.inventory.limits(),
    });
    replay.set_pins(config.inventory.pins().map_err(Failure::usage)?);
    let specs = config.inventory.specs.iter().map(PathBuf::as_path);
    replay.set_documents(routes::of_files(specs).map_err(|error| Failure::usage(format!("{error:#}")))?);
    replay.set_policies(Policies::new(config.policies.rules().map_err(Failure::usage)?));
    replay.configure(config.detection.settings());
    let mut problem = None;
    for input in inputs {
        let found = input.replay(&mut replay)?;
        problem = problem.or(found);
    }
    if replay.is_empty() {
        let why = problem.unwrap_or_else(|| "there is no TCP payload in them".to_owned());
        return Err(Failure::usage(format!("nothing could be read: {why}")));
    }
    let step = progress::step("judging what was read");
    let mut outcome = replay.finish().map_err(|error| {
        Failure::usage(format!(
            "cannot keep the trace: {error}; set TMPDIR to a directory with more room"
        ))
    })?;
    drop(step);
    let status = status(&outcome);
    let quiet = matches!(trace_to, Some(Target::Stdout)) || matches!(alerts_to, Some(Target::Stdout));
    if let Some(target) = alerts_to {
        target.write(context.out, |out| write_alerts(out, &outcome.alerts))?;
    }
    if !quiet {
        for alert in &outcome.alerts {
            super::alerts::announce(context.out, context.terminal, alert)?;
        }
    }
    if let Some((trace, target)) = outcome.trace.take().zip(trace_to) {
        target.write(context.out, |out| trace.write(out, &outcome.inventory))?;
    }
    if let Some(store) = store {
        let judged = (config.criteria().map_err(Failure::usage)?, outcome.now);
        let _step = progress::step("writing the store");
        store.save(&mut outcome.inventory, &mut outcome.analysis, &status, judged)?;
    }
    if !quiet {
        let workloads = outcome.inventory.workload_views().len();
        let endpoints = outcome.inventory.endpoint_views(outcome.now).len();
        writeln!(
            context.out,
            "{} exchanges, {endpoints} endpoints, {workloads} workloads",
            outcome.exchanges
        )?;
    }
    Ok(())
}

/// Writes alerts as JSON Lines, each as often as people would have been told of it.
fn write_alerts(out: &mut dyn Write, alerts: &[Alert]) -> io::Result<()> {
    for alert in alerts {
        serde_json::to_writer(&mut *out, alert)?;
        writeln!(out)?;
    }
    Ok(())
}

/// A file to be replayed.
struct Input {
    path: PathBuf,
    file: File,
    size: u64,
}

impl Input {
    fn open(path: PathBuf) -> Result<Self, Failure> {
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        let (metadata, file) =
            opened.map_err(|error| Failure::usage(format!("cannot open {}: {error}", path.display())))?;
        if metadata.is_dir() {
            return Err(Failure::usage(format!(
                "{} is a directory: name the files in it",
                path.display()
            )));
        }
        let size = metadata.len();
        Ok(Self { path, file, size })
    }

    /// Reads the file to its end; returns what could not be read of it, in words.
    fn replay(self, replay: &mut Replay) -> Result<Option<String>, Failure> {
        let Self { path, file, size } = self;
        let name = path.display().to_string();
        let progress = progress::of_file(&name, size);
        let result = file::read(progress.wrap_read(file), &Replay::redactor(), replay);
        replay.end_of_file();
        progress.finish_and_clear();
        let report = result.map_err(|error| Failure::usage(format!("{name}: {error}")))?;
        let Problems { count, first } = report.problems;
        if let Some(first) = &first {
            tracing::warn!(file = name, problems = count, "{first}");
        }
        Ok(first.map(|first| format!("{name}: {first}")))
    }
}

/// What `apiarist status --store` will say about this replay. Nothing in it depends on when it was made.
fn status(outcome: &Outcome) -> Status {
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tier: 0,
        events: outcome.events,
        bytes: outcome.bytes,
        exchanges: outcome.exchanges,
        lost: [("gap_bytes".to_owned(), outcome.flow.gap_bytes)].into(),
        counters: outcome
            .flow
            .list()
            .map(|(name, count)| (name.to_owned(), count))
            .collect(),
        ..Status::default()
    }
}

/// A number of exchanges, or a time.
fn learn_until(text: &str) -> Result<LearnUntil, String> {
    if let Ok(count) = text.parse() {
        return Ok(LearnUntil::Exchanges(count));
    }
    let time: jiff::Timestamp = text
        .parse()
        .map_err(|_| "give a number of exchanges, or a time such as 2026-01-31T08:00:00Z".to_owned())?;
    Ok(LearnUntil::Time(Timestamp(
        u64::try_from(time.as_nanosecond()).unwrap_or(0),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_ends_after_a_number_or_at_a_time() {
        assert_eq!(learn_until("500"), Ok(LearnUntil::Exchanges(500)));
        assert_eq!(
            learn_until("2023-11-14T22:13:20Z"),
            Ok(LearnUntil::Time(Timestamp(1_700_000_000_000_000_000)))
        );
        assert!(learn_until("soon").is_err());
    }
}
