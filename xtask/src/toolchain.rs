//! The programs that build the kernel object: a rustc with the sources of `core`, bpf-linker, llvm-strip.
//!
//! Two rustc will do: the one in use, with rustup's `rust-src`, or Debian's `rustc-web` with
//! `rust-web-src`. The one that built the committed object comes first, so that bytes can be compared. What
//! is missing gets installed: Debian packages, and bpf-linker into the cache of the user.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use clap::ValueEnum;

use crate::{
    manifest::Versions,
    packages,
    shell::{cargo, find_program, output_of, run, say},
    workspace,
};

const BPF_LINKER: &str = "0.13.0";

/// LLVM versions that bpf-linker can be built for.
const LLVM_OF_BPF_LINKER: [u32; 3] = [21, 22, 23];

/// Downloading `rust-src` gets this long: it is one file, and a missing network should be noticed soon.
const RUST_SRC_DEADLINE_SECONDS: &str = "60";

/// Where a rustc comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// The rustc in use, with the `rust-src` component of rustup.
    Rustup,
    /// The Debian packages `rustc-web` and `rust-web-src`.
    Debian,
}

/// Everything needed to build the object.
#[derive(Debug)]
pub(crate) struct Toolchain {
    pub(crate) rustc: PathBuf,
    pub(crate) sysroot: PathBuf,
    pub(crate) linker: PathBuf,
    pub(crate) strip: PathBuf,
    pub(crate) versions: Versions,
}

impl Origin {
    /// The origins to try, in order, given what built the committed object.
    fn order(wanted: Option<Self>, built_by: Option<&Versions>) -> Vec<Self> {
        match (wanted, built_by) {
            (Some(origin), _) => vec![origin],
            // Debian's rustc says "(built from a source tarball)", rustup's does not.
            (None, Some(versions)) if versions.rustc.contains("source tarball") => {
                vec![Self::Debian, Self::Rustup]
            }
            (None, _) => vec![Self::Rustup, Self::Debian],
        }
    }

    /// The rustc of this origin with the sources of `core`, both installed when missing.
    fn rustc(self) -> Result<PathBuf> {
        match self {
            Self::Rustup => {
                let rustc = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
                if !has_sources(&sysroot(&rustc)?) {
                    say("adding the sources of core with rustup");
                    let add = ["rustup", "component", "add", "rust-src"];
                    run(Command::new("timeout").arg(RUST_SRC_DEADLINE_SECONDS).args(add))?;
                }
                Ok(rustc)
            }
            Self::Debian => {
                const PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
                packages::install(&PACKAGES)?;
                let rustc = PathBuf::from("/usr/bin/rustc");
                // Lists that are older than the mirror name an older compiler.
                if !LLVM_OF_BPF_LINKER.contains(&major(&llvm_version(&rustc)?)?) {
                    packages::upgrade(&PACKAGES)?;
                }
                Ok(rustc)
            }
        }
    }
}

impl Toolchain {
    /// Finds or installs a toolchain: `wanted`, else the one that is named in the manifest, else any.
    pub(crate) fn prepare(wanted: Option<Origin>, built_by: Option<&Versions>) -> Result<Self> {
        let mut problems = Vec::new();
        for origin in Origin::order(wanted, built_by) {
            match Self::from_origin(origin) {
                Ok(toolchain) => return Ok(toolchain),
                Err(problem) => {
                    say(format!("no toolchain from {origin:?}: {problem:#}"));
                    problems.push(format!("{problem:#}"));
                }
            }
        }
        bail!(
            "no toolchain can build the kernel object: {}",
            problems.join("; ")
        )
    }

