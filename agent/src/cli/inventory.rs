//! `apiarist inventory`: the inventory at one time, kept in a file, and what changed between two times.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use serde_json::Value;

use super::{
    Context, Failure,
    everything::list,
    list::{dash, operation, text},
    output::{self, Format},
    source::{self, Settled, Topic},
    table::{self, Column},
    target::Target,
    time::point_in_time,
};
use crate::{
    clock::Timestamp,
    config::default_store,
    snapshot::{Aspect, Change, Snapshot, diff},
    store::{Reader, Table},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist inventory snapshot -o monday.json
  apiarist inventory diff monday.json
  apiarist inventory diff 7d now --fail-on new,auth,sensitive";

const SNAPSHOT_EXAMPLES: &str = "EXAMPLES:
  apiarist inventory snapshot -o monday.json
  apiarist inventory snapshot --store /var/lib/apiarist > monday.json

Equal inventories give equal files, but for the time in their first line. No value of any message is in them.";

const DIFF_EXAMPLES: &str = "EXAMPLES:
  apiarist inventory diff monday.json
  apiarist inventory diff monday.json friday.json -o json
  apiarist inventory diff 2026-01-31 now --fail-on new,gone
  apiarist inventory diff 7d --workload shop

OLD and NEW are snapshots, directories of stores, `now`, or times: a span before now (7d) or a date. For a time
the snapshot is taken that the agent kept last before it: one a day is in its store. Exits with 1 when --fail-on
names a kind of change that was found.";

/// Keep the inventory of a time, and tell what changed between two times
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Snapshot(SnapshotArgs),
    Diff(DiffArgs),
}

/// Write the inventory as it is now to a file
#[derive(Debug, clap::Args)]
#[command(after_help = SNAPSHOT_EXAMPLES)]
struct SnapshotArgs {
    #[command(flatten)]
    source: source::Args,
    /// File that the snapshot is written to; `-` is standard output
    #[arg(short, long, value_name = "-|FILE", default_value = "-")]
    output: PathBuf,
}

/// Tell what changed between two times: endpoints, authentication, fields, sensitive data, exposure
#[derive(Debug, clap::Args)]
#[command(after_help = DIFF_EXAMPLES)]
struct DiffArgs {
    /// What was: a snapshot, a store, or a time
    #[arg(value_name = "OLD")]
    old: String,
    /// What is
    #[arg(value_name = "NEW", default_value = "now")]
    new: String,
    #[command(flatten)]
    source: source::Args,
    /// Only this workload
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Exit with 1 when there is a change of these kinds: new, gone, auth, schema, sensitive, exposure, or any
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fail_on)]
    fail_on: Vec<FailOn>,
    /// Form of the result
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

/// What fails the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FailOn {
    Any,
    Aspect(Aspect),
}

fn fail_on(text: &str) -> Result<FailOn, String> {
    let aspect = Aspect::ALL.into_iter().find(|aspect| aspect.as_str() == text);
    match (text, aspect) {
        ("any", _) => Ok(FailOn::Any),
        (_, Some(aspect)) => Ok(FailOn::Aspect(aspect)),
        (_, None) => Err("one of new, gone, auth, schema, sensitive, exposure, any".to_owned()),
    }
}

