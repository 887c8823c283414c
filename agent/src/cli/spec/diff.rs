//! `apiarist spec diff`: documents against what was observed.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::{self, Output};
use crate::{
    cli::{
        Context, Failure,
        source::{self, Topic},
    },
    inventory::EndpointView,
    openapi::Specification,
    spec::{Diff, diff},
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist spec diff openapi.yml --workload shop
  apiarist spec diff users.yml orders.json --store ./result -o sarif --file shop.sarif
  apiarist spec diff openapi.yml --fail-on high,shadow_endpoint

Tells what is documented, shadow (served and not documented), zombie (deprecated and still used) and
orphan (documented, and nobody asked for it), and where fields drift apart. Several documents count as
one. Reads OpenAPI 2.0, 3.0 and 3.1. Exits with 1 when the check failed.";

/// Compare OpenAPI documents with what was observed
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// OpenAPI documents, as JSON or YAML
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    source: source::Args,
    /// Compare with this workload alone: its name or id
    #[arg(long, value_name = "NAME")]
    workload: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let documents = check::read(&args.files)?;
    let is_meant = |name: &str, id: &str| {
        args.workload
            .as_ref()
            .is_none_or(|meant| meant == name || meant == id)
    };
    let mut endpoints: Vec<EndpointView> = rows(args.source.rows(Topic::Endpoints, context)?)?;
    endpoints.retain(|row| is_meant(&row.workload, &row.workload_id));
    if endpoints.is_empty() {
        return Err(Failure::usage(match &args.workload {
            Some(name) => {
                format!("no workload with endpoints is called {name}: `apiarist workloads` lists them")
            }
            None => "no endpoint is known yet: there is nothing to compare with".to_owned(),
        }));
    }
    let specifications: Vec<Specification> = rows(args.source.rows(Topic::Specifications, context)?)?;
    let result = diff(&documents, &endpoints, &specifications);
    let all = serde_json::to_value(&result).map_err(Failure::usage)?;
    args.output.give(
        context,
        ("spec diff", &cases(&result), &result.issues),
        &all,
        &summary(&result),
    )
}

fn rows<T: DeserializeOwned>(rows: Vec<Value>) -> Result<Vec<T>, Failure> {
    serde_json::from_value(Value::Array(rows)).map_err(|error| {
        Failure::usage(format!(
            "the agent's answer cannot be read: {error}; agent and command are of different versions"
        ))
    })
}

/// Everything that was compared: endpoints, and operations that nobody asked for.
pub(in crate::cli) fn cases(diff: &Diff) -> Vec<String> {
    let endpoints = diff
        .endpoints
        .iter()
        .map(|row| format!("{} {}", row.method, row.template));
    let orphans = diff
        .coverage
        .each
        .iter()
        .filter(|operation| operation.hits == 0)
        .map(|operation| format!("{} {}", operation.method, operation.path));
    endpoints.chain(orphans).collect()
}

/// What came of it, in a few lines.
pub(in crate::cli) fn summary(diff: &Diff) -> Vec<String> {
    let counts = &diff.counts;
    let coverage = &diff.coverage;
    let share = |share: crate::spec::Share| format!("{} of {}", share.exercised, share.documented);
    vec![
        format!(
            "endpoints: {} documented, {} shadow, {} zombie; {} orphan operations, {} drifts",
            counts.documented, counts.shadow, counts.zombie, counts.orphan, counts.drift
        ),
        format!(
            "exercised: {} operations, {} statuses, {} fields ({} %)",
            share(coverage.operations),
            share(coverage.statuses),
            share(coverage.fields),
            coverage.fields.percent()
        ),
    ]
}
