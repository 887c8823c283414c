//! Starts the log: on standard error, so that results on standard output stay clean.

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt};

use super::Failure;
use crate::config::LogFormat;

/// Starts it once for the process; later calls change nothing.
pub(super) fn start(filter: &str, format: LogFormat) -> Result<(), Failure> {
    let filter: EnvFilter = filter
        .parse()
        .map_err(|error| Failure::usage(format!("--log or RUST_LOG is no log filter: {error}")))?;
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour);
    let started = match format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    // Only tests start it twice in one process.
    started.ok();
    Ok(())
}
