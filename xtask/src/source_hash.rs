//! One hash over everything the kernel object is built from.
//!
//! Compiled into `xtask`, which writes the hash into the manifest beside the object, and into
//! `agent/build.rs`, which refuses an object whose hash is another. It covers file names and contents of
//! `agent-ebpf` and `agent-common`, and the exact versions of the crates the kernel programs use. Compilers
//! are not part of it: the manifest names them, `cargo xtask ebpf --check` compares them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest as _, Sha256};

/// Directories and files, relative to the workspace, whose contents are hashed.
const SOURCES: [&str; 4] = [
    "agent-common/Cargo.toml",
    "agent-common/src",
    "agent-ebpf/Cargo.toml",
    "agent-ebpf/src",
];

/// Locked packages that are compiled into the object.
const LOCKED_PREFIX: &str = "aya-ebpf";

/// The files that are hashed, relative to `root`, sorted.
///
/// # Errors
/// When a directory cannot be read.
pub(crate) fn source_files(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut pending: Vec<PathBuf> = SOURCES.iter().map(PathBuf::from).collect();
    let mut files = Vec::new();
    while let Some(relative) = pending.pop() {
        if !root.join(&relative).is_dir() {
            files.push(relative);
            continue;
        }
        for entry in fs::read_dir(root.join(&relative))? {
            pending.push(relative.join(entry?.file_name()));
        }
    }
    files.sort();
    Ok(files)
}

/// The hash of the sources under `root`, in lower-case hexadecimal.
///
/// # Errors
/// When a source file or `Cargo.lock` cannot be read.
pub(crate) fn sources_sha256(root: &Path) -> io::Result<String> {
    let mut input = Vec::new();
    for file in source_files(root)? {
        push_field(&mut input, file.as_os_str().as_encoded_bytes());
        push_field(&mut input, &fs::read(root.join(&file))?);
    }
    for package in locked_packages(&fs::read_to_string(root.join("Cargo.lock"))?) {
        push_field(&mut input, package.as_bytes());
    }
    Ok(sha256_hex(&input))
}

/// SHA-256 of `bytes` in lower-case hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Length first: no two lists of fields give the same input.
fn push_field(input: &mut Vec<u8>, field: &[u8]) {
    input.extend_from_slice(&(field.len() as u64).to_le_bytes());
    input.extend_from_slice(field);
}

/// `name version` of the packages of a `Cargo.lock` that end up in the object, in the order of the file.
fn locked_packages(lock: &str) -> Vec<String> {
    let value = |line: &str, key: &str| {
        let quoted = line.strip_prefix(key)?.strip_prefix(" = ")?;
        Some(quoted.trim_matches('"').to_owned())
    };
    let mut lines = lock.lines();
    let mut packages = Vec::new();
    while let Some(line) = lines.next() {
        let Some(name) = value(line, "name").filter(|name| name.starts_with(LOCKED_PREFIX)) else {
            continue;
        };
        // Cargo writes the version right below the name.
        if let Some(version) = lines.next().and_then(|line| value(line, "version")) {
            packages.push(format!("{name} {version}"));
        }
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_locked_kernel_crates_count() {
        let lock = "[[package]]\nname = \"aya\"\nversion = \"0.14.0\"\n\n\
                    [[package]]\nname = \"aya-ebpf\"\nversion = \"0.2.1\"\n";
        assert_eq!(locked_packages(lock), ["aya-ebpf 0.2.1"]);
    }

    #[test]
    fn moving_bytes_between_fields_changes_the_input() {
        let joined = |fields: [&[u8]; 2]| {
            let mut input = Vec::new();
            fields.iter().for_each(|field| push_field(&mut input, field));
            input
        };
        assert_ne!(joined([b"ab", b"c"]), joined([b"a", b"bc"]));
    }

    #[test]
    fn hex_is_the_usual_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
    }
}
