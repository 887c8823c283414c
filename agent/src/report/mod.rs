//! The report: one HTML file with everything, for people who were not there.
//!
//! In: the rows of the query commands ([`Data`]). Out: a page that needs no network, no server and, but for filtering,
//! no script. Everything from the traffic is escaped, and a content security policy lets nothing but the page's own
//! script run. The same rows give the same page. Refuses to conclude anything: it shows what was concluded.

mod chart;
mod coverage;
mod html;
mod inventory;
mod latency;
mod owasp;
mod risks;
mod summary;
mod verdicts;

use std::io::{self, Write};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use self::html::Escaped;
use crate::{
    inventory::{EndpointView, WorkloadView},
    risk::RiskView,
    status::Status,
    verdict::{Alert, Finding},
};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// What a report shows.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// Heading: the name of the host or environment.
    pub title: String,
    /// When it was made, RFC 3339.
    pub made: String,
    /// All endpoints.
    pub endpoints: Vec<EndpointView>,
    /// All workloads.
    pub workloads: Vec<WorkloadView>,
    /// Incidents, the latest first.
    pub alerts: Vec<Alert>,
    /// Anomalies, the latest first.
    pub anomalies: Vec<Alert>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Risks, the highest first.
    pub risks: Vec<RiskView>,
    /// The agent's health; absent when it never wrote one.
    pub status: Option<Status>,
}

/// The sections, in order: id and name for the navigation.
const SECTIONS: [(&str, &str); 7] = [
    ("risk", "Risk"),
    ("alerts", "Alerts"),
    ("findings", "Findings"),
    ("owasp", "OWASP"),
    ("latency", "Latency"),
    ("coverage", "Coverage"),
    ("inventory", "Inventory"),
];

/// Writes the page.
///
/// # Errors
/// What the writer says.
pub fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    head(out, data)?;
    summary::write(out, data)?;
    risks::write(out, data)?;
    verdicts::alerts(out, data)?;
    verdicts::findings(out, data)?;
    owasp::write(out, data)?;
    latency::write(out, data)?;
    coverage::write(out, data)?;
    inventory::write(out, data)?;
    write!(
        out,
        "</main>\n<footer><p>Made by apiarist {} on {}. Holds no value of any request or response.</p></footer>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
        Escaped(&html::time(&data.made))
    )
}

fn head(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    let hash = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    let title = Escaped(&data.title);
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{hash}'; img-src data:\">\n\
         <link rel=\"icon\" href=\"data:,\">\n<title>API report: {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#inventory\">Skip to the inventory</a>\n<header>\n<div class=\"brand\">\
         <svg viewBox=\"0 0 24 24\" width=\"30\" height=\"30\" aria-hidden=\"true\">\
         <path d=\"M12 1.5 21 6.75v10.5L12 22.5 3 17.25V6.75z\"/></svg>\
         <div><h1>{title}</h1><p>API report, {}</p></div></div>\n<nav aria-label=\"Sections\">",
        Escaped(&html::time(&data.made))
    )?;
    for (id, name) in SECTIONS {
        write!(out, "<a href=\"#{id}\">{name}</a>")?;
    }
    out.write_all(
        b"</nav>\n<button type=\"button\" id=\"theme\" class=\"quiet\">Switch theme</button>\n</header>\n<main>\n",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::fixture::{alert, finding};

    fn page(data: &Data) -> String {
        let mut out = Vec::new();
        write(&mut out, data).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_page_has_every_section_and_asks_for_nothing() {
        let page = page(&Data::default());
        for (id, _) in SECTIONS {
            assert!(page.contains(&format!("<section id=\"{id}\"")), "{id}");
        }
        for outside in ["http://", "https://", "src=\"", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn what_came_over_the_network_stays_text() {
        let hostile = "<script>alert(1)</script>\"'&\u{202e}";
        let mut bad = alert("a1");
        bad.actor = hostile.into();
        bad.endpoint_name = Some(hostile.into());
        let mut wrong = finding("f1");
        wrong.endpoint_name = Some(hostile.into());
        wrong.workload = hostile.into();
        let data = Data {
            title: hostile.into(),
            alerts: vec![bad],
            findings: vec![wrong],
            ..Data::default()
        };
        let page = page(&data);
        assert_eq!(page.matches("<script>").count(), 1, "the page's own");
        assert!(!page.contains('\u{202e}'));
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    }

    #[test]
    fn the_same_rows_give_the_same_page() {
        let data = Data {
            alerts: vec![alert("a1"), alert("a2")],
            findings: vec![finding("f1")],
            ..Data::default()
        };
        assert_eq!(page(&data), page(&data));
    }
}