    fn from_origin(origin: Origin) -> Result<Self> {
        let rustc = origin.rustc()?;
        let sysroot = sysroot(&rustc)?;
        if !has_sources(&sysroot) {
            bail!("{} comes without the sources of core", rustc.display());
        }
        let llvm_of_rustc = llvm_version(&rustc)?;
        let major = major(&llvm_of_rustc)?;
        if !LLVM_OF_BPF_LINKER.contains(&major) {
            bail!("bpf-linker {BPF_LINKER} has no support for LLVM {major}, which this rustc uses");
        }
        let development = format!("llvm-{major}-dev");
        let polly = format!("libpolly-{major}-dev");
        // bpf-linker links to LLVM, a C++ library.
        packages::install(&[
            &development,
            &polly,
            "zlib1g-dev",
            "libzstd-dev",
            "libxml2-dev",
            "g++",
        ])?;
        let llvm = PathBuf::from(format!("/usr/lib/llvm-{major}"));
        let linker = bpf_linker(major, &llvm)?;
        let versions = Versions {
            rustc: output_of(Command::new(&rustc).arg("--version"))?,
            cargo: output_of(cargo(Path::new("/")).arg("--version"))?,
            bpf_linker: output_of(Command::new(&linker).arg("--version"))?,
            llvm_of_rustc,
            llvm_of_linker: output_of(Command::new(llvm.join("bin/llvm-config")).arg("--version"))?,
        };
        Ok(Self {
            rustc,
            sysroot,
            linker,
            strip: llvm.join("bin/llvm-strip"),
            versions,
        })
    }
}

/// bpf-linker for LLVM `major`, built into the cache when it is not there.
fn bpf_linker(major: u32, llvm: &Path) -> Result<PathBuf> {
    let cache = workspace::cache(&format!("bpf-linker-{BPF_LINKER}-llvm-{major}"))?;
    let linker = cache.join("bin/bpf-linker");
    if linker.is_file() {
        return Ok(linker);
    }
    say(format!(
        "building bpf-linker {BPF_LINKER} for LLVM {major} into {} (about a minute)",
        cache.display()
    ));
    if find_program("c++").is_none() {
        bail!("bpf-linker needs a C++ compiler: install g++");
    }
    // Outside the workspace: its cargo configuration is not meant for other projects.
    let mut install = cargo(&cache);
    without_flags(&mut install)
        .args([
            "install",
            "bpf-linker",
            "--locked",
            "--quiet",
            "--version",
            BPF_LINKER,
        ])
        .args(["--no-default-features", "--features"])
        .arg(format!("llvm-{major}"))
        .arg("--root")
        .arg(&cache)
        .env("LLVM_PREFIX", llvm)
        .env(format!("LLVM_SYS_{major}1_PREFIX"), llvm)
        .env_remove("CARGO_TARGET_DIR");
    run(&mut install)?;
    Ok(linker)
}

/// Removes what the environment adds to every build, and what `cargo run` set for this program.
pub(crate) fn without_flags(command: &mut Command) -> &mut Command {
    [
        "RUSTC",
        "RUSTFLAGS",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_BUILD_RUSTFLAGS",
    ]
    .into_iter()
    .chain(["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER", "LD_LIBRARY_PATH"])
    .fold(command, |command, name| command.env_remove(name))
}

fn sysroot(rustc: &Path) -> Result<PathBuf> {
    Ok(output_of(Command::new(rustc).args(["--print", "sysroot"]))?.into())
}

fn has_sources(sysroot: &Path) -> bool {
    sysroot
        .join("lib/rustlib/src/rust/library/core/src/lib.rs")
        .is_file()
}

/// The first number of a version.
fn major(version: &str) -> Result<u32> {
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    major.with_context(|| format!("LLVM version {version:?} has no number"))
}

fn llvm_version(rustc: &Path) -> Result<String> {
    let verbose = output_of(Command::new(rustc).arg("-vV"))?;
    let version = verbose
        .lines()
        .find_map(|line| line.strip_prefix("LLVM version: "));
    Ok(version
        .with_context(|| format!("{} does not name its LLVM", rustc.display()))?
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn versions(rustc: &str) -> Versions {
        Versions {
            rustc: rustc.to_owned(),
            cargo: String::new(),
            bpf_linker: String::new(),
            llvm_of_rustc: String::new(),
            llvm_of_linker: String::new(),
        }
    }

    #[test]
    fn what_built_the_object_comes_first() {
        let debian = versions("rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)");
        let rustup = versions("rustc 1.95.0 (59807616e 2026-04-14)");
        assert_eq!(
            Origin::order(None, Some(&debian)),
            [Origin::Debian, Origin::Rustup]
        );
        assert_eq!(
            Origin::order(None, Some(&rustup)),
            [Origin::Rustup, Origin::Debian]
        );
        assert_eq!(Origin::order(None, None), [Origin::Rustup, Origin::Debian]);
    }

    #[test]
    fn a_wish_leaves_no_alternative() {
        assert_eq!(Origin::order(Some(Origin::Debian), None), [Origin::Debian]);
    }
}
