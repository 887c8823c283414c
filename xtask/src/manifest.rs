//! `agent-ebpf/object/manifest.json`: what each committed object was built from, and with what.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Directory of the committed objects, relative to the workspace.
const DIRECTORY: &str = "agent-ebpf/object";

/// Objects by architecture (`x86_64`, `aarch64`).
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Manifest(pub(crate) BTreeMap<String, Object>);

/// One committed object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Object {
    /// SHA-256 of the object.
    pub(crate) sha256: String,
    /// Hash of its sources, see [`crate::source_hash`].
    pub(crate) sources_sha256: String,
    /// The programs that built it.
    pub(crate) toolchain: Versions,
}

/// Versions that decide the bytes of an object, as the programs print them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Versions {
    /// `rustc --version`.
    pub(crate) rustc: String,
    /// `cargo --version`: it computes the hashes in symbol names.
    pub(crate) cargo: String,
    /// `bpf-linker --version`.
    pub(crate) bpf_linker: String,
    /// LLVM of rustc, which writes the bitcode.
    pub(crate) llvm_of_rustc: String,
    /// LLVM of bpf-linker, which turns it into BPF.
    pub(crate) llvm_of_linker: String,
}

impl Manifest {
    /// Reads the manifest; an empty one when there is none yet.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = Self::path(root);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged: restore it with git", path.display()))
    }

    /// Writes the manifest.
    pub(crate) fn write(&self, root: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(Self::path(root), text).context("cannot write the manifest")
    }

    fn path(root: &Path) -> PathBuf {
        root.join(DIRECTORY).join("manifest.json")
    }
}

/// Where the object of `architecture` is committed.
pub(crate) fn object_path(root: &Path, architecture: &str) -> PathBuf {
    root.join(DIRECTORY).join(format!("apiarist-{architecture}.o"))
}
