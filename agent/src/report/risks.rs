//! The riskiest endpoints, and why.

use std::io::{self, Write};

use super::{
    Data, chart,
    html::{Badge, Escaped, end, foot, head, nothing, section},
};

/// Endpoints shown. The inventory has all of them.
const SHOWN: usize = 15;

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "risk",
        "Risk",
        "The endpoints to look at first. The score goes from 0 to 100; every factor is listed with what it adds.",
    )?;
    let risks: Vec<_> = data.risks.iter().filter(|risk| risk.endpoint.is_some()).collect();
    if risks.is_empty() {
        nothing(out, "Nothing speaks against any endpoint.")?;
        return end(out);
    }
    head(
        out,
        "Endpoints with the highest risk",
        &["#Score", "Severity", "Endpoint", "Workload", "Exposure", "Why"],
    )?;
    for risk in risks.iter().take(SHOWN) {
        let severity = risk.severity.as_str();
        write!(out, "<tr><td class=\"n score\"><b>{:.0}</b>", risk.score)?;
        chart::share(out, risk.score, severity)?;
        write!(
            out,
            "</td><td>{}</td><td class=\"path\">{}</td><td>{}</td><td>{}</td><td><ul class=\"why\">",
            Badge(risk.severity),
            Escaped(risk.endpoint_name.as_deref().unwrap_or("-")),
            Escaped(&risk.workload),
            risk.exposure.as_str()
        )?;
        for factor in &risk.factors {
            write!(
                out,
                "<li>{} <span class=\"soft\">+{:.0}</span></li>",
                Escaped(&factor.text),
                factor.points
            )?;
        }
        out.write_all(b"</ul></td></tr>\n")?;
    }
    foot(out)?;
    if risks.len() > SHOWN {
        writeln!(
            out,
            "<p class=\"about\">{SHOWN} of {} endpoints with a risk are shown; the inventory lists all.</p>",
            risks.len()
        )?;
    }
    end(out)
}
