//! `apiarist record -o FILE`: keep what the kernel reports, to replay it later.

use std::{path::PathBuf, time::Duration};

use super::{Context, Failure, doctor::HostFacts, run::preflight, status::size, time};
use crate::pipeline;

const EXAMPLES: &str = "EXAMPLES:
  apiarist record -o shop.apr --duration 1m
  apiarist record -o shop.apr --port 8080
  apiarist replay shop.apr --store ./result

A recording holds what was said, secrets included: only its owner may read it. Needs root, or CAP_BPF
and CAP_PERFMON; exits with 2 when the host lacks something.";

/// Record socket events to a file
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Stop after this time, such as 30s or 10m; without it, on SIGINT or SIGTERM
    #[arg(long, value_name = "SPAN", value_parser = time::span)]
    duration: Option<Duration>,
    /// Record only sockets with this local or remote port
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let Args {
        output,
        duration,
        port,
    } = args;
    let mut config = context.config()?;
    if !port.is_empty() {
        config.capture.scope.ports = port;
    }
    preflight(&HostFacts::gather())?;
    let recorded = pipeline::record(&config, &output, duration)
        .map_err(|error| Failure::usage(format!("cannot record: {error:#}")))?;
    let pipeline::Recorded { events, bytes, lost } = recorded;
    writeln!(
        context.out,
        "{events} events, {}, in {}",
        size(bytes),
        output.display()
    )?;
    for (reason, count) in lost {
        writeln!(context.out, "not seen  {reason} {count}")?;
    }
    Ok(())
}
