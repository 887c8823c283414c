//! How far the lexical rule alone goes.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{
        lexical::template,
        segment::{SegmentType, classify},
    },
    rows,
};
use crate::inventory::path::canonical;

/// Literal segments of documented routes that the rule would take for parameters: below 1 in 1,000.
#[test]
fn documented_routes_stay_literal() {
    let Some(rows) = rows("openapi-templates.jsonl.gz") else {
        return;
    };
    let (mut literals, mut taken) = (0_u32, BTreeMap::<(String, String), u32>::new());
    for row in &rows {
        // Braces are no path characters: `{id}` becomes a literal that no rule takes.
        let Ok(path) = canonical(row["path"].as_str().expect("path")) else {
            continue;
        };
        literals += u32::try_from(path.segments().filter(|s| !s.contains("%7B")).count()).expect("small");
        for parameter in template(&path).parameters {
            let kind = format!("{:?}", parameter.kind);
            *taken.entry((kind, path.as_str().to_owned())).or_default() += 1;
        }
    }
    let wrong: u32 = taken.values().sum();
    for ((kind, path), count) in taken.iter().take(60) {
        println!("{count:5} {kind:10} {path}");
    }
    println!("{wrong} of {literals} literal segments taken for parameters");
    assert!(wrong * 1000 < literals, "{wrong} of {literals}");
}

/// Values that documented parameters had in recorded traffic, by the type the rule gives them.
#[test]
fn recorded_values_by_type() {
    for name in ["recorded-github", "recorded-okta"] {
        let (Some(exchanges), Some(truth)) = (
            rows(&format!("{name}.jsonl.gz")),
            rows(&format!("{name}.truth.jsonl.gz")),
        ) else {
            return;
        };
        let mut values = BTreeMap::<String, BTreeSet<String>>::new();
        let (mut pairs, mut wrong) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
        for (exchange, truth) in exchanges.iter().zip(&truth) {
            let Some(expected) = truth["template"].as_str() else {
                continue;
            };
            let Ok(path) = canonical(exchange["target"].as_str().expect("target")) else {
                continue;
            };
            let names: Vec<&str> = expected.split('/').filter(|s| !s.is_empty()).collect();
            let segments: Vec<&str> = path.segments().collect();
            let method = exchange["method"].as_str().expect("method");
            pairs
                .entry(format!("{method} {}", template(&path).text))
                .or_default()
                .insert(format!("{method} {expected}"));
            if names.len() != segments.len() {
                continue;
            }
            for (name, segment) in names.into_iter().zip(segments) {
                let kind = classify(segment);
                if name.starts_with('{') {
                    values
                        .entry(format!("{kind:?}"))
                        .or_default()
                        .insert(segment.to_owned());
                } else if kind.is_parameter() && kind != SegmentType::Int {
                    wrong.insert(format!("{kind:?} {segment} in {expected}"));
                }
            }
        }
        for (kind, values) in &values {
            let some: Vec<_> = values.iter().step_by(values.len().div_ceil(25)).collect();
            println!("{name} {kind} {} {some:?}", values.len());
        }
        println!("{name}: {} predicted, wrong literals {wrong:?}", pairs.len());
        for (template, truths) in pairs.iter().filter(|(_, truths)| truths.len() > 1).take(20) {
            println!("  {template} joins {truths:?}");
        }
    }
}
