//! `apiarist report -o FILE.html`: everything in one page.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{Context, Failure, everything::Everything, progress, source};
use crate::report::{self, Data};

const EXAMPLES: &str = "EXAMPLES:
  apiarist report -o report.html
  apiarist report --store /var/lib/apiarist -o report.html --title 'Shop, production'
  apiarist report --output - > report.html

The file needs no network and no other file: send it, print it, archive it. It holds no value of any
request or response.";

/// Write a report: one HTML file with inventory, risks, alerts and coverage
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
    /// File that the report is written to; `-` is standard output
    #[arg(short, long, value_name = "-|FILE")]
    output: PathBuf,
    /// Heading of the report [default: the name of this host]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let data = gather(args, context)?;
    if args.output.as_os_str() == "-" {
        return Ok(report::write(context.out, &data)?);
    }
    save(&args.output, &data).map_err(|error| {
        Failure::usage(format!(
            "cannot write the report to {}: {error}",
            args.output.display()
        ))
    })?;
    writeln!(
        context.out,
        "{}: {} endpoints, {} alerts, {} findings",
        args.output.display(),
        data.endpoints.len(),
        data.alerts.len(),
        data.findings.len()
    )?;
    Ok(())
}

fn gather(args: &Args, context: &Context<'_>) -> Result<Data, Failure> {
    let Everything {
        endpoints,
        workloads,
        alerts,
        anomalies,
        findings,
        risks,
        status,
    } = {
        let _step = progress::step("gathering what is known");
        Everything::of(&args.source.settled(context)?)?
    };
    let host = || rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(Data {
        title: args.title.clone().unwrap_or_else(host),
        made: context.now.rfc3339(),
        endpoints,
        workloads,
        alerts,
        anomalies,
        findings,
        risks,
        status,
    })
}

/// Writes beside the file first: what was there stays whole until the new one is.
fn save(path: &Path, data: &Data) -> std::io::Result<()> {
    let beside = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let _step = progress::step("writing the report");
    let file = tempfile::NamedTempFile::new_in(beside)?;
    let mut out = BufWriter::with_capacity(256 * 1024, file.as_file());
    report::write(&mut out, data)?;
    out.flush()?;
    drop(out);
    readable(file.as_file())?;
    file.persist(path)?;
    Ok(())
}

/// A temporary file is private; a report is as readable as its owner's other files.
fn readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}
