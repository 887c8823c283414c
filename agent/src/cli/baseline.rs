//! `apiarist baseline export|import`: what is usual, taken from one host to another, so that a fresh one starts warm.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, Read as _, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Context, Failure, target::Target};
use crate::{
    analysis::BaselineRecord,
    clock::Timestamp,
    store::{Batch, Reader, Store},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist baseline export --store /var/lib/apiarist --output baselines.jsonl
  apiarist baseline import baselines.jsonl --store /var/lib/apiarist

Baselines hold counts, sketches and hashes, no values. They fit a host where the same workloads have the
same names. Import while the agent does not run; endpoints that the store knows already are replaced.";

const EXPORT_EXAMPLES: &str = "EXAMPLES:
  apiarist baseline export --store /var/lib/apiarist > baselines.jsonl";

const IMPORT_EXAMPLES: &str = "EXAMPLES:
  apiarist baseline import baselines.jsonl --store /var/lib/apiarist";

/// Longest line of an export. Overflow policy: the file is refused.
const MAX_LINE_BYTES: u64 = 1024 * 1024;

/// Take what is usual from one host to another
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Export(Export),
    Import(Import),
}

/// Write all baselines of a store as JSON Lines
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
struct Export {
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// File to write; standard output without it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Put exported baselines into a store
#[derive(Debug, clap::Args)]
#[command(after_help = IMPORT_EXAMPLES)]
struct Import {
    /// File that `export` wrote
    file: PathBuf,
    /// Directory of the store
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
}

/// One baseline in an export.
#[derive(Serialize, Deserialize)]
struct Line {
    id: String,
    workload: String,
    updated: Timestamp,
    baseline: Value,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<(), Failure> {
    match args.command {
        Command::Export(Export { store, output }) => export(&store, output.as_deref(), context),
        Command::Import(Import { file, store }) => import(&file, &store, context),
    }
}

fn export(store: &Path, output: Option<&Path>, context: &mut Context<'_>) -> Result<(), Failure> {
    let contents = Reader::open(store)
        .and_then(|reader| reader.load())
        .map_err(Failure::usage)?;
    let baselines = contents.kept().0.baselines;
    Target::of(output)?.write(context.out, |out| write(&baselines, out))?;
    if output.is_some() {
        writeln!(context.out, "{} baselines exported", baselines.len())?;
    }
    Ok(())
}

fn write(baselines: &[BaselineRecord], out: &mut dyn Write) -> io::Result<()> {
    for record in baselines {
        // What cannot be read here could not be read elsewhere.
        let Ok(baseline) = serde_json::from_slice(&record.record) else {
            continue;
        };
        let line = Line {
            id: record.id.clone(),
            workload: record.workload.clone(),
            updated: record.updated,
            baseline,
        };
        serde_json::to_writer(&mut *out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

fn import(path: &Path, store: &Path, context: &mut Context<'_>) -> Result<(), Failure> {
    let wrong = |reason: String| Failure::usage(format!("cannot import {}: {reason}", path.display()));
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut input = BufReader::new(file);
    let mut records = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut input)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
            .map_err(|error| wrong(error.to_string()))?;
        if read == 0 {
            break;
        }
        let number = records.len() + 1;
        let record = record(&line).ok_or_else(|| {
            wrong(format!(
                "line {number} is no baseline that this version can read; export it with the same version"
            ))
        })?;
        records.push(record);
    }
    let count = records.len();
    let max_bytes = context.config()?.store.max_bytes;
    let mut batch = Batch::default();
    batch.add_baselines(records);
    Store::open(store, max_bytes, context.now)
        .and_then(|opened| {
            let mut store = opened.store;
            store.save(&batch)
        })
        .map_err(Failure::usage)?;
    writeln!(context.out, "{count} baselines imported")?;
    Ok(())
}

fn record(line: &[u8]) -> Option<BaselineRecord> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let record = BaselineRecord {
        id: line.id,
        workload: line.workload,
        updated: line.updated,
        record: serde_json::to_vec(&line.baseline).ok()?,
    };
    record.stage().is_some().then_some(record)
}
