//! How far the classes go on strings that other detectors are tested with. The data is no part of the project:
//! without it these tests say so and pass.

use std::{collections::BTreeMap, io::Read as _, path::PathBuf};

use serde_json::Value;

use super::{SensitiveType, classify};

fn rows(name: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("APIARIST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let Ok(file) = std::fs::File::open(directory.join(name)) else {
        println!("{name}: not there, skipped");
        return None;
    };
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut text)
        .expect("text");
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).expect("row"))
            .collect(),
    )
}

/// Counts of right and wrong answers of one rule.
#[derive(Default)]
struct Score {
    hits: f64,
    false_alarms: f64,
    misses: f64,
}

impl Score {
    fn add(&mut self, is_there: bool, is_found: bool) {
        match (is_there, is_found) {
            (true, true) => self.hits += 1.0,
            (true, false) => self.misses += 1.0,
            (false, true) => self.false_alarms += 1.0,
            (false, false) => {}
        }
    }

    fn f1(&self) -> Option<f64> {
        let total = 2.0 * self.hits + self.false_alarms + self.misses;
        (self.hits + self.misses > 0.0).then(|| 2.0 * self.hits / total)
    }
}

fn mean(scores: &BTreeMap<String, Score>) -> f64 {
    let all: Vec<f64> = scores.values().filter_map(Score::f1).collect();
    for (rule, score) in scores {
        println!(
            "{rule:40} {:.2?} misses {} false {}",
            score.f1(),
            score.misses,
            score.false_alarms
        );
    }
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

#[test]
fn secrets_of_other_detectors() {
    let Some(rows) = rows("secret-cases.jsonl.gz") else {
        return;
    };
    let mut scores = BTreeMap::<String, Score>::new();
    for row in &rows {
        let text = row["text"].as_str().expect("text");
        let found = classify("text", text, false).map(|found| found.kind);
        let is_found = matches!(
            found,
            Some(
                SensitiveType::Secret
                    | SensitiveType::Jwt
                    | SensitiveType::PrivateKey
                    | SensitiveType::Password
            )
        );
        let rule = row["rule"].as_str().expect("rule").to_owned();
        let is_there = row["label"] == "secret";
        if is_there != is_found {
            println!("{rule} {is_there}: {text:.90}");
        }
        scores.entry(rule).or_default().add(is_there, is_found);
    }
    println!("macro F1 {:.3}", mean(&scores));
}

/// Types that other detectors find, by the name they give them, and what a field with one is called.
const KINDS: &[(&str, SensitiveType, &str)] = &[
    ("CREDIT_CARD", SensitiveType::CardPan, "card_number"),
    ("IBAN_CODE", SensitiveType::Iban, "iban"),
    ("US_SSN", SensitiveType::Ssn, "ssn"),
    ("IN_AADHAAR", SensitiveType::Aadhaar, "aadhaar"),
    ("UK_NHS", SensitiveType::NhsNumber, "nhs_number"),
    ("UK_NINO", SensitiveType::Nino, "nino"),
    ("CA_SIN", SensitiveType::Sin, "sin"),
    ("ABA_ROUTING_NUMBER", SensitiveType::AbaRouting, "routing_number"),
    ("EMAIL_ADDRESS", SensitiveType::Email, "email"),
    ("IP_ADDRESS", SensitiveType::IpAddress, "ip"),
    ("PHONE_NUMBER", SensitiveType::Phone, "phone"),
];

/// Those that a check digit tells.
const CHECKED: &[&str] = &[
    "CREDIT_CARD",
    "IBAN_CODE",
    "IN_AADHAAR",
    "UK_NHS",
    "CA_SIN",
    "ABA_ROUTING_NUMBER",
];

#[test]
fn numbers_of_people_and_accounts() {
    let Some(rows) = rows("pii-cases.jsonl.gz") else {
        return;
    };
    for named in [false, true] {
        let (mut checked, mut others) = (BTreeMap::<String, Score>::new(), BTreeMap::<String, Score>::new());
        for row in &rows {
            let entity = row["entity"].as_str().expect("entity");
            let Some((_, kind, name)) = KINDS.iter().find(|(name, ..)| *name == entity) else {
                continue;
            };
            let text = row["text"].as_str().expect("text");
            let key = if named { name } else { "text" };
            let is_found = classify(key, text, false).is_some_and(|found| found.kind == *kind);
            let is_there = row["count"].as_u64().expect("count") > 0;
            if is_there != is_found {
                println!("{entity} {is_there}: {text:.90}");
            }
            let scores = if CHECKED.contains(&entity) {
                &mut checked
            } else {
                &mut others
            };
            scores
                .entry(entity.to_owned())
                .or_default()
                .add(is_there, is_found);
        }
        println!("fields are named: {named}");
        let score = mean(&checked);
        println!("macro F1 of checked numbers {score:.3}");
        println!("macro F1 of others {:.3}", mean(&others));
        assert!(score >= 0.95, "{score}");
    }
}

/// On traffic without such data, fewer than one field in a thousand is called a card, an SSN, an IBAN or a secret.
#[test]
fn traffic_without_secrets() {
    let alarming = [
        SensitiveType::CardPan,
        SensitiveType::Ssn,
        SensitiveType::Iban,
        SensitiveType::Secret,
        SensitiveType::PrivateKey,
        SensitiveType::Password,
        SensitiveType::Jwt,
    ];
    let (mut fields, mut wrong) = (0_u32, BTreeMap::<(SensitiveType, String), String>::new());
    for name in ["recorded-github.jsonl.gz", "recorded-okta.jsonl.gz"] {
        let Some(rows) = rows(name) else { return };
        for row in &rows {
            for side in ["request", "response"] {
                let body = row[side]["body"].as_str().unwrap_or_default();
                let Ok(body) = serde_json::from_str::<Value>(body) else {
                    continue;
                };
                values("$", "", &body, &mut |path, key, text| {
                    fields += 1;
                    if let Some(found) = classify(key, text, false)
                        && alarming.contains(&found.kind)
                    {
                        let place = format!("{:?} {side} {path}", found.grade);
                        wrong
                            .entry((found.kind, place))
                            .or_insert_with(|| text.to_owned());
                    }
                });
            }
        }
    }
    for ((kind, place), text) in &wrong {
        println!("{kind:?} {place}: {text:.100}");
    }
    println!("{} places of {fields} values", wrong.len());
    assert!(u32::try_from(wrong.len()).expect("small") * 1000 < fields);
}

fn values<'a>(path: &str, key: &'a str, value: &'a Value, visit: &mut impl FnMut(&str, &str, &str)) {
    match value {
        Value::String(text) => visit(path, key, text),
        Value::Array(items) => items
            .iter()
            .for_each(|item| values(&format!("{path}[]"), key, item, visit)),
        Value::Object(members) => members
            .iter()
            .for_each(|(name, member)| values(&format!("{path}.{name}"), name, member, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
