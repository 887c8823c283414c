//! What was seen of each risk of the OWASP API Security Top 10.

use std::{
    collections::BTreeSet,
    io::{self, Write},
};

use super::{
    Data,
    html::{end, foot, grouped, head, section},
};

/// OWASP API Security Top 10, edition 2023: id, name, and what is looked for.
const RISKS: [(&str, &str, &str); 10] = [
    (
        "API1:2023",
        "Broken object level authorization",
        "ids that belong to others, enumeration of ids",
    ),
    (
        "API2:2023",
        "Broken authentication",
        "credential stuffing, reused and weak tokens, mixed authentication",
    ),
    (
        "API3:2023",
        "Broken object property level authorization",
        "sensitive data newly returned, unknown fields accepted",
    ),
    (
        "API4:2023",
        "Unrestricted resource consumption",
        "page sizes, query depth, batches, body sizes",
    ),
    (
        "API5:2023",
        "Broken function level authorization",
        "callers that use functions they never used",
    ),
    (
        "API6:2023",
        "Unrestricted access to sensitive business flows",
        "steps that are left out",
    ),
    (
        "API7:2023",
        "Server side request forgery",
        "addresses in requests that the server then calls",
    ),
    (
        "API8:2023",
        "Security misconfiguration",
        "injection, clear text, CORS, error details, debug endpoints",
    ),
    (
        "API9:2023",
        "Improper inventory management",
        "shadow and zombie endpoints, old versions",
    ),
    (
        "API10:2023",
        "Unsafe consumption of APIs",
        "new hosts that a workload calls",
    ),
];

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "owasp",
        "OWASP API Security Top 10",
        "What was seen of each risk of the 2023 edition. Nothing seen means just that.",
    )?;
    head(
        out,
        "OWASP API Security Top 10, 2023",
        &[
            "Id",
            "Risk",
            "Looked for",
            "#Incidents",
            "#Anomalies",
            "#Findings",
            "#Endpoints",
        ],
    )?;
    for (id, name, sought) in RISKS {
        let is = |owasp: &Option<std::borrow::Cow<'static, str>>| owasp.as_deref() == Some(id);
        let alerts = data.alerts.iter().filter(|alert| is(&alert.owasp));
        let anomalies = data.anomalies.iter().filter(|alert| is(&alert.owasp));
        let findings = data.findings.iter().filter(|finding| is(&finding.owasp));
        let endpoints: BTreeSet<_> = alerts
            .clone()
            .filter_map(|alert| alert.endpoint)
            .chain(findings.clone().filter_map(|finding| finding.endpoint))
            .collect();
        write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{name}</td><td class=\"soft\">{sought}</td>",
            id.split(':').next().unwrap_or(id)
        )?;
        for count in [
            alerts.count(),
            anomalies.count(),
            findings.count(),
            endpoints.len(),
        ] {
            let class = if count == 0 { "n zero" } else { "n" };
            write!(out, "<td class=\"{class}\">{}</td>", grouped(count as u64))?;
        }
        out.write_all(b"</tr>\n")?;
    }
    foot(out)?;
    end(out)
}
