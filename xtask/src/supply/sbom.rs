//! The bill of materials: CycloneDX 1.5, as JSON.
//!
//! The same for the same lock file: no time and no serial number.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::graph::{Graph, Package};

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// The bill of the agent.
pub(crate) fn bill(root: &Path) -> Result<Value> {
    let graph = Graph::read(root)?;
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let lock: Lock = toml::from_str(&lock).context("Cargo.lock")?;
    let sums: BTreeMap<(String, String), String> = lock
        .package
        .into_iter()
        .filter_map(|locked| Some(((locked.name, locked.version), locked.checksum?)))
        .collect();
    let names: BTreeMap<&str, String> = graph
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package.purl()))
        .collect();
    let (agent, others): (Vec<&Package>, Vec<&Package>) = graph
        .packages
        .iter()
        .partition(|package| package.is_own() && package.name == "apiarist");
    let agent = agent.first().context("the agent is not among its own crates")?;
    let components: Vec<Value> = others.iter().map(|package| component(package, &sums)).collect();
    let dependencies: Vec<Value> = graph
        .packages
        .iter()
        .map(|package| {
            let needs = graph.needs.get(&package.id).into_iter().flatten();
            let needs: Vec<&String> = needs.filter_map(|id| names.get(id.as_str())).collect();
            json!({"ref": package.purl(), "dependsOn": needs})
        })
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": agent.purl(), "name": agent.name, "version": agent.version,
            "purl": agent.purl(), "licenses": [{"expression": agent.license}],
        }},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, sums: &BTreeMap<(String, String), String>) -> Value {
    // The older form of expressions is not one of SPDX.
    let expression = package
        .license
        .as_deref()
        .unwrap_or("NOASSERTION")
        .replace('/', " OR ");
    let mut component = json!({
        "type": "library", "bom-ref": package.purl(), "name": package.name, "version": package.version,
        "purl": package.purl(), "licenses": [{"expression": expression}],
    });
    let sum = sums.get(&(package.name.clone(), package.version.clone()));
    if let (Some(sum), Some(members)) = (sum, component.as_object_mut()) {
        members.insert("hashes".to_owned(), json!([{"alg": "SHA-256", "content": sum}]));
    }
    component
}
