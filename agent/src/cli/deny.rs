//! `apiarist deny export`: an incident as a deny-list for the tools that could keep its actor out.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use super::{
    Context, Failure,
    source::{self, Topic},
    target::Target,
    time,
};
use crate::{
    deny::{Denial, Form},
    verdict::Alert,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist deny export 00c4f1 --format nftables --for 1h
  apiarist deny export 00c4f1 --format networkpolicy --label app=shop --file deny.yaml
  apiarist deny export 00c4f1 --format envoy --address 203.0.113.9 --store ./result";

/// Deny-lists from incidents: exported, never applied
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Export(Export),
}

/// Write a deny-list for the actor of an incident
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Export {
    /// Id of the incident as `apiarist alerts` shows it, or the beginning of it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    source: source::Args,
    /// Which tool it is for
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Form,
    /// For how long, such as 30m or 12h
    #[arg(long = "for", value_name = "SPAN", default_value = "1h", value_parser = time::span)]
    span: Duration,
    /// Deny these addresses instead of the actor
    #[arg(long, value_name = "IP")]
    address: Vec<IpAddr>,
    /// Protect pods with this label (name=value); for networkpolicy
    #[arg(long, value_name = "LABEL", value_parser = label)]
    label: Vec<(String, String)>,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "give a label as name=value".to_owned())?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let Command::Export(args) = &args.command;
    let rows = args.source.rows(Topic::Alerts, context)?;
    let alerts: Vec<Alert> = serde_json::from_value(rows.into())
        .map_err(|error| Failure::usage(format!("the alerts cannot be read: {error}")))?;
    let alert = find(&alerts, &args.id)?;
    let mut denial =
        Denial::of(alert, args.address.clone(), args.span, context.now).map_err(Failure::usage)?;
    denial.labels.clone_from(&args.label);
    let text = denial.write(args.format);
    Target::of(args.file.as_deref())?.write(context.out, |out| out.write_all(text.as_bytes()))
}

fn find<'a>(alerts: &'a [Alert], id: &str) -> Result<&'a Alert, Failure> {
    let mut matching = alerts
        .iter()
        .filter(|alert| !id.is_empty() && alert.id.starts_with(id));
    let shown = id.escape_debug();
    match (matching.next(), matching.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Failure::usage(format!(
            "several incidents have ids that begin with `{shown}`: give more of it"
        ))),
        (None, _) => Err(Failure::usage(format!(
            "no incident has the id `{shown}`: `apiarist alerts` lists them"
        ))),
    }
}
