//! `apiarist spec lint`: what is wrong with documents themselves.

use std::path::PathBuf;

use serde_json::json;

use super::check::{self, Output};
use crate::{
    cli::{Context, Failure},
    spec::lint,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist spec lint openapi.yml
  apiarist spec lint openapi.yml -o markdown --fail-on high
  apiarist spec lint users.yml orders.json -o junit --file lint.xml

Checks what bears on security: who may call each operation, servers without TLS, inputs without limits,
missing error answers, secrets in examples. Exits with 1 when the check failed.";

/// Check OpenAPI documents for what bears on security
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// OpenAPI documents, as JSON or YAML
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let documents = check::read(&args.files)?;
    let issues: Vec<_> = documents.iter().flat_map(lint::lint).collect();
    let cases: Vec<String> = documents
        .iter()
        .flat_map(|given| &given.document.operations)
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let all = json!({ "issues": issues });
    let summary = [format!(
        "{} operations in {} documents, {} issues",
        cases.len(),
        documents.len(),
        issues.len()
    )];
    args.output
        .give(context, ("spec lint", &cases, &issues), &all, &summary)
}
