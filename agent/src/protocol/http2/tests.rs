//! Recorded conversations, where they are at hand.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    event::{Address, Direction, ProcessRef, SocketClose, SocketData, SocketEvent, SocketId, SocketOpen},
    exchange::Exchange,
    flow::{Flows, Limits},
    protocol::{operation::Detail, redact::Redactor},
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
fn play(row: &Value) -> Vec<Exchange> {
    let mut flows = Flows::new(Limits::default(), Redactor::new([1; 16]));
    let mut out = Vec::new();
    let address = |name: &str| {
        let port = row[name][1].as_u64().unwrap() as u16;
        Address::Ip([127, 0, 0, 1].into(), port)
    };
    flows.event(
        &SocketEvent::Open(SocketOpen {
            socket: SocketId(1),
            at: Timestamp(1),
            local: address("server"),
            remote: address("client"),
            netns: 0,
            process: ProcessRef {
                pid: 0,
                start_ns: 0,
                cgroup: 0,
                comm: String::new(),
            },
            peer: None,
            joined_late: false,
            tls: false,
            positions: [0; 2],
        }),
        &mut out,
    );
    let (mut positions, mut last, mut at) = ([0; 2], None, 1);
    for segment in row["segs"].as_array().unwrap() {
        let direction = if segment[0] == 0 {
            Direction::Ingress
        } else {
            Direction::Egress
        };
        let bytes = BASE64_STANDARD.decode(segment[1].as_str().unwrap()).unwrap();
        at += 1_000;
        let position = positions[direction.index()];
        let end = position + bytes.len() as u64;
        positions[direction.index()] = end;
        flows.event(
            &SocketEvent::Data(SocketData {
                socket: SocketId(1),
                at: Timestamp(at),
                direction,
                position,
                bytes: &bytes,
                end,
                turn: last.replace(direction) != Some(direction),
                eof: false,
                pid: 0,
            }),
            &mut out,
        );
    }
    flows.event(
        &SocketEvent::Close(SocketClose {
            socket: SocketId(1),
            at: Timestamp(at + 1),
            positions,
            kernel_bytes: None,
        }),
        &mut out,
    );
    out
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
        let mut exchanges = play(row);
        exchanges.sort_by_key(|exchange| exchange.number);
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
            println!(
                "{name} {:?} {:?} {:?}",
                operation.name, call.status, exchange.completeness
            );
        }
        let lengths = told(row, "client", "grpc.message_length").len()
            + told(row, "server", "grpc.message_length").len();
        assert_eq!(messages, lengths as u64, "{name}");
    }
    assert!(calls > 0);
}
