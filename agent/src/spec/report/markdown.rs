//! Markdown for a merge request or a job's summary: what failed first, then the rest.

use std::fmt::Write as _;

use super::Report;
use crate::{spec::Issue, verdict::Severity};

/// Issues shown. Overflow policy: the gravest, and how many more there are.
const MAX_ROWS: usize = 200;

/// The report as Markdown, with lines of the caller's under its heading.
pub fn markdown(report: &Report<'_>, summary: &[String]) -> String {
    let failing = report
        .issues
        .iter()
        .filter(|issue| report.gate.fails(issue))
        .count();
    let verdict = match failing {
        0 => "passed".to_owned(),
        1 => "failed: 1 issue".to_owned(),
        count => format!("failed: {count} issues"),
    };
    let mut out = format!("## Apiarist {}: {verdict}\n", report.check);
    if !summary.is_empty() {
        out.push('\n');
    }
    for line in summary {
        // Writing to a string cannot fail.
        writeln!(out, "- {}", cell(line)).ok();
    }
    if report.issues.is_empty() {
        out.push_str("\nNothing was found.\n");
        return out;
    }
    let mut issues: Vec<&Issue> = report.issues.iter().collect();
    issues.sort_by_key(|issue| {
        (
            std::cmp::Reverse(report.gate.fails(issue)),
            std::cmp::Reverse(issue.severity),
        )
    });
    out.push_str("\n| | Severity | Endpoint | Rule | What |\n|---|---|---|---|---|\n");
    for issue in issues.iter().take(MAX_ROWS) {
        let mark = if report.gate.fails(issue) { "❌" } else { "" };
        let severity = match issue.severity {
            Severity::Critical | Severity::High => format!("**{}**", issue.severity.as_str()),
            _ => issue.severity.as_str().to_owned(),
        };
        writeln!(
            out,
            "| {mark} | {severity} | {} | {} | {} |",
            code(&issue.endpoint),
            code(&issue.rule),
            cell(&issue.text)
        )
        .ok();
    }
    if let Some(more) = issues.len().checked_sub(MAX_ROWS).filter(|more| *more > 0) {
        writeln!(out, "\n{more} more are in the other reports.").ok();
    }
    out
}

/// Text in a cell: neither ends the cell nor is markup.
fn cell(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut out, c| {
            match c {
                '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '#' => {
                    out.push('\\');
                    out.push(c);
                }
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '&' => out.push_str("&amp;"),
                c if c.is_control() => out.push(' '),
                c => out.push(c),
            }
            out
        })
}

fn code(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| {
            if c.is_control() || "`|".contains(c) {
                ' '
            } else {
                c
            }
        })
        .collect();
    if plain.is_empty() {
        String::new()
    } else {
        format!("`{plain}`")
    }
}
