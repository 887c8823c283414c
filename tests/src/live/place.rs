//! A directory for one test, and the lock that keeps tests of several builds apart: they share one kernel.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::binary::is_guest;

/// Where one test keeps its files.
#[derive(Debug)]
pub struct Place {
    directory: TempDir,
    /// Held while the test runs.
    _alone: File,
}

impl Place {
    /// Waits until no other test runs, then makes a directory.
    pub(crate) fn new() -> Result<Self> {
        let lock = std::env::temp_dir().join("apiarist-live-tests.lock");
        let alone = File::options()
            .create(true)
            .append(true)
            .open(&lock)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", lock.display()))?;
        let directory = tempfile::Builder::new()
            .prefix("apiarist-")
            .tempdir()
            .context("cannot make a directory")?;
        Ok(Self {
            directory,
            _alone: alone,
        })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A file or directory in it, as text.
    pub(crate) fn file(&self, name: &str) -> String {
        self.path().join(name).to_string_lossy().into_owned()
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<String> {
        let path = self.file(name);
        fs::write(&path, content).with_context(|| format!("cannot write {path}"))?;
        Ok(path)
    }
}

impl Place {
    /// Makes a directory in it, and lets other users of the machine get there.
    pub(crate) fn open_to_all(&self, name: &str) -> Result<PathBuf> {
        let directory = self.path().join(name);
        fs::create_dir(&directory)?;
        for path in [self.path(), &directory] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        Ok(directory)
    }
}

/// A program that comes with the tests.
pub(crate) fn fixture(name: &str) -> String {
    if is_guest() {
        return format!("/fixtures/{name}");
    }
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}
