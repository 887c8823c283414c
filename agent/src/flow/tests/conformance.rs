//! Conversations of other parsers' test suites, when they are at hand: `APIARIST_DATA`, or `../shared/data` beside the
//! workspace. Said and skipped when they are not.

use std::{io::Read, path::PathBuf};

use base64::Engine;
use serde_json::Value;

use super::kit::*;
use crate::{
    exchange::{Body, Exchange},
    flow::{Flows, Limits},
    protocol::redact::Redactor,
};

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

/// Where one message differs from what the suite says; nothing if it does not.
fn difference(exchange: &Exchange, expected: &Value, request: bool) -> Option<String> {
    let same = |seen: &str, member: &str| expected[member].as_str().is_none_or(|wanted| wanted == seen);
    let (head, body) = if request {
        let Some(request) = &exchange.request else {
            return Some("no request".to_owned());
        };
        let target = request.sent_target.as_ref().unwrap_or(&request.target);
        if !same(&request.method, "method") || !same(target, "url") {
            return Some(format!("{} {target}", request.method));
        }
        (&request.head, &request.body)
    } else {
        let Some(response) = &exchange.response else {
            return Some("no response".to_owned());
        };
        if expected["status_code"]
            .as_u64()
            .is_some_and(|status| status != u64::from(response.status))
        {
            return Some(format!("{}", response.status));
        }
        (&response.head, &response.body)
    };
    let fields: Vec<(String, String)> = head
        .iter()
        .map(|(name, value)| (text(name), text(value)))
        .collect();
    if let Some(wanted) = expected["headers"].as_array() {
        let is_same = |(name, value): &(String, String), wanted: &Value| {
            let wanted_value = wanted[1].as_str().unwrap();
            // Secrets are masked in place; the suite leaves out the breaks of folded lines.
            let is_masked = value.ends_with("***") && value.len() == wanted_value.len();
            wanted[0] == *name && (is_masked || unbroken(value) == unbroken(wanted_value))
        };
        let all = fields.len() == wanted.len() && fields.iter().zip(wanted).all(|(a, b)| is_same(a, b));
        if !all {
            return Some(format!("{fields:?}"));
        }
    }
    let wanted = expected["body_len"].as_u64().unwrap_or(0) as usize;
    // The suite's bodies are told line by line, without the line ends.
    let without_ends = body.sample.iter().filter(|byte| !b"\r\n".contains(byte)).count();
    (wanted != body.sample.len() && wanted != without_ends)
        .then(|| format!("a body of {} bytes", body.sample.len()))
}

/// The suite tells bytes that are no UTF-8 as characters.
fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.iter().copied().map(char::from).collect())
}

fn unbroken(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_whitespace()).collect()
}

/// Plays one side of a connection.
fn one_side(bytes: &[u8], request: bool) -> Vec<Exchange> {
    let redactor = Redactor::new([7; 16]).keeping_targets();
    let mut flows = Flows::new(Limits::default(), redactor);
    let part = if request { Request(bytes) } else { Response(bytes) };
    play_with(&mut flows, &[part])
}

/// The first difference between a side of a connection and what is expected of it.
fn first_difference(bytes: &[u8], expected: &[&Value], request: bool) -> Option<String> {
    let out = one_side(bytes, request);
    if out.len() < expected.len() {
        return Some(format!("{} messages: {:?}", out.len(), summaries(&out)));
    }
    let mut pairs = out.iter().zip(expected);
    pairs.find_map(|(exchange, expected)| difference(exchange, expected, request))
}

/// Cases of the suite that are none of HTTP on a wire, with the reason.
const OTHERS: [(&str, &str); 2] = [
    (
        "Content-Length reset when no body is received",
        "its caller tells the parser to skip the body that the head announces",
    ),
    ("Pause on", "its caller stops the parser"),
];

