//! The crates that the shipped binary is built from.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::shell::{cargo, output_of};

/// What is shipped.
const ROOT: &str = "apiarist";

/// Where it is shipped to; other targets of the same system use the same crates.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Crates and who needs whom, in order of name and version.
#[derive(Debug)]
pub(super) struct Graph {
    pub(super) packages: Vec<Package>,
    /// Ids of what each needs, by id.
    pub(super) needs: BTreeMap<String, BTreeSet<String>>,
}

/// One crate, as `cargo metadata` tells it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    pub(super) source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Debug, Clone, Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    /// `None`: not for tests, not for build scripts.
    kind: Option<String>,
}

impl Package {
    /// Part of this workspace.
    pub(super) fn is_own(&self) -> bool {
        self.source.is_none() && self.name.starts_with(ROOT)
    }

    pub(super) fn has_build_script(&self) -> bool {
        self.targets
            .iter()
            .any(|target| target.kind.iter().any(|kind| kind == "custom-build"))
    }

    /// As a package URL.
    pub(super) fn purl(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }
}

impl Graph {
    /// Asks cargo; follows what is needed to build, not what is needed to test.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut command = cargo(root);
        command.args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            TARGET,
        ]);
        let metadata: Metadata =
            serde_json::from_str(&output_of(&mut command)?).context("cargo metadata has another form")?;
        let mut nodes: BTreeMap<&str, &Node> = BTreeMap::new();
        for node in &metadata.resolve.nodes {
            nodes.insert(&node.id, node);
        }
        let start = metadata
            .packages
            .iter()
            .find(|package| package.name == ROOT && package.source.is_none())
            .context("the agent is not in the workspace")?;
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut waiting = vec![start.id.clone()];
        while let Some(id) = waiting.pop() {
            let Some(node) = nodes.get(id.as_str()).filter(|_| !needs.contains_key(&id)) else {
                continue;
            };
            let built = node.deps.iter().filter(|dependency| {
                dependency
                    .dep_kinds
                    .iter()
                    .any(|kind| kind.kind.as_deref() != Some("dev"))
            });
            let built: BTreeSet<String> = built.map(|dependency| dependency.pkg.clone()).collect();
            waiting.extend(built.iter().cloned());
            needs.insert(id, built);
        }
        let mut packages: Vec<Package> = metadata
            .packages
            .into_iter()
            .filter(|package| needs.contains_key(&package.id))
            .collect();
        packages.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        Ok(Self { packages, needs })
    }
}
