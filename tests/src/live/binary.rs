//! The `apiarist` binary of this build.
//!
//! Cargo tells its path only to tests of its own package: here it is found beside the running test, and refused when a
//! source it was made from is newer.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, ensure};

/// Path of the binary.
///
/// # Errors
/// It is not there, or older than its sources.
pub fn apiarist() -> Result<PathBuf> {
    if is_guest() {
        return Ok("/apiarist".into());
    }
    let binary = directory()?.join("apiarist");
    let built = modified(&binary).with_context(|| {
        format!(
            "{} is missing: run `cargo test --workspace`, or `cargo build -p apiarist` first",
            binary.display()
        )
    })?;
    let dependencies = fs::read_to_string(binary.with_extension("d")).unwrap_or_default();
    let sources = dependencies.split_whitespace().skip(1);
    for source in sources.filter(|path| path.ends_with(".rs") || path.ends_with(".o")) {
        let newer = modified(Path::new(source)).is_ok_and(|changed| changed > built);
        ensure!(
            !newer,
            "{} is older than {source}: run `cargo test --workspace`, or `cargo build -p apiarist` first",
            binary.display()
        );
    }
    Ok(binary)
}

/// Path of a program of this package, which cargo builds with its tests.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    let binary = directory()?.join(name);
    ensure!(
        binary.is_file(),
        "{} is missing: run `cargo test -p apiarist-tests`",
        binary.display()
    );
    Ok(binary)
}

/// Where cargo leaves what it builds.
fn directory() -> Result<PathBuf> {
    let test = std::env::current_exe().context("cannot find the running test")?;
    let directory = test.ancestors().nth(2);
    Ok(directory
        .context("the running test lies in no target directory")?
        .to_owned())
}

/// Whether this is the first process of a guest: the agent is in the same program there.
pub(crate) fn is_guest() -> bool {
    std::process::id() == 1
}

fn modified(path: &Path) -> Result<SystemTime> {
    Ok(fs::metadata(path)?.modified()?)
}
