//! `apiarist replay` as a user meets it: the same files give the same results, whatever they are packed in.
//!
//! What is expected is kept in `tests/goldens`; `UPDATE_GOLDENS=1` writes it anew, for the diff to be read.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may be blunt")]

#[path = "replay/traffic.rs"]
mod traffic;

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use traffic::{Conversation, Packet, conversation, json, packets, pcap, recording};

/// Runs the binary in a directory, without what the environment of the tests could change.
fn apiarist(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apiarist"));
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null());
    for name in ["RUST_LOG", "APIARIST_CONFIG", "APIARIST_SOCKET", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn succeeds(directory: &Path, arguments: &[&str]) -> String {
    let output = apiarist(directory, arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), said.as_str()),
        (Some(0), ""),
        "{arguments:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Compares with a golden file, or writes it.
fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, found).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        expected, found,
        "{name}: UPDATE_GOLDENS=1 writes it anew if this is meant"
    );
}

/// The trace of files, given as name and content.
fn trace(files: &[(&str, &[u8])]) -> String {
    let directory = TempDir::new().unwrap();
    let mut arguments = vec!["replay", "--trace", "-"];
    for (name, content) in files {
        fs::write(directory.path().join(name), content).unwrap();
        arguments.push(name);
    }
    succeeds(directory.path(), &arguments)
}

fn rows(trace: &str) -> Vec<Value> {
    trace
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A shop: reads, writes, a mistake, a login, and a body in chunks.
fn shop() -> Vec<Conversation> {
    let user = json("200 OK", r#"{"id":42,"name":"A"}"#);
    vec![
        conversation(
            51_001,
            &[
                "GET /v1/users/42?full=1 HTTP/1.1\r\nhost: shop.test\r\nauthorization: Bearer abc.def\r\n\r\n",
                &user,
                "GET /v1/users/43?api_key=s3cret HTTP/1.1\r\nhost: shop.test\r\n\r\n",
                &user,
                "GET /v1/nothing/44 HTTP/1.1\r\nhost: shop.test\r\n\r\n",
                &json("404 Not Found", "{}"),
            ],
        ),
        conversation(
            51_002,
            &[
                "POST /v1/orders HTTP/1.1\r\nhost: shop.test\r\ntransfer-encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n",
                &json("201 Created", r#"{"id":7}"#),
                "DELETE /v1/orders/7 HTTP/1.1\r\nhost: shop.test\r\n\r\n",
                "HTTP/1.1 204 No Content\r\n\r\n",
            ],
        ),
        conversation(51_003, &["GET /v1/slow HTTP/1.1\r\nhost: shop.test\r\n\r\n"]),
        conversation(
            51_004,
            &[
                "GET /a HTTP/1.1\r\nhost: shop.test\r\n\r\nGET /b HTTP/1.1\r\nhost: shop.test\r\n\r\n",
                "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n",
            ],
        ),
    ]
}

#[test]
fn a_recording_gives_the_golden_trace() {
    golden(
        "shop-recording.trace.jsonl",
        &trace(&[("shop.apr", &recording(&shop()))]),
    );
}

#[test]
fn a_capture_gives_the_golden_trace() {
    golden(
        "shop-pcap.trace.jsonl",
        &trace(&[("shop.pcap", &pcap(&packets(&shop(), 1_460)))]),
    );
}

#[test]
fn segments_of_any_size_and_order_give_the_same_exchanges() {
    let expected = trace(&[("shop.pcap", &pcap(&packets(&shop(), 1_460)))]);
    for segment in [1, 7, 100] {
        let whole = packets(&shop(), segment);
        // Each second packet with payload changes places with the next of the same sender, and one in three is
        // sent twice.
        let mut shuffled: Vec<Packet> = whole.clone();
        for at in (1..shuffled.len()).step_by(2) {
            let same_sender = shuffled[at - 1].bytes[12..16] == shuffled[at].bytes[12..16];
            if same_sender && !shuffled[at - 1].payload().is_empty() && !shuffled[at].payload().is_empty() {
                shuffled.swap(at - 1, at);
            }
        }
        let shuffled: Vec<Packet> = shuffled
            .iter()
            .enumerate()
            .flat_map(|(index, packet)| vec![packet.clone(); 1 + usize::from(index % 3 == 0)])
            .collect();
        assert_eq!(
            trace(&[("a.pcap", &pcap(&shuffled))]),
            expected,
            "segments of {segment}"
        );
    }
}

#[test]
fn lost_packets_never_pair_a_request_with_a_foreign_response() {
    let whole = packets(&shop(), 40);
    let expected = rows(&trace(&[("shop.pcap", &pcap(&whole))]));
    let known = |row: &Value| {
        let same = |other: &&Value| {
            ["client", "method", "target"]
                .iter()
                .all(|name| other[*name] == row[*name])
        };
        expected.iter().find(same).map(|row| row["status"].clone())
    };
    let data: Vec<usize> = (0..whole.len())
        .filter(|at| !whole[*at].payload().is_empty())
        .collect();
    for lost in data {
        let mut packets = whole.clone();
        packets.remove(lost);
        for row in rows(&trace(&[("shop.pcap", &pcap(&packets))])) {
            if let (Some(status), false) = (known(&row), row["status"].is_null()) {
                assert_eq!(row["status"], status, "without packet {lost}: {row}");
            }
        }
    }
}

const ARCHIVE: &str = r#"{"log":{"version":"1.2","entries":[
{"startedDateTime":"2023-11-14T22:13:20.500Z","time":12.5,"timings":{"wait":8},
 "request":{"method":"GET","url":"https://api.example.test/v1/items/17?x=1","headers":[{"name":"Cookie","value":"sid=abcdef"}]},
 "response":{"status":200,"headers":[{"name":"content-type","value":"application/json"}],"content":{"size":2,"text":"{}"}}}]}}"#;

