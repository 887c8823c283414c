//! `apiarist alerts` and `apiarist anomalies`: what was malicious, and what was only odd.

use std::{io::Write, ops::ControlFlow};

use serde_json::Value;

use super::{
    Context, Failure, Terminal,
    list::{List, Shown, text},
    output::{self, Format},
    query,
    source::Topic,
    table::{Column, shorten, visible},
    time::ago,
};
use crate::{
    select::{at, time_of},
    verdict::Alert,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist alerts
  apiarist alerts --follow
  apiarist alerts --since 1d --sort -severity --limit 20
  apiarist alerts --filter 'severity >= \"high\" and state != \"resolved\"'
  apiarist alerts --store /var/lib/apiarist -o json | jq '.[].reasons'
  apiarist --fleet clickhouse://clickhouse.example.net/apiarist alerts --since 1h";

const ANOMALY_EXAMPLES: &str = "EXAMPLES:
  apiarist anomalies
  apiarist anomalies --workload shop --since 1h
  apiarist anomalies --filter 'reasons.group == \"statistical\"' -o jsonl";

/// List incidents: malicious, with the reasons for saying so
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    query: query::Args,
    /// Show those that are there, then each as it opens or changes, until interrupted
    #[arg(short, long, conflicts_with_all = ["store", "sort", "limit", "offset"])]
    follow: bool,
}

/// List anomalies: odd, recorded, not alerted
#[derive(Debug, clap::Args)]
#[command(after_help = ANOMALY_EXAMPLES)]
pub(super) struct AnomalyArgs {
    #[command(flatten)]
    query: query::Args,
}

const COLUMNS: [Shown; 9] = [
    Shown::made(Column::number("UPDATED"), &["updated"], |row, now| {
        ago(time_of(at(row, "updated")), now)
    }),
    Shown::member(Column::text("SEVERITY"), "severity"),
    Shown::member(Column::text("CLASS"), "class"),
    Shown::member(Column::text("WORKLOAD"), "workload"),
    Shown::member(Column::flexible("ENDPOINT"), "endpoint_name"),
    Shown::member(Column::text("ACTOR"), "actor"),
    Shown::member(Column::number("COUNT"), "count"),
    Shown::member(Column::text("STATE"), "state"),
    Shown::made(Column::text("ID"), &["id"], |row, _| {
        // The beginning tells alerts apart.
        text(row, "id").chars().take(12).collect()
    }),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if args.follow {
        return follow(&args.query, context);
    }
    list(Topic::Alerts, "No alert matches.").show(&args.query, context)
}

pub(super) fn anomalies(args: &AnomalyArgs, context: &mut Context<'_>) -> Result<(), Failure> {
    list(Topic::Anomalies, "No anomaly matches.").show(&args.query, context)
}

fn list(topic: Topic, empty: &str) -> List<'_> {
    List {
        topic,
        columns: &COLUMNS,
        empty,
    }
}

/// Writes alerts as the agent sends them: a line for people, or one JSON object a line.
fn follow(query: &query::Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if context.fleet.is_some() {
        return Err(Failure::usage("--follow asks one agent: leave out --fleet"));
    }
    if !matches!(query.output, Format::Table | Format::Json | Format::Jsonl) {
        return Err(Failure::usage(
            "--follow writes lines: use -o table or -o jsonl with it",
        ));
    }
    let selection = query.selection(context.now)?;
    let mut outcome = Ok(());
    query
        .source
        .follow("/v1/alerts?follow=true", context, |context, row| {
            if let Some(missed) = row.get("missed") {
                tracing::warn!(%missed, "alerts came faster than they were read; these are left out");
                return ControlFlow::Continue(());
            }
            let written = match selection.accepts(&row.to_string()) {
                Ok(true) => write(query.output, &row, context),
                Ok(false) => Ok(()),
                Err(error) => Err(error.into()),
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(failure) => {
                    outcome = Err(failure);
                    ControlFlow::Break(())
                }
            }
        })?;
    outcome
}

fn write(format: Format, row: &Value, context: &mut Context<'_>) -> Result<(), Failure> {
    let out = &mut *context.out;
    match format {
        Format::Table => writeln!(out, "{}", line(row))?,
        _ => output::rows(out, Format::Jsonl, std::slice::from_ref(row))?,
    }
    Ok(out.flush()?)
}

/// One line for an alert, fitted to the terminal.
pub(super) fn announce(out: &mut dyn Write, terminal: Terminal, alert: &Alert) -> Result<(), Failure> {
    // An alert holds text and finite numbers, which JSON can always say.
    let line = format!(
        "alert  {}",
        line(&serde_json::to_value(alert).unwrap_or_default())
    );
    match terminal.width {
        Some(width) => writeln!(out, "{}", shorten(&line, width))?,
        None => writeln!(out, "{line}")?,
    }
    Ok(())
}

/// One alert in one line, with its reasons.
fn line(row: &Value) -> String {
    let reasons = at(row, "reasons").as_array().into_iter().flatten();
    let reasons: Vec<String> = reasons.map(|reason| text(reason, "text")).collect();
    let shown = format!(
        "{}  {:<8}  {}  {}  {}  {}  {}: {}",
        text(row, "updated"),
        text(row, "severity"),
        text(row, "class"),
        text(row, "workload"),
        text(row, "endpoint_name"),
        text(row, "actor"),
        text(row, "state"),
        reasons.join("; "),
    );
    visible(&shown).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::list::cells, clock::Timestamp, verdict::fixture::alert};

    #[test]
    fn an_alert_is_a_row_and_a_line() {
        let mut alert = alert("0123456789abcdef");
        alert.actor = "10.0.0.7\u{1b}[31m".into();
        let row = serde_json::to_value(alert).unwrap();
        let now = Timestamp::from_rfc3339("2026-01-31T08:02:00Z").unwrap();
        let expected = [
            "2m",
            "high",
            "sqli",
            "shop",
            "GET /v1/users/{userId}",
            "10.0.0.7\u{1b}[31m",
            "3",
            "open",
            "0123456789ab",
        ];
        assert_eq!(cells(&COLUMNS, &row, now), expected);
        assert_eq!(
            line(&row),
            r"2026-01-31T08:00:00.000Z  high      sqli  shop  GET /v1/users/{userId}  10.0.0.7\u{1b}[31m  open: it was seen; it was seen"
        );
    }
}
