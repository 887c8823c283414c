//! How templates come out on the routes of public API descriptions and on recorded traffic. The data is no part of the
//! project: without it these tests say so and pass.
//!
//! The APIs are in two halves by a hash of their names: rules are made with one half in view and judged on the other.

mod lexical;
mod recorded;
mod score;
mod traffic;
mod words;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::Arc,
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::{
    inventory::{Inventory, Limits, fixture::Call},
    workload::{Workload, WorkloadKind},
};
use score::{Placed, Score};
use traffic::{Api, Dice};

/// The rows of a file of the development data; `None`, said aloud, if it is not there.
fn rows(name: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("APIARIST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let Ok(file) = std::fs::File::open(directory.join(name)) else {
        println!("{name}: not there, skipped");
        return None;
    };
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    Some(
        lines
            .map(|line| serde_json::from_str(&line.expect("line")).expect("row"))
            .collect(),
    )
}

/// One request and the template that its server would answer it with.
#[derive(Debug, Clone)]
struct Asked {
    call: Call,
    method: &'static str,
    target: String,
    template: String,
}

/// The method, if it is one of those that APIs use.
fn method(name: &str) -> Option<&'static str> {
    const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    METHODS.iter().copied().find(|known| *known == name)
}

/// Where everything ends up when one workload is asked all of it.
fn place(asked: &[Asked]) -> Vec<Placed> {
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "api"));
    let mut inventory = Inventory::new(Limits::default());
    for one in asked {
        inventory.observe(&one.call.clone().exchange(), &workload, None);
    }
    inventory.settle();
    let found = |one: &Asked| Placed {
        method: one.method,
        path: one.target.split('?').next().unwrap_or_default().to_owned(),
        template: one.template.clone(),
        found: inventory
            .locate(&workload.id, one.method, &one.target)
            .template
            .map(|template| template.to_string())
            .unwrap_or_default(),
    };
    asked.iter().map(found).collect()
}

/// Descriptions of one provider that are looked at: more would be no other API, only more of it.
const MAX_ROUTES: usize = 120;

fn apis() -> Option<BTreeMap<String, Api>> {
    let mut apis = BTreeMap::<String, Api>::new();
    for row in rows("openapi-templates.jsonl.gz")? {
        let name = row["provider"].as_str().expect("provider");
        let api = apis.entry(name.to_owned()).or_insert_with(|| Api::new(name));
        if api.routes() < MAX_ROUTES {
            api.add(
                row["method"].as_str().expect("method"),
                row["path"].as_str().expect("path"),
            );
        }
    }
    Some(apis)
}

/// Made-up traffic of real APIs: what is joined belongs together, and most of what belongs together is joined.
#[test]
fn made_up_traffic_of_described_apis() {
    let Some(apis) = apis() else { return };
    for (half, of_design) in [("design", true), ("judge", false)] {
        let (mut sum, mut mean, mut count) = (Score::default(), 0.0, 0.0);
        for (name, api) in &apis {
            if (Dice::new(name).below(2) == 0) != of_design {
                continue;
            }
            let placed = place(&api.traffic());
            let score = Score::of(&placed);
            if of_design && std::env::var_os("APIARIST_SHOW").is_some() {
                score.show(name, &placed);
            }
            if score.multi > 0 {
                mean += score.pair_precision();
                count += 1.0;
            }
            sum.add(&score);
        }
        println!(
            "{half}: {sum}; mean of {count} APIs {:.4}",
            mean / f64::max(count, 1.0)
        );
        if !of_design {
            assert!(sum.pair_precision() >= 0.98, "{sum}");
            assert!(sum.exact_multi() >= 0.83, "{sum}");
        }
    }
}