const EXCHANGES: &str = r#"{"id":"x1","ts":1700000000.25,"workload":"shop","client":"10.0.0.7","host":"api.example.test","method":"POST","target":"/v1/users/42?token=t0ken","status":201,"request":{"headers":[["authorization","Basic dTpw"]],"body":"{}"},"duration_ms":3.2}
{"id":"x2","ts":1700000000.5,"workload":"shop","client":"10.0.0.8:4000","method":"POST","target":"/v1/users/77","status":404}
{"method":"GET","target":"/v1/users/78"}
"#;

#[test]
fn archives_and_exchanges_files_give_the_golden_trace() {
    let files = [("a.har", ARCHIVE.as_bytes()), ("b.jsonl", EXCHANGES.as_bytes())];
    golden("files.trace.jsonl", &trace(&files));
}

#[test]
fn the_same_files_give_the_same_trace_and_store() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("a.apr"), recording(&shop())).unwrap();
    fs::write(directory.path().join("b.pcap"), pcap(&packets(&shop(), 100))).unwrap();
    fs::write(directory.path().join("c.jsonl"), EXCHANGES).unwrap();
    let replay = |store: &str| {
        let arguments = [
            "replay", "a.apr", "b.pcap", "c.jsonl", "--trace", "t.jsonl", "--store", store,
        ];
        let said = succeeds(directory.path(), &arguments);
        let shown: Vec<String> = ["endpoints", "workloads", "status"]
            .into_iter()
            .map(|command| succeeds(directory.path(), &[command, "--store", store, "-o", "json"]))
            .collect();
        let trace = fs::read_to_string(directory.path().join("t.jsonl")).unwrap();
        (said, trace, shown)
    };
    let first = replay("one");
    assert_eq!(first.0, "19 exchanges, 11 endpoints, 4 workloads\n");
    assert_eq!(replay("two"), first);
    // Into the store of an earlier replay: in its place, not on top.
    assert_eq!(replay("one"), first);
    golden("store.endpoints.json", &first.2[0]);
}

#[test]
fn damage_is_told_and_what_can_be_read_is_read() {
    let directory = TempDir::new().unwrap();
    let mut file = recording(&shop());
    file.truncate(file.len() - 5);
    fs::write(directory.path().join("cut.apr"), file).unwrap();
    let output = apiarist(directory.path(), &["replay", "cut.apr"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("at byte") && said.contains("cut.apr"), "{said}");
}

#[test]
fn files_that_cannot_be_replayed_are_code_2_and_one_sentence() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("text"), "hello").unwrap();
    fs::write(directory.path().join("empty"), "").unwrap();
    fs::write(directory.path().join("no.jsonl"), "{\"method\":\"GET\"}\n").unwrap();
    let cases = [
        ("text", "not a pcap, pcapng, HAR, exchanges or recording file"),
        ("empty", "the file is empty"),
        ("missing", "cannot open missing"),
        (".", "is a directory"),
        ("no.jsonl", "nothing could be read"),
    ];
    for (file, part) in cases {
        let output = apiarist(directory.path(), &["replay", file, "--log", "off"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{file}: {said}");
        assert_eq!(said.lines().count(), 1, "{file}: {said}");
        assert!(said.contains(part), "{file}: {said}");
    }
}
