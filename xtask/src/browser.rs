//! What drives a browser in tests, from npm.

use anyhow::Result;

use crate::{npm, workspace};

/// Packages and their versions. playwright-core brings no browser: Debian's is used.
const PACKAGES: [(&str, &str); 2] = [("axe-core", "4.14.1"), ("playwright-core", "1.65.1")];

/// Installs what is missing.
pub(crate) fn prepare() -> Result<()> {
    let target = workspace::target_directory(&workspace::root()?);
    npm::install(&target.join("browser"), &PACKAGES)
}
