//! What signatures recall of attacks that others have collected, and what they flag of recorded clean traffic.
//!
//! The collections are no part of the project: without them the test says so and passes. `APIARIST_DATA` names their
//! directory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test may be blunt"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use serde_json::Value;

fn data(name: &str) -> Option<PathBuf> {
    let directory = env::var_os("APIARIST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = directory.join(name);
    if !path.is_file() {
        eprintln!("skipped: {name} is not here");
        return None;
    }
    Some(path)
}

/// Whether each exchange of a file has a signature, by id.
fn flagged(file: &Path) -> (usize, BTreeSet<String>) {
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace.jsonl");
    let replayed = Command::new(env!("CARGO_BIN_EXE_apiarist"))
        .arg("replay")
        .arg(file)
        .arg("--trace")
        .arg(&trace)
        .arg("--store")
        .arg(place.path().join("store"))
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{replayed:?}");
    let trace = fs::read_to_string(trace).unwrap();
    let has_signature = |row: &Value| {
        let signals = row["signals"].as_array().map_or(&[][..], Vec::as_slice);
        signals.iter().any(|signal| signal["group"] == "signature")
    };
    let rows: Vec<Value> = trace
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let flagged = rows
        .iter()
        .filter(|row| has_signature(row))
        .map(|row| row["id"].as_str().unwrap().to_owned());
    (rows.len(), flagged.collect())
}

/// Share of attacks that have a signature, by a member of the truth.
fn recall(name: &str, member: &str) -> Option<BTreeMap<String, f64>> {
    let (file, truth) = (
        data(&format!("{name}.jsonl.gz"))?,
        data(&format!("{name}.truth.jsonl.gz"))?,
    );
    let (_, flagged) = flagged(&file);
    let mut text = String::new();
    GzDecoder::new(fs::File::open(truth).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut counts = BTreeMap::<String, (f64, f64)>::new();
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        let known = flagged.contains(row["id"].as_str().unwrap());
        if row["label"] != "attack" {
            assert!(!known, "a harmless value is flagged: {row}");
            continue;
        }
        let count = counts
            .entry(row[member].as_str().unwrap().to_owned())
            .or_default();
        count.0 += f64::from(u8::from(known));
        count.1 += 1.0;
    }
    Some(
        counts
            .into_iter()
            .map(|(name, (hits, n))| (name, hits / n))
            .collect(),
    )
}

fn holds(recall: &BTreeMap<String, f64>, least: &[(&str, f64)]) {
    for (name, least) in least {
        let share = recall.get(*name).copied().unwrap_or(0.0);
        assert!(share >= *least, "{name}: {share:.3} of {recall:?}");
    }
}

#[test]
fn collected_payloads_are_recalled() {
    let Some(recall) = recall("attacks", "src") else {
        return;
    };
    holds(
        &recall,
        &[("HttpParams", 0.97), ("waf-bypass", 0.80), ("gotestwaf", 0.75)],
    );
}

#[test]
fn families_of_the_core_rule_set_are_recalled() {
    let Some(recall) = recall("attacks-crs", "class") else {
        return;
    };
    let families = ["java", "php", "xss", "lfi", "generic", "rce", "sqli"];
    holds(&recall, &families.map(|name| (name, 0.80)));
}

#[test]
fn recorded_clean_traffic_stays_quiet() {
    let (mut all, mut bad) = (0, 0);
    for name in ["recorded-github", "recorded-okta", "people"] {
        let Some(file) = data(&format!("{name}.jsonl.gz")) else {
            return;
        };
        let (count, flagged) = flagged(&file);
        all += count;
        bad += flagged.len();
    }
    assert!(bad * 1000 <= all, "{bad} of {all} clean exchanges are flagged");
}
