//! What the agent says where it cannot work: one sentence, and the exit code for it.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Result, ensure};

use super::{
    agent::bare,
    binary,
    place::Place,
    program::{Ended, Program, command, find},
};

/// The user and group that own nothing.
pub(crate) const NOBODY: u32 = 65_534;

/// A program run by nobody, without capabilities.
pub(crate) fn as_nobody(program: &Path) -> Result<Command> {
    nobody_with(&["--inh-caps=-all"], program)
}

/// A program run by nobody, with further options of setpriv(1).
pub(crate) fn nobody_with(options: &[&str], program: &Path) -> Result<Command> {
    let mut command = command("setpriv")?;
    command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}")]);
    command.arg("--clear-groups").args(options).arg(program);
    Ok(command)
}

pub(super) fn without_root(place: &Place) -> Result<()> {
    // Others may not get at the build.
    let copy = place.open_to_all("bin")?.join("apiarist");
    fs::copy(binary::apiarist()?, &copy)?;
    let mut run = as_nobody(&copy)?;
    run.args(["run", "--store", "/nonexistent", "--socket", "/nonexistent.sock"]);
    refuses(run, place, "cannot start: needs root, or the capabilities")
}

pub(super) fn without_type_information(place: &Place) -> Result<()> {
    // In a mount namespace of its own, where an empty directory hides the kernel's types.
    let mut run = bare(&find("unshare")?);
    run.args(["--mount", "sh", "-c"])
        .arg("mount -t tmpfs none /sys/kernel/btf && exec \"$@\"")
        .arg("sh")
        .arg(binary::apiarist()?)
        .args([
            "run",
            "--store",
            &place.file("store"),
            "--socket",
            &place.file("agent.sock"),
        ]);
    refuses(run, place, "BTF")
}

/// Ends with code 2 and one sentence with these words.
fn refuses(mut run: Command, place: &Place, words: &str) -> Result<()> {
    let Ended { status, out, err } = Program::run(&mut run, place, Duration::from_secs(20))?;
    ensure!(
        status.code() == Some(2) && out.is_empty() && err.lines().count() == 1 && err.contains(words),
        "ended with {status}: {out}{err}"
    );
    Ok(())
}
