//! Conversations of other parsers' test suites, when they are at hand: `APIARIST_DATA`, or `../shared/data` beside the
//! workspace. Said and skipped when they are not.

use std::{io::Read, path::PathBuf};

use base64::Engine;
use serde_json::Value;

use super::kit::*;
use crate::exchange::Exchange;

fn rows(name: &str) -> Option<Vec<Value>> {
    let directory = std::env::var_os("APIARIST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = directory.join(name);
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {} is not there", path.display());
        return None;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    Some(
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    )
}

fn raw(value: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD
        .decode(value.as_str().unwrap())
        .unwrap()
}

fn is_seen(exchange: &Exchange, expected: &Value, request: bool) -> bool {
    let (fields, body) = if request {
        let Some(request) = &exchange.request else {
            return false;
        };
        if expected["method"]
            .as_str()
            .is_some_and(|method| method != &*request.method)
            || expected["url"]
                .as_str()
                .is_some_and(|url| url != &*request.target)
        {
            return false;
        }
        (request.head.fields.len(), &request.body)
    } else {
        let Some(response) = &exchange.response else {
            return false;
        };
        if expected["status_code"]
            .as_u64()
            .is_some_and(|status| status != u64::from(response.status))
        {
            return false;
        }
        (response.head.fields.len(), &response.body)
    };
    let headers = expected["headers"].as_array().map_or(0, Vec::len);
    body.sample.len() as u64 == expected["body_len"].as_u64().unwrap_or(0) && fields <= headers
}

#[test]
fn well_formed_messages_of_llhttps_suite_are_seen() {
    let Some(rows) = rows("http1-conformance.jsonl.gz") else {
        return;
    };
    let (mut seen, mut all) = (0, 0);
    for row in rows {
        let expected = row["expect"]["messages"].as_array().unwrap();
        if !row["expect"]["error"].is_null() || row["lenient"] == true || expected.is_empty() {
            continue;
        }
        let request = row["kind"] == "request";
        let bytes = raw(&row["raw_b64"]);
        let out = play(&[if request {
            Request(&bytes)
        } else {
            Response(&bytes)
        }]);
        all += 1;
        let complete: Vec<_> = expected
            .iter()
            .filter(|message| {
                message["headers_complete"] == true
                    && message["status_code"].as_u64().is_none_or(|s| s >= 200)
            })
            .collect();
        if out.len() >= complete.len() && complete.iter().zip(&out).all(|(e, x)| is_seen(x, e, request)) {
            seen += 1;
        } else {
            println!(
                "{}: {:?} {}",
                row["id"],
                summaries(&out),
                row["expect"]["messages"]
            );
        }
    }
    println!("{seen} of {all}");
    assert!(seen * 100 >= all * 88, "{seen} of {all}");
}
