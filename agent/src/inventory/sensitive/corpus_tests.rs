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

#[test]
fn numbers_of_people_and_accounts() {
    let Some(rows) = rows("pii-cases.jsonl.gz") else {
        return;
    };
    let kinds = [
        ("CREDIT_CARD", SensitiveType::CardPan),
        ("IBAN_CODE", SensitiveType::Iban),
        ("US_SSN", SensitiveType::Ssn),
        ("IN_AADHAAR", SensitiveType::Aadhaar),
        ("UK_NHS", SensitiveType::NhsNumber),
        ("UK_NINO", SensitiveType::Nino),
        ("CA_SIN", SensitiveType::Sin),
        ("ABA_ROUTING_NUMBER", SensitiveType::AbaRouting),
        ("EMAIL_ADDRESS", SensitiveType::Email),
        ("IP_ADDRESS", SensitiveType::IpAddress),
        ("PHONE_NUMBER", SensitiveType::Phone),
        ("IN_VEHICLE_REGISTRATION", SensitiveType::Vin),
    ];
    let mut scores = BTreeMap::<String, Score>::new();
    for row in &rows {
        let entity = row["entity"].as_str().expect("entity");
        let Some((_, kind)) = kinds.iter().find(|(name, _)| *name == entity) else {
            continue;
        };
        let text = row["text"].as_str().expect("text");
        let is_found = classify("text", text, false).is_some_and(|found| found.kind == *kind);
        let is_there = row["count"].as_u64().expect("count") > 0;
        if is_there != is_found {
            println!("{entity} {is_there}: {text:.90}");
        }
        scores
            .entry(entity.to_owned())
            .or_default()
            .add(is_there, is_found);
    }
    println!("macro F1 {:.3}", mean(&scores));
}
