//! What drives a browser in tests, from npm: pinned, and kept below the target directory.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};

use crate::{
    shell::{run, say},
    workspace,
};

/// Packages and their versions. playwright-core brings no browser: Debian's is used.
const PACKAGES: [(&str, &str); 2] = [("axe-core", "4.14.1"), ("playwright-core", "1.65.1")];

/// Installs what is missing.
pub(crate) fn prepare() -> Result<()> {
    let place = place()?;
    if PACKAGES
        .iter()
        .all(|(name, version)| is_there(&place, name, version))
    {
        return Ok(());
    }
    say("installing npm packages: axe-core playwright-core");
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let wanted = PACKAGES.map(|(name, version)| format!("{name}@{version}"));
    run(Command::new("npm")
        .args([
            "install",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--prefix",
        ])
        .arg(&place)
        .args(wanted))
}

fn place() -> Result<PathBuf> {
    Ok(workspace::target_directory(&workspace::root()?).join("browser"))
}

fn is_there(place: &std::path::Path, name: &str, version: &str) -> bool {
    let manifest = place.join("node_modules").join(name).join("package.json");
    fs::read_to_string(manifest).is_ok_and(|text| text.contains(&format!("\"version\": \"{version}\"")))
}
