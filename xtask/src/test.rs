//! `cargo xtask test`: every test, with the programs they drive installed.

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell::{cargo, say},
    workspace,
};

/// Options of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Leave out the tests that load programs into the kernel
    #[arg(long)]
    no_kernel: bool,
    /// Arguments for `cargo test`, after `--`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Runs the tests; the exit code of `cargo test`.
pub(crate) fn main(options: &Options) -> Result<i32> {
    setup::prepare(Purpose::Test)?;
    let root = workspace::root()?;
    let mut command = cargo(&root);
    command
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&options.arguments);
    if options.no_kernel {
        say("leaving out the tests that need the kernel");
        command.env("APIARIST_KERNEL_TESTS", "skip");
    }
    let status = command.status().context("cannot start cargo")?;
    // No code: a signal ended it.
    Ok(status.code().unwrap_or(1))
}
