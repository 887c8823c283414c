//! Places: the workspace this program was built from, its build directory, and the cache of the user.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// The root of the workspace, without symbolic links.
pub(crate) fn root() -> Result<PathBuf> {
    // `cargo run` says where the package lies now; the compiled-in path is where it lay when it was built.
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = Path::new(&package);
    let root = package.parent().context("xtask lies in no workspace")?;
    root.canonicalize()
        .with_context(|| format!("cannot find the workspace {}", root.display()))
}

/// The one build directory.
pub(crate) fn target_directory(root: &Path) -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |directory| root.join(directory))
}

/// `name` in the cache of the user, created when missing: `$XDG_CACHE_HOME/apiarist`, else `~/.cache/apiarist`.
pub(crate) fn cache(name: &str) -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory),
        None => home()?.join(".cache"),
    };
    let directory = base.join("apiarist").join(name);
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    Ok(directory)
}

/// Where cargo keeps sources: `$CARGO_HOME`, else `~/.cargo`.
pub(crate) fn cargo_home() -> Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(directory) => Ok(directory.into()),
        None => Ok(home()?.join(".cargo")),
    }
}

fn home() -> Result<PathBuf> {
    env::var_os("HOME")
        .map(PathBuf::from)
        .context("HOME is not set: set it to a directory you may write")
}
