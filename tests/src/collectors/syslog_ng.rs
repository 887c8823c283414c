//! syslog-ng from Debian, unpacked and not installed: Debian allows one syslog daemon only, and that is rsyslog here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

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
    let root = unpacked(target)?;
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

fn unpacked(target: &Path) -> Result<PathBuf> {
    let directory = target.join("syslog-ng");
    let root = directory.join("root");
    if root.join("complete").is_file() {
        return Ok(root);
    }
    fs::create_dir_all(&root)?;
    let download = || run(Command::new("apt-get").arg("download").args(PACKAGES), &directory);
    // Package lists may be missing or older than the mirror.
    download()
        .or_else(|_| run(Command::new("apt-get").arg("update"), &directory).and_then(|()| download()))?;
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            run(
                Command::new("dpkg-deb").arg("-x").arg(&path).arg(&root),
                &directory,
            )?;
        }
    }
    // Last: one that was interrupted is made again.
    fs::write(root.join("complete"), "")?;
    Ok(root)
}

fn run(command: &mut Command, directory: &Path) -> Result<()> {
    let output = command.current_dir(directory).output();
    let output = output.with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
