//! Routes of one program, from what its files say.
//!
//! In: findings by file. Out: the table. A router is known by its variable where it is made, by the variable it was
//! imported as, or by the module it comes from; its routes stand below all paths it is mounted at. Of a router whose
//! mounts were not found, those routes that begin with a literal are taken below all paths that anything is mounted
//! at: one of them may be right, and no request takes the others.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::LazyLock,
};

use regex_lite::Regex;

use super::{Findings, Found};
use crate::inventory::template::{Routes, SegmentType};

/// Paths that one router is mounted at. Overflow policy: the first by name.
const MAX_MOUNTS: usize = 32;

/// Mounts of mounts that are followed. Overflow policy: what is deeper is as if it were at the top.
const MAX_DEPTH: usize = 4;

/// A pattern of this program, compiled once; it is tested that all do.
macro_rules! pattern {
    ($text:expr) => {
        std::sync::LazyLock::new(|| regex_lite::Regex::new($text).ok())
    };
}
pub(super) use pattern;

/// The groups of all matches; those that took no part are empty.
pub(super) fn all<'t, const N: usize>(
    regex: &'static LazyLock<Option<Regex>>,
    text: &'t str,
) -> impl Iterator<Item = [&'t str; N]> {
    let matches = regex.as_ref().map(|regex| regex.captures_iter(text));
    matches
        .into_iter()
        .flatten()
        .map(|found| std::array::from_fn(|at| found.get(at + 1).map_or("", |group| group.as_str())))
}

/// Two paths, one below the other.
pub(super) fn join(mount: &str, path: &str) -> String {
    let (mount, path) = (mount.trim_end_matches('/'), path.trim_matches('/'));
    let slash = if mount.is_empty() || mount.starts_with('/') {
        ""
    } else {
        "/"
    };
    if path.is_empty() && !mount.is_empty() {
        format!("{slash}{mount}")
    } else {
        format!("{slash}{mount}/{path}")
    }
}

/// The table of a program.
pub fn routes<'a>(files: impl Iterator<Item = (&'a Path, &'a Findings)>) -> Routes {
    let program = Program::new(files);
    let mut routes = Routes::default();
    for (module, findings) in &program.files {
        for found in &findings.routes {
            for path in program.paths(module, findings, found) {
                // A path that says nothing is left out.
                let _added: bool = routes.add(found.method.as_deref(), &path, |_| SegmentType::Name);
            }
        }
    }
    routes
}

/// What is mounted where, by the last names of modules and variables.
struct Program<'a> {
    files: Vec<(String, &'a Findings)>,
    /// Mounts with the file that has them.
    mounts: BTreeMap<String, Vec<(usize, &'a str)>>,
    /// All paths that anything is mounted at.
    anywhere: BTreeSet<&'a str>,
}

impl<'a> Program<'a> {
    fn new(files: impl Iterator<Item = (&'a Path, &'a Findings)>) -> Self {
        let files: Vec<(String, &Findings)> =
            files.map(|(path, findings)| (module(path), findings)).collect();
        let mut mounts: BTreeMap<String, Vec<(usize, &str)>> = BTreeMap::new();
        let mut anywhere = BTreeSet::new();
        for (at, (_, findings)) in files.iter().enumerate() {
            for mount in &findings.mounts {
                if mount.router.starts_with('=') {
                    continue;
                }
                anywhere.insert(mount.path.as_str());
                for key in keys(&mount.router, findings) {
                    mounts.entry(key).or_default().push((at, &mount.path));
                }
            }
        }
        Self {
            files,
            mounts,
            anywhere,
        }
    }

    /// All paths of a route.
    fn paths(&self, module: &str, findings: &Findings, found: &Found) -> Vec<String> {
        let own = own_prefix(findings, &found.router);
        let path = join(own, &found.path);
        let mounted = self.mounted(module, &found.router, MAX_DEPTH);
        if !mounted.is_empty() {
            return mounted.iter().map(|mount| join(mount, &path)).collect();
        }
        let mut paths = vec![path.clone()];
        let is_application = matches!(found.router.as_str(), "app" | "application" | "server" | "");
        if !is_application && !path.starts_with("/{") && path.len() > 1 {
            let all = self.anywhere.iter().filter(|mount| !mount.is_empty());
            paths.extend(all.take(MAX_MOUNTS).map(|mount| join(mount, &path)));
        }
        paths
    }

    /// The paths that a router of a module is mounted at.
    fn mounted(&self, module: &str, router: &str, depth: usize) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        let names = [format!("{module}.{router}"), module.to_owned(), router.to_owned()];
        // A module is more certain than a variable, which many files may have.
        let known = names.iter().find_map(|name| self.mounts.get(name.as_str()));
        for (at, path) in known.into_iter().flatten().take(MAX_MOUNTS) {
            let Some((outer, _)) = self.files.get(*at) else {
                continue;
            };
            let above = match depth.checked_sub(1) {
                Some(depth) if outer != module => self.mounted(outer, "router", depth),
                _ => BTreeSet::new(),
            };
            if above.is_empty() {
                paths.insert((*path).to_owned());
            }
            paths.extend(above.iter().map(|above| join(above, path)));
        }
        paths
    }
}

/// The prefix that a router was made with.
fn own_prefix<'f>(findings: &'f Findings, router: &str) -> &'f str {
    let made = |router: &str| {
        let mut mounts = findings.mounts.iter();
        mounts.find(|mount| mount.router.strip_prefix('=') == Some(router))
    };
    made(router).map_or("", |mount| mount.path.as_str())
}

/// Names that a mounted router may have where it is made: `users.router`, and the module it was imported from.
fn keys(router: &str, findings: &Findings) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let (first, last) = router.split_once('.').unwrap_or((router, ""));
    let imported = findings.imports.iter().find(|(name, _)| name == first);
    match imported {
        // `from shop.users import router`: the module is the one before, or the name itself.
        Some((_, from)) => {
            let mut parts = from.rsplit(['.', '/']).filter(|part| !part.is_empty());
            let name = parts.next().unwrap_or_default();
            keys.insert(name.to_owned());
            if let Some(parent) = parts.next() {
                keys.insert(format!("{parent}.{name}"));
                keys.insert(format!("{parent}.{name}.{last}"));
            }
        }
        None => drop(keys.insert(router.to_owned())),
    }
    if !last.is_empty() {
        // `users.router`, `shop.urls`.
        keys.insert(first.to_owned());
        keys.insert(
            router
                .rsplitn(3, '.')
                .take(2)
                .collect::<Vec<_>>()
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
                .join("."),
        );
    }
    keys
}

/// The name of a file's module: its stem, or its directory's where the stem is a matter of form.
fn module(path: &Path) -> String {
    let name = |path: &Path| path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stem = name(path).unwrap_or_default();
    let parent = path.parent().and_then(name).unwrap_or_default();
    match stem.as_str() {
        "index" | "__init__" => parent,
        "urls" | "views" | "routes" | "router" => format!("{parent}.{stem}"),
        _ => stem,
    }
}
