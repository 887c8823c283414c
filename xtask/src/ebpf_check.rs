//! `cargo xtask ebpf --check`: do the committed objects belong to the sources beside them?
//!
//! With the toolchain of the manifest a rebuild must give the same bytes. With another one it need not, so
//! the rebuilt object has to pass the kernel tests instead.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};

use crate::{
    ebpf, elf,
    manifest::{Manifest, Versions, object_path},
    shell::say,
    source_hash::{sha256_hex, sources_sha256},
    workspace,
};

/// Compares the committed objects and the sources with the manifest; builds nothing.
pub(crate) fn committed_files(root: &Path, manifest: &Manifest, architectures: &[&str]) -> Result<()> {
    let sources = sources_sha256(root)?;
    for &architecture in architectures {
        let Some(object) = manifest.0.get(architecture) else {
            bail!("there is no object for {architecture}: run `cargo xtask ebpf` and commit it");
        };
        if object.sources_sha256 != sources {
            bail!(
                "agent-ebpf or agent-common changed since the object for {architecture} was built: \
                 run `cargo xtask ebpf` and commit the result"
            );
        }
        if sha256_hex(&read(root, architecture)?) != object.sha256 {
            bail!("the object for {architecture} is not the one the manifest names: run `cargo xtask ebpf`");
        }
    }
    Ok(())
}

/// Compares a rebuilt object with the committed one.
pub(crate) fn rebuilt(
    root: &Path,
    manifest: &Manifest,
    versions: &Versions,
    architecture: &str,
    bytes: &[u8],
) -> Result<()> {
    let built_by = manifest.0.get(architecture).map(|object| &object.toolchain);
    let Some(difference) = elf::first_difference(&read(root, architecture)?, bytes)? else {
        say(format!(
            "{architecture}: the rebuilt object has the same {} bytes",
            bytes.len()
        ));
        return Ok(());
    };
    if built_by == Some(versions) {
        bail!(
            "the same toolchain rebuilds another object for {architecture}: {difference}; \
             run `cargo xtask ebpf` and commit the result"
        );
    }
    say(format!(
        "{architecture}: {difference}; the toolchain is not the manifest's ({})",
        other_versions(built_by, versions)
    ));
    if !ebpf::is_host(architecture) {
        say(format!(
            "{architecture}: its kernel tests need such a machine, not run here"
        ));
        return Ok(());
    }
    say("so the rebuilt object has to pass the kernel tests");
    let path = workspace::target_directory(root).join(format!("ebpf/rebuilt-{architecture}.o"));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    ebpf::kernel_tests(root, &path)
}

/// Names the versions that differ, committed one first.
fn other_versions(built_by: Option<&Versions>, used: &Versions) -> String {
    let Some(built_by) = built_by else {
        return "which names none".to_owned();
    };
    let pairs = [
        (&built_by.rustc, &used.rustc),
        (&built_by.cargo, &used.cargo),
        (&built_by.bpf_linker, &used.bpf_linker),
        (&built_by.llvm_of_rustc, &used.llvm_of_rustc),
        (&built_by.llvm_of_linker, &used.llvm_of_linker),
    ];
    let changed = pairs.iter().filter(|(old, new)| old != new);
    changed
        .map(|(old, new)| format!("{old} there, {new} here"))
        .collect::<Vec<_>>()
        .join("; ")
}

fn read(root: &Path, architecture: &str) -> Result<Vec<u8>> {
    let path = object_path(root, architecture);
    fs::read(&path).with_context(|| format!("cannot read {}: run `cargo xtask ebpf`", path.display()))
}
