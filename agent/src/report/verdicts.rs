//! Incidents with their reasons, and findings by rule.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use super::{
    Data,
    html::{Badge, Escaped, end, foot, grouped, head, nothing, section, time},
};
use crate::verdict::{AlertState, Finding, Reason};

/// Incidents shown. Overflow policy: the latest, and it is said how many there are.
const SHOWN: usize = 200;

/// Endpoints named for one rule. Overflow policy: it is said how many more there are.
const NAMED: usize = 50;

pub(super) fn alerts(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "alerts",
        "Alerts",
        "Incidents: at least two independent kinds of evidence. What was only odd is an anomaly and not listed here.",
    )?;
    if data.alerts.is_empty() {
        nothing(out, "No incident.")?;
        return end(out);
    }
    head(
        out,
        "Incidents, the latest first",
        &[
            "Updated", "Severity", "Class", "Endpoint", "Workload", "Actor", "#Count", "State", "Reasons",
        ],
    )?;
    for alert in data.alerts.iter().take(SHOWN) {
        let state = match alert.state {
            AlertState::Open => "open",
            AlertState::Updated => "going on",
            AlertState::Resolved => "resolved",
        };
        write!(
            out,
            "<tr><td class=\"time\">{}</td><td>{}</td><td>{}<br><span class=\"soft\">{}</span></td><td class=\"path\">{}</td>\
             <td>{}</td><td>{}</td><td class=\"n\">{}</td><td>{state}</td><td><details><summary>{} reasons</summary><ul>",
            Escaped(&time(&alert.updated)),
            Badge(alert.severity),
            Escaped(&alert.class),
            Escaped(alert.owasp.as_deref().unwrap_or("")),
            Escaped(alert.endpoint_name.as_deref().unwrap_or("-")),
            Escaped(&alert.workload),
            Escaped(&alert.actor),
            grouped(alert.count),
            alert.reasons.len()
        )?;
        for reason in &alert.reasons {
            write!(out, "<li>{}</li>", Escaped(&sentence(reason)))?;
        }
        out.write_all(b"</ul></details></td></tr>\n")?;
    }
    foot(out)?;
    if data.alerts.len() > SHOWN {
        writeln!(
            out,
            "<p class=\"about\">The latest {SHOWN} of {} incidents are shown.</p>",
            data.alerts.len()
        )?;
    }
    end(out)
}

/// A reason with its numbers.
fn sentence(reason: &Reason) -> String {
    let mut text = format!("{}: {}", reason.group.as_str().replace('_', " "), reason.text);
    for (name, value) in [("observed", &reason.observed), ("expected", &reason.expected)] {
        if let Some(value) = value {
            text.push_str(&format!("; {name} {value}"));
        }
    }
    if let Some(n) = reason.n {
        text.push_str(&format!("; n = {n}"));
    }
    text
}

/// The title without the endpoint that it ends with.
fn heading(finding: &Finding) -> &str {
    let name = finding.endpoint_name.as_deref().unwrap_or_default();
    let title = finding.title.strip_suffix(name).unwrap_or(&finding.title);
    title.trim_end_matches([':', ' '])
}

pub(super) fn findings(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "findings",
        "Findings",
        "Facts about endpoints that somebody should change. No attack is needed for them.",
    )?;
    let mut rules: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
    for finding in &data.findings {
        rules.entry(&finding.rule).or_default().push(finding);
    }
    if rules.is_empty() {
        nothing(out, "Nothing was found.")?;
        return end(out);
    }
    let mut rules: Vec<_> = rules.into_values().collect();
    let gravity = |rule: &[&Finding]| rule.iter().map(|finding| finding.severity).max();
    rules.sort_by_key(|rule| std::cmp::Reverse((gravity(rule), rule.len())));
    head(
        out,
        "Findings by rule, the gravest first",
        &["Severity", "Finding", "What to do", "OWASP", "#Endpoints"],
    )?;
    for rule in &rules {
        let Some(first) = rule.iter().max_by_key(|finding| finding.severity) else {
            continue;
        };
        write!(
            out,
            "<tr><td>{}</td><td>{}<details><summary>where</summary><ul class=\"path\">",
            Badge(first.severity),
            Escaped(heading(first))
        )?;
        for finding in rule.iter().take(NAMED) {
            write!(
                out,
                "<li>{} <span class=\"soft\">{}</span></li>",
                Escaped(finding.endpoint_name.as_deref().unwrap_or("the workload")),
                Escaped(&finding.workload)
            )?;
        }
        if rule.len() > NAMED {
            write!(out, "<li>and {} more</li>", rule.len() - NAMED)?;
        }
        writeln!(
            out,
            "</ul></details></td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            Escaped(&first.advice),
            Escaped(first.owasp.as_deref().unwrap_or("-")),
            grouped(rule.len() as u64)
        )?;
    }
    foot(out)?;
    end(out)
}
