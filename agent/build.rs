//! Names the committed kernel object for the loader, and refuses one that is older than its sources.
//!
//! Sets `APIARIST_OBJECT` to the path of the object for the architecture that is compiled for.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[path = "../xtask/src/source_hash.rs"]
mod source_hash;

use source_hash::{sha256_hex, source_files, sources_sha256};

fn main() {
    match object() {
        Ok(path) => println!("cargo::rustc-env=APIARIST_OBJECT={}", path.display()),
        // Fails the build with this sentence alone; a failing exit code would add pages.
        Err(problem) => println!("cargo::error={problem}"),
    }
}

/// The object, checked; or one sentence that says what to do.
fn object() -> Result<PathBuf, String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.parent().ok_or("the package lies in no workspace")?;
    let architecture = variable("CARGO_CFG_TARGET_ARCH")?;
    if !matches!(architecture.as_str(), "x86_64" | "aarch64") {
        return Err(format!(
            "there is no kernel object for {architecture}: build for x86_64 or aarch64"
        ));
    }
    let directory = root.join("agent-ebpf/object");
    let manifest = directory.join("manifest.json");
    let object = directory.join(format!("apiarist-{architecture}.o"));
    watch(root, &[&manifest, &object])?;

    let manifest: serde_json::Value = serde_json::from_slice(&read(&manifest)?)
        .map_err(|error| format!("{} is damaged ({error}): restore it with git", manifest.display()))?;
    let recorded = |field: &str| {
        manifest
            .pointer(&format!("/{architecture}/{field}"))
            .and_then(|value| value.as_str())
    };
    let sources = sources_sha256(root).map_err(|error| format!("cannot read the kernel sources: {error}"))?;
    if recorded("sources_sha256") != Some(sources.as_str()) {
        return Err(
            "agent-ebpf or agent-common changed since the kernel object was built: \
                    run `cargo xtask ebpf`"
                .to_owned(),
        );
    }
    if recorded("sha256") != Some(sha256_hex(&read(&object)?).as_str()) {
        return Err(format!(
            "{} is not the object its manifest names: run `cargo xtask ebpf`",
            object.display()
        ));
    }
    Ok(object)
}

/// Runs this script again when one of the files it looks at changes, or a source file comes or goes.
fn watch(root: &Path, files: &[&Path]) -> Result<(), String> {
    let sources = source_files(root).map_err(|error| format!("cannot list the kernel sources: {error}"))?;
    let directories = [
        "agent-ebpf/src",
        "agent-common/src",
        "Cargo.lock",
        "xtask/src/source_hash.rs",
    ];
    let watched = sources
        .iter()
        .map(PathBuf::as_path)
        .chain(directories.iter().map(Path::new));
    for path in watched
        .map(|path| root.join(path))
        .chain(files.iter().map(|path| path.to_path_buf()))
    {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: build with cargo"))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path)
        .map_err(|error| format!("cannot read {} ({error}): run `cargo xtask ebpf`", path.display()))
}
