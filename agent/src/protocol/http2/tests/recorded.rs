//! Recorded conversations, where they are at hand.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::kit::{Part, play};
use crate::{
    exchange::{Completeness, Exchange},
    protocol::operation::Detail,
};

fn recorded() -> Option<Vec<Value>> {
    let root = std::env::var_os("APIARIST_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let file = std::fs::File::open(root.join("live-h2-ws.jsonl.gz")).ok()?;
    let lines = BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines();
    Some(
        lines
            .map(|line| serde_json::from_str(&line.unwrap()).unwrap())
            .collect(),
    )
}

/// Plays the segments of a conversation at the server's end.
fn conversation(row: &Value) -> Vec<Exchange> {
    let parts: Vec<Part> = row["segs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|segment| {
            let bytes = BASE64_STANDARD.decode(segment[1].as_str().unwrap()).unwrap();
            (segment[0] == 0, bytes)
        })
        .collect();
    play(&parts)
}

/// Values of one member of all segments of a conversation that one end sent.
fn told<'a>(row: &'a Value, from: &str, member: &str) -> Vec<&'a str> {
    let expect = row["expect"].as_array().unwrap().iter();
    expect
        .filter(|entry| entry["from"] == from)
        .filter_map(|entry| entry[member].as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

#[test]
fn recorded_calls_have_service_method_and_status() {
    let Some(rows) = recorded() else {
        println!("skipped: live-h2-ws.jsonl.gz is not there (set APIARIST_DATA)");
        return;
    };
    let mut calls = 0;
    for row in rows
        .iter()
        .filter(|row| row["proto"] == "grpc" || row["proto"] == "http2")
    {
        let exchanges = conversation(row);
        let paths: Vec<&str> = exchanges
            .iter()
            .map(|exchange| &*exchange.request.as_ref().unwrap().target)
            .collect();
        let name = format!("{} {}", row["proto"], row["client"]);
        assert_eq!(paths, told(row, "client", "http2.headers.path"), "{name}");
        let mut statuses: Vec<String> = exchanges
            .iter()
            .filter_map(|exchange| exchange.response.as_ref())
            .map(|response| response.status.to_string())
            .collect();
        let mut expected = told(row, "server", "http2.headers.status");
        statuses.sort();
        expected.sort_unstable();
        assert_eq!(statuses, expected, "{name}");
        let mut messages = 0;
        for exchange in &exchanges {
            let Some(operation) = &exchange.operation else {
                continue;
            };
            let Detail::Grpc(call) = &operation.detail else {
                panic!("{name}: {operation:?}")
            };
            assert_eq!(
                operation.name.as_deref(),
                exchange.request.as_ref().unwrap().target.strip_prefix('/'),
            );
            calls += 1;
            messages += call.requests.count + call.responses.count;
            assert!(call.status.is_some() || !is_whole(exchange), "{name}");
        }
        let lengths = told(row, "client", "grpc.message_length").len()
            + told(row, "server", "grpc.message_length").len();
        assert_eq!(messages, lengths as u64, "{name}");
    }
    assert!(calls > 0);
}

#[test]
fn recorded_websockets_have_their_messages() {
    let Some(rows) = recorded() else {
        println!("skipped: live-h2-ws.jsonl.gz is not there (set APIARIST_DATA)");
        return;
    };
    for row in rows.iter().filter(|row| row["proto"] == "websocket") {
        let exchanges = conversation(row);
        let name = format!("{} {}", row["proto"], row["client"]);
        assert_eq!(exchanges.len(), 1, "{name}");
        let Detail::WebSocket(call) = &exchanges[0].operation.as_ref().unwrap().detail else {
            panic!("{name}")
        };
        for (from, way) in [("client", call.client), ("server", call.server)] {
            let opcodes = told(row, from, "websocket.opcode");
            let count = |wanted: &str| opcodes.iter().filter(|opcode| **opcode == wanted).count() as u64;
            assert!(!way.is_cut, "{name}");
            assert_eq!(
                (way.frames, way.text, way.binary),
                (opcodes.len() as u64, count("1"), count("2")),
                "{name} {from}"
            );
        }
    }
}

fn is_whole(exchange: &Exchange) -> bool {
    exchange.completeness == Completeness::Complete
}
