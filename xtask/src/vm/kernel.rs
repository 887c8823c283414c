//! Which kernel is meant, and where its image is.
//!
//! Debian's cloud kernels are small and have what is needed built in; the few modules the tests use come
//! along. Unpacked kernels stay in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use super::mirror::Suite;
use crate::{shell::say, workspace};

/// Known suites, oldest kernel first.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];

/// The package that depends on the newest kernel of a suite.
const NEWEST: &str = "linux-image-cloud-amd64";

/// Modules the tests use, in an order in which they can be loaded: virtual links between namespaces, TLS in the kernel and
/// its cipher, for which a guest without programs cannot ask.
const MODULES: [&str; 7] = [
    "veth",
    "tls",
    "crypto_null",
    "gf128mul",
    "ghash-generic",
    "ctr",
    "gcm",
];

/// A kernel ready to boot.
pub(super) struct Kernel {
    /// Name for people: the package, or the path.
    pub(super) label: String,
    /// The bzImage.
    pub(super) image: PathBuf,
    /// Modules for the guest, those of [`MODULES`] that the package has.
    pub(super) modules: Vec<Module>,
}

/// A loadable module, uncompressed.
pub(super) struct Module {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
}

/// Finds the kernel that `name` means: a path, a suite, or a Debian package.
pub(super) fn resolve(name: &str) -> Result<Kernel> {
    if name.contains('/') {
        let image = PathBuf::from(name);
        if !image.is_file() {
            bail!("there is no kernel image {name}");
        }
        return Ok(Kernel {
            label: name.to_owned(),
            image,
            modules: Vec::new(),
        });
    }
    if SUITES.contains(&name) {
        let suite = Suite::open(name)?;
        let record = suite
            .record(NEWEST)
            .with_context(|| format!("suite {name} has no {NEWEST}"))?;
        let package = dependency(&record, "linux-image-").context("the newest kernel names no package")?;
        return unpacked(&suite, &package);
    }
    for suite in SUITES {
        let suite = Suite::open(suite)?;
        if suite.record(name).is_some() {
            return unpacked(&suite, name);
        }
    }
    bail!(
        "{name} is no suite ({}), no Debian package and no path with a slash",
        SUITES.join(", ")
    )
}

/// The kernel of `package`, from the cache or unpacked into it.
fn unpacked(suite: &Suite, package: &str) -> Result<Kernel> {
    let directory = workspace::cache("kernels")?.join(package);
    if !directory.exists() {
        say(format!("downloading {package}"));
        let partial = directory.with_extension("partial");
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)?;
        suite.unpack(package, &partial)?;
        // Newer kernels keep the image, and the modules, in packages of their own.
        let record = suite.record(package).unwrap_or_default();
        for prefix in ["linux-binary-", "linux-modules-"] {
            if let Some(part) = dependency(&record, prefix) {
                suite.unpack(&part, &partial)?;
            }
        }
        fs::rename(&partial, &directory).context("cannot keep the unpacked kernel")?;
    }
    let files = files_below(&directory)?;
    let is_image = |file: &&PathBuf| file_name(file).starts_with("vmlinuz");
    let image = files
        .iter()
        .find(is_image)
        .with_context(|| format!("{package} holds no kernel image"))?;
    let modules = MODULES
        .iter()
        .filter_map(|name| module(&files, name).transpose())
        .collect::<Result<_>>()?;
    Ok(Kernel {
        label: package.to_owned(),
        image: image.clone(),
        modules,
    })
}

fn module(files: &[PathBuf], name: &'static str) -> Result<Option<Module>> {
    let plain = format!("{name}.ko");
    let Some(file) = files.iter().find(|file| {
        file_name(file)
            .strip_prefix(&plain)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }) else {
        return Ok(None);
    };
    let unpack = match file.extension().and_then(|ending| ending.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        _ => {
            return Ok(Some(Module {
                name,
                bytes: fs::read(file)?,
            }));
        }
    };
    let output = Command::new(unpack).arg("-dc").arg(file).output();
    let output = output.with_context(|| format!("cannot start {unpack}: install it"))?;
    if !output.status.success() {
        bail!("{unpack} cannot unpack {}", file.display());
    }
    Ok(Some(Module {
        name,
        bytes: output.stdout,
    }))
}

/// The first package whose name starts with `prefix` among the dependencies of a control record.
fn dependency(record: &str, prefix: &str) -> Option<String> {
    let line = record.lines().find_map(|line| line.strip_prefix("Depends: "))?;
    let names = line
        .split([',', '|'])
        .filter_map(|entry| entry.split_whitespace().next());
    names.map(str::to_owned).find(|name| name.starts_with(prefix))
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut pending = vec![directory.to_owned()];
    let mut files = Vec::new();
    while let Some(next) = pending.pop() {
        for entry in fs::read_dir(&next)? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() {
                &mut pending
            } else {
                &mut files
            };
            list.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_is_found_by_prefix() {
        let record = "Package: linux-image-cloud-amd64\nDepends: kmod | x, linux-image-6.1.0-50-cloud-amd64 (= 6.1.1)\n";
        assert_eq!(
            dependency(record, "linux-image-").as_deref(),
            Some("linux-image-6.1.0-50-cloud-amd64")
        );
        assert_eq!(dependency(record, "linux-binary-"), None);
    }

    #[test]
    fn a_missing_image_is_named() {
        let problem = resolve("/nowhere/bzImage").err().unwrap();
        assert!(problem.to_string().contains("/nowhere/bzImage"));
    }
}
