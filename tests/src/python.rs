//! Python environments with packages from PyPI, made once per target directory.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

/// The directory of programs of an environment with these packages.
///
/// # Errors
/// Python or a package cannot be had: what was said about it.
pub fn environment(target: &Path, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let directory = target.join(name);
    let programs = directory.join("bin");
    let complete = directory.join("complete");
    // Tests run beside each other.
    std::fs::create_dir_all(target)?;
    let lock = std::fs::File::options()
        .create(true)
        .append(true)
        .open(target.join(format!("{name}.lock")))?;
    lock.lock()?;
    if std::fs::read_to_string(&complete).is_ok_and(|made_of| made_of == packages.join(" ")) {
        return Ok(programs);
    }
    let path = directory.display().to_string();
    run(Path::new("python3"), &["-m", "venv", "--clear", &path])?;
    let install = ["-m", "pip", "install", "--quiet"];
    run(&programs.join("python3"), &[&install, packages].concat())?;
    // Last: one that was interrupted is made again.
    std::fs::write(complete, packages.join(" "))?;
    Ok(programs)
}

/// The interpreter of an environment in the target directory of the present test program.
///
/// # Errors
/// See [`environment`].
pub fn interpreter(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let target = std::env::current_exe()?;
    let target = target.ancestors().nth(2).context("no target directory")?;
    Ok(environment(target, name, packages)?.join("python3"))
}

fn run(program: &Path, arguments: &[&str]) -> Result<()> {
    let output = Command::new(program).args(arguments).output()?;
    if !output.status.success() {
        bail!(
            "{} {arguments:?}: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(())
}
