//! `apiarist completions SHELL`: a completion script on standard output.

use super::{Context, Failure};

const EXAMPLES: &str = "EXAMPLES:
  apiarist completions bash > /etc/bash_completion.d/apiarist
  apiarist completions zsh > ~/.zfunc/_apiarist
  apiarist completions fish > ~/.config/fish/completions/apiarist.fish";

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[arg(value_enum, value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    // The generator panics when it cannot write, so it writes to memory.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::definition(), "apiarist", &mut script);
    Ok(context.out.write_all(&script)?)
}
