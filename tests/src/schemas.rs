//! Schemas of report formats, out of packages that carry them. Fetched once per target directory; nothing is copied into
//! the project.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

/// The schemas of SARIF and JUnit.
#[derive(Debug)]
pub struct Schemas {
    /// JSON Schema of SARIF 2.1.0: what the matchers of Microsoft's SDK judge by (npm).
    pub sarif: PathBuf,
    /// XML Schema of JUnit reports: that of Jenkins, which pytest tests its own reports with (PyPI).
    pub junit: PathBuf,
}

const SARIF: &str = "package/lib/schemas/sarif-2.1.0-rtm.5.json";
const JUNIT: &str = "pytest-8.4.2/testing/example_scripts/junit-10.xsd";

/// Fetches the schemas.
///
/// # Errors
/// A package cannot be had: what was said about it.
pub fn fetch(target: &Path) -> Result<Schemas> {
    let directory = target.join("schemas");
    fs::create_dir_all(&directory)?;
    // Tests run beside each other.
    let lock = fs::File::options()
        .create(true)
        .append(true)
        .open(target.join("schemas.lock"))?;
    lock.lock()?;
    let schemas = Schemas {
        sarif: directory.join(SARIF),
        junit: directory.join(JUNIT),
    };
    if !schemas.sarif.is_file() {
        let package = "@microsoft/jest-sarif@1.0.0-beta.0";
        run(&directory, "npm", &["pack", "--silent", package])?;
        unpack(&directory, "microsoft-jest-sarif-1.0.0-beta.0.tgz", SARIF)?;
    }
    if !schemas.junit.is_file() {
        // The source: what is installed has no tests.
        let source = [
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary=:all:",
            "pytest==8.4.2",
        ];
        run(&directory, "python3", &[&["-m", "pip"][..], &source].concat())?;
        unpack(&directory, "pytest-8.4.2.tar.gz", JUNIT)?;
    }
    Ok(schemas)
}

/// The schemas, beside the present test program.
///
/// # Errors
/// See [`fetch`].
pub fn of_this_test() -> Result<Schemas> {
    let target = std::env::current_exe()?;
    fetch(target.ancestors().nth(2).context("no target directory")?)
}

fn unpack(directory: &Path, archive: &str, member: &str) -> Result<()> {
    run(directory, "tar", &["-xzf", archive, member])
}

fn run(directory: &Path, program: &str, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
