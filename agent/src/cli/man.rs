//! `apiarist man --out DIR`: the manual pages, one for each command, for packagers.

use std::{fs, path::PathBuf};

use super::{Context, Failure};

/// Write the manual pages, one for each command
#[derive(Debug, clap::Args)]
#[command(
    hide = true,
    after_help = "EXAMPLES:\n  apiarist man --out /usr/share/man/man1"
)]
pub(super) struct Args {
    /// Directory they are written to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

pub(super) fn run(args: &Args, _context: &mut Context<'_>) -> Result<(), Failure> {
    fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(super::definition(), &args.out))
        .map_err(|error| {
            Failure::usage(format!(
                "cannot write manual pages to {}: {error}",
                args.out.display()
            ))
        })
}

#[cfg(test)]
mod tests {

    #[test]
    fn every_visible_command_has_a_page() {
        let dir = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(super::super::definition(), dir.path()).unwrap();
        for name in [
            "apiarist",
            "apiarist-run",
            "apiarist-config-check",
            "apiarist-status",
        ] {
            let page = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).unwrap();
            assert!(page.contains("EXAMPLES"), "{name}");
        }
        assert!(!dir.path().join("apiarist-man.1").exists());
    }
}
