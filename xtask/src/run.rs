//! `cargo xtask run`: build the agent and start it with the rights it needs.

use std::{os::unix::process::CommandExt as _, process::Command};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    setup::{self, Purpose},
    shell::{as_root, cargo, run, say},
    workspace,
};

/// Options of `cargo xtask run`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Arguments for `apiarist run`, after `--`
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// Builds the agent, then becomes it. Returns only when that fails.
pub(crate) fn main(options: &Options) -> Result<()> {
    setup::prepare(Purpose::Run)?;
    let root = workspace::root()?;
    let agent = workspace::target_directory(&root).join("release/apiarist");
    // Before the build: who lacks the rights should not wait for it.
    let mut command: Command = as_root(&agent, "watching the kernel")?;
    say("building the agent");
    run(cargo(&root).args(["build", "--release", "--package", "apiarist"]))?;
    command.arg("run").args(&options.arguments);
    say(format!("starting {} run {}", agent.display(), options.arguments.join(" ")).trim_end());
    Err(command.exec()).with_context(|| format!("cannot start {}", agent.display()))
}
