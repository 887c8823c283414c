//! All endpoints, in a table that can be searched, filtered and sorted.
//!
//! The rows are there without a script, and all of them are printed; the script hides those that do not match and
//! shows a page at a time.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::{
    Data,
    html::{Escaped, end, foot, grouped, section, time},
};
use crate::inventory::EndpointView;

/// Columns: heading, and whether it is sorted as a number. A row's cells carry what they are sorted by.
const COLUMNS: [(&str, bool); 10] = [
    ("Risk", true),
    ("Workload", false),
    ("Method", false),
    ("Path", false),
    ("Hits", true),
    ("Errors", true),
    ("p99", true),
    ("Authentication", false),
    ("Sensitive data", false),
    ("Last seen", false),
];

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "inventory",
        "Inventory",
        "Every endpoint that was seen. Type to search, choose to filter, press a heading to sort.",
    )?;
    let distinct =
        |of: fn(&EndpointView) -> &str| -> BTreeSet<&str> { data.endpoints.iter().map(of).collect() };
    out.write_all(
        b"<form id=\"filters\" role=\"search\" aria-label=\"Filter the inventory\">\n<label>Search \
          <input type=\"search\" id=\"f-text\" placeholder=\"path, workload, data type\" autocomplete=\"off\"></label>\n",
    )?;
    choice(
        out,
        "workload",
        "Workload",
        &distinct(|endpoint| &endpoint.workload),
    )?;
    choice(out, "method", "Method", &distinct(|endpoint| &endpoint.method))?;
    choice(
        out,
        "auth",
        "Authentication",
        &distinct(|endpoint| &endpoint.auth.verdict),
    )?;
    choice(
        out,
        "exposure",
        "Exposure",
        &distinct(|endpoint| endpoint.exposure.as_str()),
    )?;
    write!(
        out,
        "<label>Risk at least <input type=\"number\" id=\"f-risk\" min=\"0\" max=\"100\" step=\"5\" value=\"0\"></label>\n\
         <label class=\"check\"><input type=\"checkbox\" id=\"f-sensitive\"> sensitive data only</label>\n\
         <button type=\"reset\" class=\"quiet\">Reset</button>\n</form>\n\
         <p id=\"shown\" role=\"status\" aria-live=\"polite\">{} endpoints</p>\n\
         <div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"All endpoints\">\n\
         <table id=\"endpoints\"><caption>All endpoints</caption><thead><tr>",
        grouped(data.endpoints.len() as u64)
    )?;
    for (heading, number) in COLUMNS {
        let class = if number { " class=\"n\"" } else { "" };
        write!(
            out,
            "<th scope=\"col\"{class}><button type=\"button\">{heading}</button></th>"
        )?;
    }
    out.write_all(b"</tr></thead><tbody>\n")?;
    for endpoint in &data.endpoints {
        row(out, endpoint)?;
    }
    foot(out)?;
    out.write_all(
        b"<p class=\"pages\"><button type=\"button\" id=\"more\" class=\"quiet\" hidden>Show more</button></p>\n",
    )?;
    end(out)
}

fn choice(out: &mut dyn Write, id: &str, name: &str, values: &BTreeSet<&str>) -> io::Result<()> {
    write!(
        out,
        "<label>{name} <select id=\"f-{id}\"><option value=\"\">all</option>"
    )?;
    for value in values {
        write!(out, "<option>{}</option>", Escaped(value))?;
    }
    out.write_all(b"</select></label>\n")
}

fn row(out: &mut dyn Write, endpoint: &EndpointView) -> io::Result<()> {
    let failed: u64 = ["4xx", "5xx"]
        .iter()
        .filter_map(|class| endpoint.status.get(*class))
        .sum();
    let errors = 100.0 * failed as f64 / endpoint.status.values().sum::<u64>().max(1) as f64;
    let mut kinds: Vec<String> = Vec::new();
    for place in &endpoint.sensitive {
        let shown = format!("{}{}", place.kind, if place.suspected { "?" } else { "" });
        if !kinds.contains(&shown) {
            kinds.push(shown);
        }
    }
    let risk = endpoint.risk.unwrap_or(0.0);
    write!(
        out,
        "<tr data-exposure=\"{}\"><td class=\"n r{}\" data-v=\"{risk}\">{risk:.0}</td><td>{}</td>\
         <td><span class=\"method\">{}</span></td><td class=\"path\">{}</td><td class=\"n\" data-v=\"{}\">{}</td>",
        endpoint.exposure.as_str(),
        (risk / 25.0) as u8,
        Escaped(&endpoint.workload),
        Escaped(&endpoint.method),
        Escaped(endpoint.operation.as_ref().unwrap_or(&endpoint.template)),
        endpoint.hits,
        grouped(endpoint.hits)
    )?;
    let p99 = endpoint.latency_ms.p99;
    writeln!(
        out,
        "<td class=\"n\" data-v=\"{errors:.2}\">{errors:.0} %</td><td class=\"n\" data-v=\"{}\">{}</td>\
         <td>{}</td><td>{}</td><td class=\"time\">{}</td></tr>",
        p99.unwrap_or(-1.0),
        p99.map_or("-".to_owned(), super::html::milliseconds),
        Escaped(&endpoint.auth.verdict),
        Escaped(&kinds.join(", ")),
        Escaped(&time(&endpoint.last_seen))
    )
}
