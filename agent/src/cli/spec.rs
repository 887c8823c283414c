//! `apiarist spec`: OpenAPI documents of what was observed, and documents that people wrote compared with it.

mod check;
mod diff;
mod lint;

pub(super) use self::{
    check::{read, write_table},
    diff::{cases, summary},
};

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use serde_json::Value;

use super::{
    Context, Failure,
    list::text,
    progress,
    source::{self, Topic},
    target::Target,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist spec export --workload shop
  apiarist spec export --workload shop --store ./result --format json --file shop.json
  apiarist spec diff openapi.yml --workload shop
  apiarist spec lint openapi.yml";

const EXPORT_EXAMPLES: &str = "EXAMPLES:
  apiarist spec export --workload shop
  apiarist spec export --workload shop --format json --file shop.json
  apiarist spec export --store ./result";

/// OpenAPI documents: export what was observed, compare and check what was written
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Export(Export),
    Diff(diff::Args),
    Lint(lint::Args),
}

/// Write the OpenAPI 3.1 document of a workload
#[derive(Debug, clap::Args)]
#[command(after_help = EXPORT_EXAMPLES)]
struct Export {
    #[command(flatten)]
    source: source::Args,
    /// Name or id of the workload; may be left out if there is only one
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    /// Format of the document
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    match &args.command {
        Command::Export(args) => export(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::Lint(args) => lint::run(args, context),
    }
}

fn export(export: &Export, context: &mut Context<'_>) -> Result<(), Failure> {
    let documents = {
        let _step = progress::step("gathering what is known");
        export.source.rows(Topic::Specifications, context)?
    };
    let document = choose(&documents, export.workload.as_deref())?;
    let text = match export.format {
        Format::Json => serde_json::to_string_pretty(document).map_err(Failure::usage)? + "\n",
        Format::Yaml => serde_norway::to_string(document).map_err(Failure::usage)?,
    };
    Target::of(export.file.as_deref())?.write(context.out, |out| out.write_all(text.as_bytes()))
}

/// The document of the workload with this name or id.
fn choose<'a>(documents: &'a [Value], workload: Option<&str>) -> Result<&'a Value, Failure> {
    let is_meant = |row: &&Value| {
        workload.is_none_or(|name| {
            ["workload", "workload_id"]
                .iter()
                .any(|member| text(row, member) == name)
        })
    };
    let mut meant = documents.iter().filter(is_meant);
    match (meant.next(), meant.next(), workload) {
        (Some(row), None, _) => Ok(row.get("document").unwrap_or(&Value::Null)),
        (Some(_), Some(_), None) => Err(Failure::usage(format!(
            "there are several workloads: name one of {} with --workload",
            documents
                .iter()
                .map(|row| text(row, "workload"))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
        (Some(_), Some(_), Some(name)) => Err(Failure::usage(format!(
            "several workloads are called {name}: give the id of one, as `apiarist workloads -o json` shows it"
        ))),
        (None, _, Some(name)) => Err(Failure::usage(format!(
            "no workload with endpoints is called {name}: `apiarist workloads` lists them"
        ))),
        (None, _, None) => Err(Failure::usage(
            "no endpoint is known yet: there is nothing to export",
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_workload_is_chosen() {
        let row = |name: &str| json!({"workload": name, "workload_id": format!("{name}-1"), "document": {"n": name}});
        let rows = [row("a"), row("b")];
        assert_eq!(choose(&rows, Some("b")).unwrap()["n"], "b");
        assert_eq!(choose(&rows, Some("a-1")).unwrap()["n"], "a");
        assert_eq!(choose(&rows[..1], None).unwrap()["n"], "a");
        for (rows, name) in [(&rows[..], None), (&rows[..], Some("c")), (&rows[..0], None)] {
            assert!(choose(rows, name).is_err(), "{name:?}");
        }
    }
}
