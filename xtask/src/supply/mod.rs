//! `cargo xtask supply`: what the agent is made of, and whether that is what `deny.toml` allows.
//!
//! In: `cargo metadata`, the lock file, `deny.toml`. Out: every offence at once, and a bill of materials. Looks at what the
//! shipped binary is built from, not at tests. Advisories are compared only where a copy of their database is given; nothing is
//! fetched.

mod advisories;
mod graph;
mod licence;
mod sbom;

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use serde::Deserialize;

use crate::{shell::say, workspace};
use graph::Graph;
pub(crate) use sbom::bill;

/// Options of `cargo xtask supply`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write the bill of materials (CycloneDX 1.5) there as well
    #[arg(long, value_name = "FILE")]
    sbom: Option<PathBuf>,
    /// Compare Cargo.lock with a checkout of <https://github.com/rustsec/advisory-db>
    #[arg(long, value_name = "DIRECTORY")]
    advisories: Option<PathBuf>,
}

/// The parts of `deny.toml` that are checked here.
#[derive(Debug, Deserialize)]
struct Policy {
    licenses: Licenses,
    sources: Sources,
    bans: Bans,
}

#[derive(Debug, Deserialize)]
struct Licenses {
    allow: Vec<String>,
    exceptions: Vec<Exception>,
}

/// A licence that one crate may have.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Bans {
    deny: Vec<Banned>,
    build: Build,
}

#[derive(Debug, Deserialize)]
struct Banned {
    #[serde(rename = "crate")]
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Build {
    allow_build_scripts: Vec<String>,
}

/// Checks, and writes the bill if asked to.
pub(crate) fn main(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let graph = Graph::read(&root)?;
    let text = fs::read_to_string(root.join("deny.toml")).context("cannot read deny.toml")?;
    let policy: Policy = toml::from_str(&text).context("deny.toml")?;
    let offences = offences(&graph, &policy);
    for offence in &offences {
        say(offence);
    }
    if !offences.is_empty() {
        bail!("{} offences against deny.toml", offences.len());
    }
    let advisories = match &options.advisories {
        None => "advisories were not asked for".to_owned(),
        Some(database) => {
            let outcome = advisories::check(&root, database)?;
            for found in &outcome.found {
                say(found);
            }
            ensure!(
                outcome.found.is_empty(),
                "{} advisories apply",
                outcome.found.len()
            );
            format!(
                "none of {} advisories applies to the {} locked versions",
                outcome.advisories, outcome.versions
            )
        }
    };
    if let Some(file) = &options.sbom {
        let text = serde_json::to_string_pretty(&sbom::bill(&root)?)?;
        fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
        say(format!("wrote {}", file.display()));
    }
    say(format!(
        "{} crates, {} of them with build scripts: licences, sources and scripts are as deny.toml has them; {advisories}",
        graph.packages.len(),
        graph
            .packages
            .iter()
            .filter(|package| package.has_build_script())
            .count()
    ));
    Ok(())
}

fn offences(graph: &Graph, policy: &Policy) -> Vec<String> {
    let mut offences = Vec::new();
    let Licenses { allow, exceptions } = &policy.licenses;
    let scripts: BTreeSet<&str> = policy
        .bans
        .build
        .allow_build_scripts
        .iter()
        .map(String::as_str)
        .collect();
    for package in graph.packages.iter().filter(|package| !package.is_own()) {
        let name = format!("{} {}", package.name, package.version);
        let own = exceptions
            .iter()
            .filter(|exception| exception.name == package.name);
        let own = own.flat_map(|exception| &exception.allow);
        let allowed = allow.iter().chain(own).map(String::as_str).collect();
        match &package.license {
            Some(expression) if licence::is_allowed(expression, &allowed) => {}
            Some(expression) => offences.push(format!("{name}: licence {expression} is not allowed")),
            None => offences.push(format!("{name}: names no licence")),
        }
        let is_known = package.source.as_deref().is_some_and(|source| {
            policy
                .sources
                .allow_registry
                .iter()
                .any(|registry| source == format!("registry+{registry}"))
        });
        if !is_known {
            offences.push(format!("{name}: comes from {:?}", package.source));
        }
        if policy.bans.deny.iter().any(|banned| banned.name == package.name) {
            offences.push(format!("{name}: is not wanted here"));
        }
        if package.has_build_script() && !scripts.contains(package.name.as_str()) {
            offences.push(format!("{name}: has a build script that is not on the list"));
        }
    }
    let names: BTreeSet<&str> = graph
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    for script in scripts.difference(&names) {
        offences.push(format!("{script}: is listed in deny.toml and not used"));
    }
    offences
}
