//! `apiarist status`: is the agent well, and what could it not see.

use std::io::Write;

use super::{
    Context, Failure,
    output::{self, Format},
    source::{self, Topic},
    table::{self, Column, visible},
    time::show_span,
};
use crate::status::{Coverage, Status, TlsReading};

const EXAMPLES: &str = "EXAMPLES:
  apiarist status
  apiarist status --coverage
  apiarist status -o json | jq .lost
  apiarist status --store /var/lib/apiarist";

/// Show the health of the agent and what it could not see
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// Show for each workload which part of its bytes was read, and why the rest was not
    #[arg(long)]
    coverage: bool,
    /// Form of the result: an object, not a list, in JSON and YAML
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

const COVERAGE: [Column; 7] = [
    Column::flexible("WORKLOAD"),
    Column::number("BYTES"),
    Column::number("READ %"),
    Column::number("RECONCILED %"),
    Column::number("JOINED LATE"),
    Column::text("TLS"),
    Column::text("UNREADABLE"),
];

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let answer = args.source.object(Topic::Status, context)?;
    if args.output != Format::Table {
        return output::object(context.out, args.output, &answer);
    }
    let status: Status = serde_json::from_value(answer)
        .map_err(|error| Failure::usage(format!("the status cannot be read: {error}")))?;
    summary(context.out, &status)?;
    if args.coverage {
        writeln!(context.out)?;
        let rows: Vec<_> = status.coverage.iter().map(coverage).collect();
        table::write(
            context.out,
            context.terminal,
            &COVERAGE,
            &rows,
            "No workload seen yet.",
        )?;
    }
    Ok(())
}

fn summary(out: &mut dyn Write, status: &Status) -> Result<(), Failure> {
    let uptime = std::time::Duration::from_secs(status.uptime as u64);
    writeln!(out, "version     {}", visible(&status.version))?;
    writeln!(out, "uptime      {}", show_span(uptime))?;
    writeln!(
        out,
        "kernel      {}, capture tier {}",
        visible(&status.kernel),
        status.tier
    )?;
    writeln!(
        out,
        "TLS         {}",
        match status.tls {
            TlsReading::Off => "not read",
            TlsReading::Starting => "about to be read",
            TlsReading::On => "read",
            TlsReading::Refused => "not read: the kernel refuses the programs",
        }
    )?;
    writeln!(out, "events      {} ({})", status.events, size(status.bytes))?;
    writeln!(out, "exchanges   {}", status.exchanges)?;
    writeln!(out, "memory      {}", size(status.memory_bytes))?;
    writeln!(out, "cpu         {:.1} s", status.cpu_seconds)?;
    let lost: Vec<_> = status.lost.iter().filter(|(_, count)| **count > 0).collect();
    match lost.is_empty() {
        true => writeln!(out, "lost        nothing")?,
        false => {
            writeln!(out, "lost")?;
            for (reason, count) in lost {
                writeln!(out, "  {:<28} {count}", visible(reason))?;
            }
        }
    }
    for sink in &status.sinks {
        let name = visible(&sink.name);
        writeln!(
            out,
            "sink        {name}: {} sent, {} queued, {} dropped",
            sink.sent, sink.queued, sink.dropped
        )?;
    }
    Ok(())
}

fn coverage(row: &Coverage) -> Vec<String> {
    let unreadable: Vec<String> = row
        .unreadable
        .iter()
        .map(|part| format!("{} {}", part.reason, size(part.bytes)))
        .collect();
    vec![
        row.workload.clone(),
        size(row.bytes),
        format!("{:.1}", row.read_pct),
        row.reconciled_pct
            .map_or_else(|| "-".to_owned(), |share| format!("{share:.1}")),
        row.joined_late.to_string(),
        tls(row),
        if unreadable.is_empty() {
            "-".to_owned()
        } else {
            unreadable.join(", ")
        },
    ]
}

/// The library, then what clients say in the open: the servers they want, and the protocols they offer.
fn tls(row: &Coverage) -> String {
    let said = [row.server_names.join(" "), row.protocols.join(" ")];
    let said = said.iter().filter(|part| !part.is_empty());
    let said = said.map(String::as_str).collect::<Vec<_>>().join("; ");
    let library = row.tls_library.as_deref().unwrap_or("-");
    match said.is_empty() {
        true => library.to_owned(),
        false => format!("{library} ({said})"),
    }
}

/// Bytes with a binary unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut shown = "KiB";
    for unit in UNITS.iter().skip(1) {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        shown = unit;
    }
    format!("{amount:.1} {shown}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Unreadable;

    #[test]
    fn losses_are_listed_and_their_absence_is_said() {
        let mut status = Status {
            uptime: 3661.0,
            lost: [("ring_full_bytes".to_owned(), 0)].into(),
            ..Status::default()
        };
        let show = |status: &Status| {
            let mut out = Vec::new();
            summary(&mut out, status).unwrap();
            String::from_utf8(out).unwrap()
        };
        let text = show(&status);
        assert!(
            text.contains("uptime      1h 1m 1s\n") && text.contains("lost        nothing\n"),
            "{text}"
        );
        status.lost.insert("io_uring_bytes".into(), 7);
        assert!(
            show(&status).contains("lost\n  io_uring_bytes               7\n"),
            "{}",
            show(&status)
        );
    }

    #[test]
    fn coverage_says_why_bytes_were_not_read() {
        let row = Coverage {
            workload: "shop".into(),
            bytes: 1024 * 1024,
            read_pct: 99.25,
            unreadable: vec![Unreadable {
                reason: "io_uring".into(),
                bytes: 100,
            }],
            ..Coverage::default()
        };
        assert_eq!(
            coverage(&row),
            ["shop", "1.0 MiB", "99.2", "-", "0", "-", "io_uring 100 B"]
        );
    }

    #[test]
    fn sizes_have_binary_units() {
        assert_eq!(
            [size(0), size(1023), size(1536), size(u64::MAX)],
            ["0 B", "1023 B", "1.5 KiB", "16.0 EiB"]
        );
    }
}
