//! Advisories: a checkout of RustSec's database, compared with the lock file.
//!
//! In: a directory as <https://github.com/rustsec/advisory-db> has it, from wherever it was brought; nothing is fetched. Out: what
//! applies to a locked version, whatever it is locked for. Advisories that were withdrawn do not count.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use semver::{Version, VersionReq};
use serde::Deserialize;

/// What stands before the text of an advisory.
#[derive(Debug, Deserialize)]
struct Entry {
    advisory: Advisory,
    #[serde(default)]
    versions: Versions,
}

#[derive(Debug, Deserialize)]
struct Advisory {
    id: String,
    package: String,
    withdrawn: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Versions {
    patched: Vec<VersionReq>,
    unaffected: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: Version,
    source: Option<String>,
}

/// What was compared.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) advisories: usize,
    pub(super) versions: usize,
    /// One line for each that applies.
    pub(super) found: Vec<String>,
}

/// Compares the lock file below `root` with the database at `database`.
pub(super) fn check(root: &Path, database: &Path) -> Result<Outcome> {
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
    let mut versions: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for locked in lock.package.into_iter().filter(|locked| locked.source.is_some()) {
        versions.entry(locked.name).or_default().push(locked.version);
    }
    let mut outcome = Outcome {
        versions: versions.values().map(Vec::len).sum(),
        ..Outcome::default()
    };
    let crates = database.join("crates");
    let listing = fs::read_dir(&crates).with_context(|| format!("cannot read {}", crates.display()))?;
    for directory in listing {
        for file in fs::read_dir(directory?.path())? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "md") {
                continue;
            }
            let text = fs::read_to_string(&path)?;
            let entry = read(&text).with_context(|| path.display().to_string())?;
            outcome.advisories += 1;
            let versions = versions.get(&entry.advisory.package);
            let affected = versions
                .into_iter()
                .flatten()
                .filter(|version| entry.affects(version));
            let told = affected.map(|version| {
                let Advisory { id, package, .. } = &entry.advisory;
                format!("{package} {version}: {id}")
            });
            outcome.found.extend(told);
        }
    }
    ensure!(
        outcome.advisories > 0,
        "there are no advisories in {}",
        crates.display()
    );
    outcome.found.sort();
    Ok(outcome)
}

/// The entry that an advisory begins with, fenced off from its text.
fn read(text: &str) -> Result<Entry> {
    let (_, rest) = text.split_once("```toml").context("it has no entry")?;
    let (entry, _) = rest.split_once("\n```").context("its entry has no end")?;
    Ok(toml::from_str(entry)?)
}

impl Entry {
    fn affects(&self, version: &Version) -> bool {
        let Versions { patched, unaffected } = &self.versions;
        self.advisory.withdrawn.is_none()
            && !patched.iter().chain(unaffected).any(|good| good.matches(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_between_the_good_ones_are_affected() {
        let text = "```toml\n[advisory]\nid = \"RUSTSEC-2023-0053\"\npackage = \"x\"\n[versions]\n\
                    patched = [\">= 0.100.2, < 0.101.0\", \">= 0.101.4\"]\nunaffected = [\"< 0.100.0\"]\n```\n# Title\n";
        let entry = read(text).unwrap();
        let affects = |version: &str| entry.affects(&version.parse().unwrap());
        for bad in ["0.100.0", "0.101.3"] {
            assert!(affects(bad), "{bad}");
        }
        for good in ["0.99.9", "0.100.2", "0.103.16"] {
            assert!(!affects(good), "{good}");
        }
        let withdrawn = text.replace("package", "withdrawn = \"2023-09-01\"\npackage");
        assert!(!read(&withdrawn).unwrap().affects(&Version::new(0, 100, 0)));
        assert!(read("# Title").is_err());
    }
}
