//! Packages from npm: pinned, without their scripts, and kept below the target directory.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use crate::shell::{run, say};

/// Installs those of `packages`, by name and version, that `place` lacks.
///
/// # Errors
/// When npm is missing, or a package cannot be had.
pub(crate) fn install(place: &Path, packages: &[(&str, &str)]) -> Result<()> {
    let lacks = |(name, version): &&(&str, &str)| !is_there(place, name, version);
    if !packages.iter().any(|package| lacks(&package)) {
        return Ok(());
    }
    let wanted: Vec<_> = packages
        .iter()
        .map(|(name, version)| format!("{name}@{version}"))
        .collect();
    say(format!("installing npm packages: {}", wanted.join(" ")));
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    run(Command::new("npm")
        .args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ])
        .arg(place)
        .args(wanted))
}

fn is_there(place: &Path, name: &str, version: &str) -> bool {
    let manifest = place.join("node_modules").join(name).join("package.json");
    fs::read_to_string(manifest).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
}
