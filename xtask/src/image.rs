//! `cargo xtask image`: a container image of the agent, without a registry.
//!
//! In: a static build made here, and the last stage of the Dockerfile. Out: an image in the local store of podman, from nothing
//! but the binary: no shell, no libraries. Only the Dockerfile's first stage, which compiles, needs an image of somebody else.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{
    packages,
    shell::{cargo, output_of, run, say},
    workspace,
};

/// Directories that a container brings its own for, or mounts the host's at.
const DIRECTORIES: &[&str] = &["etc/apiarist", "run/apiarist", "tmp", "var/lib/apiarist"];

/// Time of all files, in seconds since the epoch.
const EPOCH: u64 = 1_767_225_600;

/// Options of `cargo xtask image`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Cargo profile of the binary
    #[arg(long, default_value = "release")]
    profile: String,
    /// What the image is called [default: localhost/apiarist:VERSION]
    #[arg(long)]
    name: Option<String>,
}

/// Builds, makes the image, and asks it for its version.
pub(crate) fn main(options: &Options) -> Result<()> {
    packages::install(&["podman", "runc"])?;
    let root = workspace::root()?;
    let binary = build(&root, &options.profile)?;
    is_static(&binary)?;
    let out = workspace::target_directory(&root).join("image");
    let stage = out.join("build");
    if stage.exists() {
        fs::remove_dir_all(&stage).context("cannot remove the last image")?;
    }
    let tree = stage.join("out");
    for directory in DIRECTORIES.iter().copied().chain(["usr/bin"]) {
        fs::create_dir_all(tree.join(directory))?;
    }
    let installed = tree.join("usr/bin/apiarist");
    fs::copy(&binary, &installed)?;
    fs::set_permissions(&installed, fs::Permissions::from_mode(0o755))?;
    run(Command::new("strip").arg(&installed))?;
    let version = output_of(Command::new(&binary).arg("--version"))?;
    let version = version
        .split_whitespace()
        .nth(1)
        .context("the binary tells no version")?;
    let name = options.name.clone();
    let name = name.unwrap_or_else(|| format!("localhost/apiarist:{version}"));
    let instructions = out.join("Dockerfile");
    fs::write(&instructions, last_stage(&root)?)?;
    let mut build = podman();
    build.args(["build", "--quiet", "--network=none", "--no-cache"]);
    // The same bytes for the same binary.
    build.arg(format!("--timestamp={EPOCH}"));
    build.arg(format!("--build-context=build={}", stage.display()));
    build.args(["--tag", &name, "--file"]).arg(&instructions);
    output_of(build.arg(&out))?;
    let mut start = podman();
    // What podman asks for may be more than this machine lets it have.
    start.args([
        "run",
        "--rm",
        "--network=none",
        "--ulimit=nofile=1024:1024",
        "--ulimit=nproc=1024:1024",
    ]);
    let said = output_of(start.args([&name, "--version"]))?;
    ensure!(said.contains(version), "the image says {said}");
    say(format!(
        "{name}: {} KiB, {said}",
        fs::metadata(&installed)?.len() >> 10
    ));
    Ok(())
}

/// What the Dockerfile does once the agent is built.
fn last_stage(root: &Path) -> Result<String> {
    let text = fs::read_to_string(root.join("deploy/container/Dockerfile"))?;
    let at = text.rfind("\nFROM ").context("the Dockerfile has one stage")?;
    Ok(text.get(at + 1..).unwrap_or_default().to_owned())
}

/// Podman where no systemd and no journal need to run.
fn podman() -> Command {
    let mut podman = Command::new("podman");
    podman.args([
        "--runtime",
        "runc",
        "--cgroup-manager",
        "cgroupfs",
        "--events-backend",
        "none",
    ]);
    podman
}

fn build(root: &Path, profile: &str) -> Result<PathBuf> {
    let target = output_of(Command::new("rustc").arg("-vV"))?;
    let target = target.lines().find_map(|line| line.strip_prefix("host: "));
    let target = target.context("rustc names no host")?;
    let mut command = cargo(root);
    command.args([
        "build",
        "--locked",
        "--package",
        "apiarist",
        "--target",
        target,
        "--profile",
        profile,
    ]);
    run(command.env("RUSTFLAGS", "-C target-feature=+crt-static"))?;
    let directory = if profile == "dev" { "debug" } else { profile };
    Ok(workspace::target_directory(root)
        .join(target)
        .join(directory)
        .join("apiarist"))
}

/// Fails for a binary that asks for libraries.
fn is_static(binary: &Path) -> Result<()> {
    let program = output_of(Command::new("readelf").arg("-d").arg(binary))?;
    ensure!(
        !program.contains("NEEDED"),
        "{} needs libraries",
        binary.display()
    );
    Ok(())
}
