//! `cargo xtask soak`: the chaos suite, and a steady load for as long as wanted, against an optimised build.
//!
//! `cargo xtask test` runs the same tests, with a minute of load.

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell::{cargo, run, say},
    workspace,
};

/// Options of `cargo xtask soak`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Minutes of steady load: 5,000 exchanges a second
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1440))]
    minutes: u64,
    /// Arguments for the test program, after `--`: a name runs only that test
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds and runs; the exit code of the tests.
pub(crate) fn main(options: &Options) -> Result<i32> {
    setup::prepare(Purpose::Test)?;
    let root = workspace::root()?;
    say("building the agent");
    run(cargo(&root).args(["build", "--release", "--package", "apiarist"]))?;
    say(format!(
        "{} min of steady load among what goes wrong",
        options.minutes
    ));
    let status = cargo(&root)
        .args([
            "test",
            "--release",
            "--package",
            "apiarist-tests",
            "--test",
            "chaos",
            "--",
        ])
        .args(&options.arguments)
        .env("APIARIST_SOAK_SECONDS", (60 * options.minutes).to_string())
        .status()
        .context("cannot start cargo")?;
    // No code: a signal ended it.
    Ok(status.code().unwrap_or(1))
}
