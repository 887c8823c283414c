//! `cargo xtask ebpf`: the kernel object from its sources.
//!
//! The object is committed, so that everything else builds with a plain stable toolchain. This task rebuilds
//! it for each architecture and records in the manifest what it was made from; [`crate::ebpf_check`]
//! rebuilds it and compares.

use std::{env, ffi::OsString, fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::{
    ebpf_check, elf,
    manifest::{Manifest, Object, object_path},
    own_stacks,
    shell::{cargo, run, say},
    source_hash::{sha256_hex, sources_sha256},
    stack_depth,
    toolchain::{Origin, Toolchain, without_flags},
    workspace,
};

/// The one target triple: user-space register layouts differ by `bpf_target_arch`, not by target.
const TARGET: &str = "bpfel-unknown-none";

/// Options of `cargo xtask ebpf`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Rebuild and compare with the committed objects; change nothing
    #[arg(long)]
    check: bool,
    /// Which object to build
    #[arg(long, value_enum, default_value_t = Target::All)]
    target: Target,
    /// Where to take rustc from; by default, from where the committed object's rustc came
    #[arg(long, value_enum)]
    toolchain: Option<Origin>,
}

/// Machines whose system-call registers the object can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    #[value(name = "x86_64")]
    X86_64,
    Aarch64,
    All,
}

impl Target {
    fn architectures(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["x86_64"],
            Self::Aarch64 => &["aarch64"],
            Self::All => &["x86_64", "aarch64"],
        }
    }
}

/// Finds or installs what [`main`] needs.
pub(crate) fn prepare() -> Result<()> {
    let manifest = Manifest::read(&workspace::root()?)?;
    let committed = manifest.0.values().next();
    Toolchain::prepare(None, committed.map(|object| &object.toolchain)).map(drop)
}

/// Builds, or checks, the objects.
pub(crate) fn main(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let mut manifest = Manifest::read(&root)?;
    let architectures = options.target.architectures();
    let committed = architectures
        .iter()
        .find_map(|architecture| manifest.0.get(*architecture));
    if options.check {
        ebpf_check::committed_files(&root, &manifest, architectures)?;
    }
    let toolchain = Toolchain::prepare(options.toolchain, committed.map(|object| &object.toolchain))?;
    say(format!(
        "{}, {}",
        toolchain.versions.rustc, toolchain.versions.bpf_linker
    ));
    // The paths of the dependencies go into the flags: they have to be there first.
    run(cargo(&root).args(["fetch", "--quiet"]))?;
    for &architecture in architectures {
        let bytes = build(&root, &toolchain, architecture)?;
        if options.check {
            ebpf_check::rebuilt(&root, &manifest, &toolchain.versions, architecture, &bytes)?;
            continue;
        }
        let path = object_path(&root, architecture);
        fs::create_dir_all(path.parent().context("the object has no directory")?)?;
        fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        let object = Object {
            sha256: sha256_hex(&bytes),
            sources_sha256: sources_sha256(&root)?,
            toolchain: toolchain.versions.clone(),
        };
        manifest.0.insert(architecture.to_owned(), object);
        manifest.write(&root)?;
        say(format!(
            "{}: {} bytes",
            path.strip_prefix(&root).unwrap_or(&path).display(),
            bytes.len()
        ));
    }
    Ok(())
}

/// The object of `architecture`, with BTF and without DWARF. The bytes do not depend on where the checkout,
/// cargo's home or the compiler lie.
fn build(root: &Path, toolchain: &Toolchain, architecture: &str) -> Result<Vec<u8>> {
    say(format!("building the kernel object for {architecture}"));
    let target_directory = workspace::target_directory(root).join("ebpf").join(architecture);
    let mut command = cargo(root);
    without_flags(&mut command)
        .args(["build", "--quiet", "-Zbuild-std=core", "--target", TARGET, "--release", "-p", "apiarist-ebpf"])
        .arg("--target-dir")
        .arg(&target_directory)
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, toolchain, architecture)?)
        // The profile is part of the build, not of the host's: bpf-linker does its own link-time optimisation.
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1")
        .env("CARGO_PROFILE_RELEASE_PANIC", "abort");
    run(&mut command)?;

    let built = target_directory.join(TARGET).join("release/apiarist-ebpf");
    let stripped = target_directory.join("apiarist.o");
    run(Command::new(&toolchain.strip)
        .arg("--strip-debug")
        .arg("-o")
        .arg(&stripped)
        .arg(&built))?;
    let bytes = fs::read(&stripped).with_context(|| format!("cannot read {}", stripped.display()))?;
    elf::require_btf(&bytes)?;
    own_stacks::required(&bytes)?;
    stack_depth::required(&bytes)?;
    Ok(bytes)
}

/// Compiler flags, separated the way cargo wants them.
fn flags(root: &Path, toolchain: &Toolchain, architecture: &str) -> Result<OsString> {
    let mut flags: Vec<OsString> = vec![
        format!("--cfg=bpf_target_arch=\"{architecture}\"").into(),
        // BTF is made from debug information.
        "-Cdebuginfo=2".into(),
        "-Clink-arg=--btf".into(),
    ];
    let mut linker = OsString::from("-Clinker=");
    linker.push(&toolchain.linker);
    flags.push(linker);
    let mut remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push("=");
        flag.push(to);
        flags.push(flag);
    };
    // Of several prefixes that match, rustc takes the last.
    remap(&workspace::cargo_home()?, "/cargo");
    remap(root, "/apiarist");
    // Cargo names the directory of a registry after a hash of its address.
    let registries = workspace::cargo_home()?.join("registry/src");
    for registry in fs::read_dir(&registries).into_iter().flatten().flatten() {
        remap(&registry.path(), "/cargo/registry");
    }
    let sources = toolchain.sysroot.join("lib/rustlib/src/rust");
    remap(&sources, "/rust");
    // Debian's sources are a link to elsewhere.
    remap(&sources.canonicalize()?, "/rust");
    Ok(flags.join(OsString::from("\u{1f}").as_os_str()))
}

/// Runs the tests that need a kernel with the object at `path` instead of the committed one.
pub(crate) fn kernel_tests(root: &Path, path: &Path) -> Result<()> {
    let mut command = cargo(root);
    command
        .args(["test", "--package", "apiarist-tests"])
        .env("APIARIST_EBPF_OBJECT", path);
    run(&mut command)
}

/// Whether `architecture` is this machine's.
pub(crate) fn is_host(architecture: &str) -> bool {
    env::consts::ARCH == architecture
}