const COLUMNS: [Column; 7] = [
    Column::text("CHANGE"),
    Column::text("WORKLOAD"),
    Column::text("METHOD"),
    Column::flexible("PATH"),
    Column::text("WHERE"),
    Column::text("BEFORE"),
    Column::text("AFTER"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    match &args.command {
        Command::Snapshot(args) => take(args, context),
        Command::Diff(args) => compare(args, context),
    }
}

fn take(args: &SnapshotArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let snapshot = present(&args.source.settled(context)?, context.now)?;
    let target = Target::create(args.output.clone())?;
    let is_file = matches!(target, Target::File(..));
    target.write(context.out, |out| snapshot.write(out))?;
    if is_file {
        let shown = args.output.display();
        writeln!(context.out, "{shown}: {} endpoints", snapshot.endpoints.len())?;
    }
    Ok(())
}

fn compare(args: &DiffArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    let (old, new) = (side(&args.old, args, context)?, side(&args.new, args, context)?);
    let mut changes = diff(&old, &new);
    if let Some(name) = &args.workload {
        changes.retain(|change| change.workload == *name);
    }
    write(&changes, args.output, context)?;
    let fails = |change: &Change| {
        let is_meant =
            |fail_on: &FailOn| matches!(fail_on, FailOn::Any) || *fail_on == FailOn::Aspect(change.change);
        args.fail_on.iter().any(is_meant)
    };
    match changes.iter().any(fails) {
        true => Err(Failure::check()),
        false => Ok(()),
    }
}

fn write(changes: &[Change], format: Format, context: &mut Context<'_>) -> Result<(), Failure> {
    let rows: Vec<Value> = changes
        .iter()
        .map(serde_json::to_value)
        .collect::<Result<_, _>>()
        .map_err(Failure::usage)?;
    if format != Format::Table {
        return output::rows(context.out, format, &rows);
    }
    let cells = |row: &Value| {
        vec![
            text(row, "change"),
            text(row, "workload"),
            text(row, "method"),
            operation(row),
            text(row, "place"),
            text(row, "before"),
            text(row, "after"),
        ]
    };
    let lines: Vec<_> = rows.iter().map(cells).collect();
    table::write(
        context.out,
        context.terminal,
        &COLUMNS,
        &lines,
        "Nothing changed.",
    )
}

/// One side of a comparison.
fn side(named: &str, args: &DiffArgs, context: &Context<'_>) -> Result<Snapshot, Failure> {
    let path = Path::new(named);
    if named == "now" {
        return present(&args.source.settled(context)?, context.now);
    }
    if path.is_dir() {
        let store = Settled::Store {
            directory: path.to_owned(),
            config: Box::new(context.config()?),
        };
        return present(&store, context.now);
    }
    if path.is_file() {
        let text = fs::read(path).map_err(|error| Failure::usage(format!("cannot read {named}: {error}")))?;
        return Snapshot::read(&text).map_err(|error| Failure::usage(format!("cannot use {named}: {error}")));
    }
    let time = match point_in_time(named, context.now) {
        Ok(time) => time,
        // A date alone is its end.
        Err(_) => point_in_time(&format!("{named}T23:59:59Z"), context.now).map_err(|_| {
            Failure::usage(format!(
                "`{}` is neither a snapshot, a store nor a time: name a file of `apiarist inventory snapshot`, or write 7d or 2026-01-31",
                named.escape_debug()
            ))
        })?,
    };
    let is_root = rustix::process::geteuid().is_root();
    let directory = args.source.directory().map_or_else(
        || default_store(is_root, |name| std::env::var_os(name).map(PathBuf::from)),
        Path::to_owned,
    );
    kept(&directory, time)
}

/// The inventory as it is.
fn present(source: &Settled, now: Timestamp) -> Result<Snapshot, Failure> {
    let endpoints = list(source, Topic::Endpoints)?;
    let documents = list(source, Topic::Specifications)?;
    Ok(Snapshot::of(&endpoints, &documents, now.rfc3339()))
}

/// The snapshot that the agent kept last before a time.
fn kept(store: &Path, time: Timestamp) -> Result<Snapshot, Failure> {
    let reader = Reader::open(store).map_err(Failure::usage)?;
    let mut rows = reader.table(Table::Snapshots).map_err(Failure::usage)?;
    rows.sort_by_key(|row| row.last_seen);
    let before = rows.iter().rfind(|row| row.last_seen <= time);
    let shown = store.display();
    let Some(row) = before else {
        let oldest = rows.first().map_or_else(dash, |row| row.last_seen.rfc3339());
        return Err(Failure::usage(format!(
            "the store {shown} keeps no snapshot of {} or before: its oldest is of {oldest}",
            time.rfc3339()
        )));
    };
    Snapshot::unpack(&row.record)
        .map_err(|error| Failure::usage(format!("a snapshot of the store {shown} cannot be used: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_change_are_named() {
        assert_eq!(fail_on("any"), Ok(FailOn::Any));
        for aspect in Aspect::ALL {
            assert_eq!(fail_on(aspect.as_str()), Ok(FailOn::Aspect(aspect)));
        }
        assert!(fail_on("colour").is_err());
    }
}
