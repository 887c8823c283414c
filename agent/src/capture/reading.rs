//! Reading the kernel's types for the loader, while others plan what to attach.
//!
//! Refuses to look at them: the loader finds attach points by them, and [`super::btf`] finds fields, in its own way.

use std::thread::{self, JoinHandle};

use anyhow::{Context as _, Result, anyhow};
use aya::{Btf, BtfError, EbpfLoader};

/// The kernel's types, on their way to the loader.
///
/// The loader reads them for itself as soon as there is one, and its programs want them once more when they are loaded. That
/// takes some 30 ms each: two threads of their own, while somebody plans what to attach.
pub struct Reading {
    loader: JoinHandle<EbpfLoader<'static>>,
    types: JoinHandle<Result<Btf, BtfError>>,
}

impl Reading {
    /// Begins.
    pub fn start() -> Self {
        Self {
            loader: thread::spawn(EbpfLoader::new),
            types: thread::spawn(Btf::from_sys_fs),
        }
    }

    /// Waits for both.
    ///
    /// # Errors
    /// When the kernel has none.
    pub(super) fn done(self) -> Result<(EbpfLoader<'static>, Btf)> {
        let panicked = "reading the kernel's types ended by a panic: please report it";
        let loader = self.loader.join().map_err(|_| anyhow!(panicked))?;
        let types = self.types.join().map_err(|_| anyhow!(panicked))?;
        Ok((loader, types.context("cannot read the kernel's BTF")?))
    }
}
