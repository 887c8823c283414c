//! What could be seen, and what could not.

use std::io::{self, Write};

use super::{
    Data, chart,
    html::{Escaped, end, foot, grouped, head, nothing, section},
};

pub(super) fn write(out: &mut dyn Write, data: &Data) -> io::Result<()> {
    section(
        out,
        "coverage",
        "Coverage",
        "Which part of the traffic was read. What is not listed anywhere here was not seen.",
    )?;
    let Some(status) = &data.status else {
        nothing(out, "The agent left no account of its health.")?;
        return end(out);
    };
    let losses: Vec<_> = status.lost.iter().filter(|(_, count)| **count > 0).collect();
    writeln!(
        out,
        "<p>{} exchanges in {} events{}.</p>",
        grouped(status.exchanges),
        grouped(status.events),
        match status.tier {
            0 => ", replayed from files".to_owned(),
            tier => format!(", kernel {}, capture tier {tier}", Escaped(&status.kernel)),
        }
    )?;
    match losses.is_empty() {
        true => out.write_all(b"<p class=\"good\">Nothing was lost.</p>\n")?,
        false => {
            out.write_all(b"<p>Lost, by reason:</p>\n<ul>")?;
            for (reason, count) in losses {
                write!(
                    out,
                    "<li>{}: {}</li>",
                    Escaped(&reason.replace('_', " ")),
                    grouped(*count)
                )?;
            }
            out.write_all(b"</ul>\n")?;
        }
    }
    if !status.coverage.is_empty() {
        head(
            out,
            "Coverage by workload",
            &[
                "Workload",
                "#Bytes",
                "Read",
                "#Reconciled",
                "#Joined late",
                "TLS",
                "Unreadable",
            ],
        )?;
        for row in &status.coverage {
            write!(
                out,
                "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td class=\"score\"><b>{:.1} %</b>",
                Escaped(&row.workload),
                grouped(row.bytes),
                row.read_pct
            )?;
            chart::share(out, row.read_pct, "good")?;
            let unreadable: Vec<String> = row
                .unreadable
                .iter()
                .map(|one| format!("{}: {}", one.reason.replace('_', " "), grouped(one.bytes)))
                .collect();
            writeln!(
                out,
                "</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td><td>{}</td></tr>",
                row.reconciled_pct
                    .map_or("-".to_owned(), |percent| format!("{percent:.1} %")),
                grouped(row.joined_late),
                Escaped(row.tls_library.as_deref().unwrap_or("-")),
                Escaped(&unreadable.join(", "))
            )?;
        }
        foot(out)?;
    }
    end(out)
}