#[test]
fn valid_messages_of_llhttps_suite_are_seen_as_they_are() {
    let Some(rows) = rows("http1-conformance.jsonl.gz") else {
        return;
    };
    let (mut all, mut others, mut wrong) = (0, 0, Vec::new());
    for row in rows {
        let messages = row["expect"]["messages"].as_array().unwrap();
        if !row["expect"]["error"].is_null() || row["lenient"] == true || messages.is_empty() {
            continue;
        }
        let title = row["title"].as_str().unwrap();
        let is_http = messages
            .iter()
            .all(|message| matches!(message["protocol"].as_str(), None | Some("HTTP")));
        if !is_http || OTHERS.iter().any(|(other, _)| title.starts_with(other)) {
            others += 1;
            continue;
        }
        let expected: Vec<&Value> = messages
            .iter()
            .filter(|message| {
                message["headers_complete"] == true
                    && message["status_code"].as_u64().is_none_or(|status| status >= 200)
            })
            .collect();
        all += 1;
        let request = row["kind"].as_str().unwrap().starts_with("request");
        if let Some(difference) = first_difference(&raw(&row["raw_b64"]), &expected, request) {
            wrong.push(format!(
                "{} {title}: {difference}, should be {expected:?}",
                row["id"]
            ));
        }
    }
    println!(
        "{} of {all} as they are; {others} are no HTTP on a wire",
        all - wrong.len()
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the suite's parser takes of another client's own tests: requests and replies.
#[test]
fn valid_messages_of_curls_suite_are_seen_as_they_are() {
    let Some(rows) = rows("curl-exchanges.jsonl.gz") else {
        return;
    };
    let (mut all, mut wrong) = (0, Vec::new());
    let mut check = |name: String, bytes: &Value, oracle: &Value, request: bool| {
        let messages = oracle["messages"].as_array().unwrap();
        if !oracle["error"].is_null() || messages.is_empty() || messages.iter().any(|m| m["complete"] != true)
        {
            return;
        }
        let bytes = raw(bytes);
        let out = one_side(&bytes, request);
        all += 1;
        let length = |body: &Body| body.length.unwrap_or(body.sample.len() as u64);
        let mut seen: Vec<_> = out
            .iter()
            .map(|exchange| match (&exchange.request, &exchange.response) {
                (Some(request), _) => {
                    let target = request.sent_target.as_ref().unwrap_or(&request.target);
                    (
                        target.to_string(),
                        request.head.fields.len() as u64,
                        length(&request.body),
                    )
                }
                (None, Some(response)) => (
                    String::new(),
                    response.head.fields.len() as u64,
                    length(&response.body),
                ),
                (None, None) => (String::new(), 0, 0),
            })
            .collect();
        let number = |value: &Value| value.as_u64().unwrap();
        let mut wanted: Vec<_> = messages
            .iter()
            .map(|m| {
                let target = m["target"].as_str().unwrap().to_owned();
                (target, number(&m["headers"]), number(&m["body_len"]))
            })
            .collect();
        // Interim responses are no exchange of their own.
        if bytes.starts_with(b"HTTP/1.1 100") {
            wanted.remove(0);
        }
        // What follows a CONNECT is for the suite's parser a tunnel, even if it was refused.
        if bytes.starts_with(b"CONNECT ") {
            seen.truncate(1);
        }
        if seen != wanted {
            wrong.push(format!("{name}: {seen:?}, should be {wanted:?}"));
        }
    };
    for row in rows {
        check(
            format!("request {}", row["test"]),
            &row["request_b64"],
            &row["request_oracle"],
            true,
        );
        for (number, reply) in row["replies"].as_array().into_iter().flatten().enumerate() {
            check(
                format!("reply {number} of {}", row["test"]),
                &reply["raw_b64"],
                &reply["oracle"],
                false,
            );
        }
    }
    println!("{} of {all} as they are", all - wrong.len());
    assert!(wrong.is_empty(), "{} of {all}: {wrong:#?}", wrong.len());
}
