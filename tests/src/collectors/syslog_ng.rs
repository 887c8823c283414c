//! syslog-ng from Debian, unpacked and not installed: Debian allows one syslog daemon only, and that is rsyslog here.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::debian::unpacked;

/// The daemon, and libraries that a small machine lacks.
const PACKAGES: [&str; 7] = [
    "syslog-ng-core",
    "libglib2.0-0",
    "libivykis0",
    "libjson-c5",
    "libnet1",
    "libpcre3",
    "libwrap0",
];

/// A command that starts it, from its packages below `target`.
///
/// # Errors
/// The packages cannot be had: what was said about it.
pub fn command(target: &Path) -> Result<Command> {
    let root = unpacked(target, "syslog-ng", None, &PACKAGES)?;
    let library = root.join("usr/lib/syslog-ng");
    let others = root.join("usr/lib/x86_64-linux-gnu");
    let mut command = Command::new(root.join("usr/sbin/syslog-ng"));
    command
        .env(
            "LD_LIBRARY_PATH",
            format!("{}:{}", library.display(), others.display()),
        )
        .arg(format!("--module-path={}/3.38", library.display()));
    Ok(command)
}
