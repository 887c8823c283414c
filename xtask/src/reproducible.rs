//! `cargo xtask reproducible`: two builds of the same commit in different places, compared byte for byte.
//!
//! In: the last commit. Out: one checksum, or the news that there are two. Paths of the checkout, of cargo's home and of the
//! compiler are mapped to fixed names, and looked for in the binary. Takes the release profile as it is;
//! `CARGO_PROFILE_RELEASE_LTO=off` in the environment spares time.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

use crate::{
    shell::{cargo, output_of, run, say},
    workspace,
};

/// Options of `cargo xtask reproducible`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Cargo profile that is compared
    #[arg(long, default_value = "release")]
    profile: String,
}

/// Builds twice and compares.
pub(crate) fn main(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let place = workspace::target_directory(&root).join("reproducible");
    // Named once: the tree may move on while the first one is built.
    let commit = output_of(
        Command::new("git")
            .arg("-C")
            .arg(&root)
            .args(["rev-parse", "HEAD"]),
    )?;
    let mut sums = Vec::new();
    // Names of different length: a path in the binary would move everything behind it.
    for name in ["a", "another-place"] {
        let checkout = place.join(name);
        export(&root, commit.trim(), &checkout)?;
        let binary = build(&checkout, &options.profile)?;
        let sum = sum(&binary)?;
        say(format!("{name}: {sum}"));
        sums.push(sum);
    }
    sums.dedup();
    ensure!(
        sums.len() == 1,
        "the two builds differ: {} and {} hold them",
        place.join("a").display(),
        place.join("another-place").display()
    );
    fs::remove_dir_all(&place).context("cannot remove the two checkouts")?;
    say("both builds have the same bytes");
    Ok(())
}

/// The files of a commit, in a directory of their own.
fn export(root: &Path, commit: &str, checkout: &Path) -> Result<()> {
    if checkout.exists() {
        fs::remove_dir_all(checkout)?;
    }
    fs::create_dir_all(checkout)?;
    let archive = checkout.with_extension("tar");
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["archive", "-o"]);
    run(git.arg(&archive).arg(commit))?;
    run(Command::new("tar")
        .arg("-xf")
        .arg(&archive)
        .arg("-C")
        .arg(checkout))?;
    Ok(fs::remove_file(archive)?)
}

fn build(checkout: &Path, profile: &str) -> Result<PathBuf> {
    let target = checkout.join("target");
    let homes = homes(checkout)?;
    let map = |option: &str| -> Vec<String> {
        let pairs = homes.iter();
        pairs
            .map(|(from, to)| format!("{option}={}={to}", from.display()))
            .collect()
    };
    let mut command = cargo(checkout);
    command
        .args(["build", "--locked", "--package", "apiarist", "--profile", profile])
        .env("CARGO_TARGET_DIR", &target)
        // What is written in C, too.
        .env("CFLAGS", map("-ffile-prefix-map").join(" "))
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            map("--remap-path-prefix").join("\x1f"),
        );
    run(&mut command)?;
    let directory = if profile == "dev" { "debug" } else { profile };
    let binary = target.join(directory).join("apiarist");
    let bytes = fs::read(&binary).with_context(|| format!("cannot read {}", binary.display()))?;
    for (home, _) in &homes {
        let home = home.as_os_str().as_encoded_bytes();
        let found = bytes.windows(home.len()).any(|window| window == home);
        ensure!(
            !found,
            "{} is in {}",
            String::from_utf8_lossy(home),
            binary.display()
        );
    }
    Ok(binary)
}

/// Places of this machine, and what the binary calls them.
fn homes(checkout: &Path) -> Result<[(PathBuf, &'static str); 3]> {
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]))?;
    Ok([
        (checkout.to_owned(), "/build"),
        (workspace::cargo_home()?, "/cargo"),
        (PathBuf::from(sysroot), "/rust"),
    ])
}

fn sum(file: &Path) -> Result<String> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}
