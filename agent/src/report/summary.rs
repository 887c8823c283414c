//! The figures that everybody looks at first.

use std::io::{self, Write};

use super::{
    Data,
    html::{Escaped, grouped, time},
};
use crate::verdict::{AlertState, Severity};

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    let open = data
        .alerts
        .iter()
        .filter(|alert| alert.state != AlertState::Resolved);
    let grave = data
        .findings
        .iter()
        .filter(|finding| finding.severity >= Severity::High);
    let exposed = data.endpoints.iter().filter(|one| one.auth.verdict == "missing");
    let sensitive = data
        .endpoints
        .iter()
        .filter(|one| one.sensitive.iter().any(|place| !place.suspected));
    let hits: u64 = data.endpoints.iter().map(|endpoint| endpoint.hits).sum();
    let (open, grave) = (open.count() as u64, grave.count() as u64);
    out.write_all(b"<section id=\"summary\" aria-label=\"Summary\" class=\"cards\">\n")?;
    card(
        out,
        "Endpoints",
        data.endpoints.len() as u64,
        &format!("{} workloads", grouped(data.workloads.len() as u64)),
        "",
    )?;
    card(out, "Exchanges", hits, &span(data), "")?;
    card(
        out,
        "Open incidents",
        open,
        &format!("{} anomalies", grouped(data.anomalies.len() as u64)),
        mark(open),
    )?;
    card(
        out,
        "Grave findings",
        grave,
        &format!("of {}", grouped(data.findings.len() as u64)),
        mark(grave),
    )?;
    card(
        out,
        "Without authentication",
        exposed.count() as u64,
        "endpoints that answer anybody",
        "",
    )?;
    card(
        out,
        "Sensitive data",
        sensitive.count() as u64,
        "endpoints that handle it",
        "",
    )?;
    out.write_all(b"</section>\n")
}

fn mark(count: u64) -> &'static str {
    if count > 0 { " alarm" } else { "" }
}

fn card(out: &mut dyn Write, name: &str, number: u64, note: &str, class: &str) -> io::Result<()> {
    writeln!(
        out,
        "<div class=\"card{class}\"><p class=\"name\">{name}</p><p class=\"number\">{}</p><p class=\"note\">{}</p></div>",
        grouped(number),
        Escaped(note)
    )
}

/// From when to when traffic was seen.
fn span(data: &Data) -> String {
    let first = data.endpoints.iter().map(|endpoint| &endpoint.first_seen).min();
    let last = data.endpoints.iter().map(|endpoint| &endpoint.last_seen).max();
    match first.zip(last) {
        Some((first, last)) => format!("{} to {}", time(first), time(last)),
        None => "none seen".to_owned(),
    }
}
