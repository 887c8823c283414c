//! Debian packages: which are missing, and installing them.
//!
//! Nothing is removed, or upgraded without being asked for by name. Daemons that come with a package are neither started
//! nor enabled: the tests start their own.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::shell::{as_root, find_program, output_of, run, say};

/// Debian asks this program before it starts a daemon; 101 means "do not".
const POLICY_PATH: &str = "/usr/sbin/policy-rc.d";
const POLICY: &str =
    "#!/bin/sh\n# Written by cargo xtask while it installs packages; safe to remove.\nexit 101\n";

/// Installs those of `packages` that are missing.
///
/// # Errors
/// Not a Debian system, no root, or apt failed: one sentence says which packages are wanted.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .copied()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if find_program("apt-get").is_none() {
        bail!("this system has no apt-get: install what Debian calls {list}, then try again");
    }
    say(format!("installing Debian packages: {list}"));
    let _quiet = NoDaemons::start()?;
    // Package lists may be missing or older than the mirror: refresh them once, only when it matters.
    if apt_install(&missing).is_err() {
        say("apt-get could not install them: updating the package lists, then trying once more");
        run(apt()?.arg("update"))?;
        apt_install(&missing).with_context(|| format!("cannot install {list}"))?;
    }
    Ok(())
}

/// Brings installed packages to what the mirror has now.
///
/// # Errors
/// As [`install`].
pub(crate) fn upgrade(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if find_program("apt-get").is_none() {
        bail!("this system has no apt-get: upgrade what Debian calls {list}, then try again");
    }
    say(format!("upgrading Debian packages: {list}"));
    let _quiet = NoDaemons::start()?;
    run(apt()?.arg("update"))?;
    apt_install(packages).with_context(|| format!("cannot upgrade {list}"))
}

/// Whether a package is installed.
pub(crate) fn is_installed(package: &str) -> bool {
    output_of(Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn apt_install(packages: &[&str]) -> Result<()> {
    run(apt()?
        .args(["install", "-y", "--no-install-recommends"])
        .args(packages))
}

fn apt() -> Result<Command> {
    let mut command = as_root("env", "installing packages")?;
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "LC_ALL=C.UTF-8",
        "apt-get",
        "-q",
    ]);
    command.args(["-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=300"]);
    Ok(command)
}

/// While it lives, installing a package starts no daemon.
struct NoDaemons {
    ours: bool,
}

impl NoDaemons {
    fn start() -> Result<Self> {
        let current = fs::read_to_string(POLICY_PATH).ok();
        // A policy of the machine stays; one that an interrupted run left is taken over, then removed.
        let ours = current.is_none_or(|text| text == POLICY);
        if ours {
            let write = format!("printf %s '{POLICY}' >{POLICY_PATH} && chmod 755 {POLICY_PATH}");
            run(as_root("sh", "installing packages")?.args(["-c", &write]))?;
        }
        Ok(Self { ours })
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        let remove = || run(as_root("rm", "installing packages")?.args(["-f", POLICY_PATH]));
        if self.ours && remove().is_err() {
            say(format!("could not remove {POLICY_PATH}: remove it by hand"));
        }
    }
}
