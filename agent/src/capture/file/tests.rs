//! Whole files of every format, plain, compressed and damaged.

use std::io::Write;

use etherparse::PacketBuilder;
use flate2::{Compression, write::GzEncoder};

use super::*;
use crate::{event::SocketId, exchange::Completeness};

/// What a file gave, in short.
#[derive(Default)]
struct Taken {
    events: Vec<String>,
    exchanges: Vec<FileExchange>,
}

impl Sink for Taken {
    fn event(&mut self, event: &SocketEvent<'_>) {
        self.events.push(match event {
            SocketEvent::Open(open) => format!("open {} {} at {}", open.local, open.remote, open.at.0),
            SocketEvent::Data(data) => format!("{:?} {}", data.direction, data.bytes.escape_ascii()),
            SocketEvent::Count(count) => format!("count {:?}", count.bytes),
            SocketEvent::Close(close) => format!("close {:?}", close.positions),
        });
    }

    fn exchange(&mut self, exchange: FileExchange) {
        self.exchanges.push(exchange);
    }
}

fn target(exchange: &FileExchange) -> &str {
    &exchange.exchange.request.as_ref().unwrap().target
}

fn take(file: &[u8]) -> (Taken, Result<Report, InputError>) {
    let mut taken = Taken::default();
    let report = read(file, &Redactor::new([7; 16]), &mut taken);
    (taken, report)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A request and a response without a handshake, as raw IP packets.
fn packets() -> Vec<Vec<u8>> {
    let mut request = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 7], [10, 0, 0, 9], 64)
        .tcp(51_512, 80, 1, 9)
        .ack(1)
        .write(&mut request, b"GET / HTTP/1.1\r\n\r\n")
        .unwrap();
    let mut response = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 7], 64)
        .tcp(80, 51_512, 1, 9)
        .ack(19)
        .write(&mut response, b"HTTP/1.1 204 N\r\n\r\n")
        .unwrap();
    vec![request, response]
}

fn pcap() -> Vec<u8> {
    let mut file = Vec::new();
    for value in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        file.extend_from_slice(&value.to_le_bytes());
    }
    for packet in packets() {
        let len = packet.len() as u32;
        for value in [1_700_000_000_u32, 250_000, len, len] {
            file.extend_from_slice(&value.to_le_bytes());
        }
        file.extend_from_slice(&packet);
    }
    file
}

/// Big-endian, nanoseconds, one interface.
fn pcapng() -> Vec<u8> {
    fn block(file: &mut Vec<u8>, kind: u32, body: &[u8]) {
        let padded = body.len().next_multiple_of(4);
        let len = (padded as u32 + 12).to_be_bytes();
        file.extend_from_slice(&kind.to_be_bytes());
        file.extend_from_slice(&len);
        file.extend_from_slice(body);
        file.resize(file.len() + padded - body.len(), 0);
        file.extend_from_slice(&len);
    }
    let mut file = Vec::new();
    let section = [&[0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0][..], &[0xff; 8]].concat();
    block(&mut file, 0x0a0d_0d0a, &section);
    block(
        &mut file,
        1,
        &[0, 101, 0, 0, 0, 0, 0xff, 0xff, 0, 9, 0, 1, 9, 0, 0, 0, 0, 0, 0, 0],
    );
    for packet in packets() {
        let at = 1_700_000_000_250_000_000_u64.to_be_bytes();
        let len = (packet.len() as u32).to_be_bytes();
        block(&mut file, 6, &[&[0; 4][..], &at, &len, &len, &packet].concat());
    }
    file
}

const EVENTS: [&str; 4] = [
    "open 10.0.0.9:80 10.0.0.7:51512 at 1700000000250000000",
    "Ingress GET / HTTP/1.1\\r\\n\\r\\n",
    "Egress HTTP/1.1 204 N\\r\\n\\r\\n",
    "close [18, 18]",
];

#[test]
fn captures_are_read_in_both_formats_plain_and_compressed() {
    for (file, format) in [(pcap(), Format::Pcap), (pcapng(), Format::PcapNg)] {
        for file in [gzip(&file), file] {
            let (taken, report) = take(&file);
            assert_eq!(taken.events, EVENTS);
            assert_eq!(
                report.unwrap(),
                Report {
                    format,
                    problems: Problems::default()
                }
            );
        }
    }
}

#[test]
fn captures_cut_anywhere_are_read_up_to_there() {
    for file in [pcap(), pcapng()] {
        for cut in 1..file.len() {
            let (taken, report) = take(&file[..cut]);
            let problems = report.map(|report| report.problems.count).unwrap_or(1);
            assert!(taken.events.len() < EVENTS.len() || problems > 0, "cut at {cut}");
        }
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 0xff;
            take(&damaged).1.ok();
        }
    }
}

#[test]
fn a_block_shorter_than_its_frame_ends_the_reading() {
    for length in [0_u32, 4, 8, 11] {
        let mut file = pcapng();
        file.extend(0x8000_0001_u32.to_be_bytes());
        file.extend(length.to_be_bytes());
        file.extend([0; 32]);
        let (taken, report) = take(&file);
        assert_eq!(taken.events, EVENTS, "{length}");
        let problem = report.unwrap().problems.first.unwrap();
        assert!(problem.contains("impossible length"), "{length}: {problem}");
    }
}

#[test]
fn a_link_type_that_is_not_read_is_said_once_and_counted() {
    let mut file = pcap();
    file[20] = 105;
    let (taken, report) = take(&file);
    let problems = report.unwrap().problems;
    assert!(taken.events.is_empty());
    assert_eq!(problems.count, 2);
    assert!(problems.first.unwrap().contains("link type 105"));
}

#[test]
fn a_compressed_file_cut_short_gives_what_is_there() {
    let lines = "{\"method\":\"GET\",\"target\":\"/a\"}\n".repeat(100_000);
    let file = gzip(lines.as_bytes());
    let (taken, report) = take(&file[..file.len() - 20]);
    assert!(!taken.exchanges.is_empty());
    assert_eq!(report.unwrap().problems.count, 1);
}

#[test]
fn an_exchange_has_what_its_line_says() {
    let line = br#"{"id":"x1","ts":1700000000.25,"workload":"shop","client":"10.0.0.7","scheme":"https","method":"POST",
"target":"/v1/users/42?full=1","host":"api.example.test","later":[1],"request":{"headers":[["content-type","application/json"]],
"body":"{\"a\":1}"},"status":201,"response":{"headers":[["Content-Encoding","gzip"]],"body":{"id":42}},"duration_ms":3.2}"#;
    let line: Vec<u8> = line.iter().copied().filter(|byte| *byte != b'\n').collect();
    let (taken, report) = take(&line);
    assert_eq!(report.unwrap().problems, Problems::default());
    let FileExchange {
        id,
        workload,
        server,
        client,
        exchange,
    } = &taken.exchanges[0];
    assert_eq!(
        (id.as_str(), workload.as_deref(), client.as_deref()),
        ("x1", Some("shop"), Some("10.0.0.7"))
    );
    assert_eq!(server.as_deref(), Some("api.example.test"));
    assert_eq!(exchange.started.0, 1_700_000_000_250_000_000);
    assert_eq!(exchange.duration.unwrap().as_micros(), 3_200);
    assert_eq!(exchange.completeness, Completeness::Complete);
    assert!(exchange.connection.tls);
    assert_eq!(exchange.connection.client.to_string(), "10.0.0.7:0");
    assert_eq!(exchange.connection.server.to_string(), "0.0.0.0:443");
    let request = exchange.request.as_ref().unwrap();
    assert_eq!(request.head.first("host"), Some(&b"api.example.test"[..]));
    assert_eq!(request.head.first("content-type"), Some(&b"application/json"[..]));
    assert_eq!(&request.body.sample[..], b"{\"a\":1}");
    let response = exchange.response.as_ref().unwrap();
    assert_eq!(response.status, 201);
    assert_eq!(&response.body.sample[..], b"{\"id\":42}");
    assert_eq!(response.head.fields.len(), 0);
}

#[test]
fn lines_that_cannot_be_read_are_named_and_skipped() {
    let file = b"\n{\"method\":\"GET\",\"target\":\"/a\"}\n{\"method\":\"GET\"}\nnonsense\n{\"method\":\"\",\"target\":\"/\"}\n\
        {\"id\":7,\"method\":\"GET\",\"target\":\"/b\",\"request\":{\"body_base64\":\"aGk=\"}}";
    let (taken, report) = take(file);
    let targets: Vec<(&str, &str)> = taken
        .exchanges
        .iter()
        .map(|e| (e.id.as_str(), target(e)))
        .collect();
    assert_eq!(targets, [("2", "/a"), ("7", "/b")]);
    let request = taken.exchanges[1].exchange.request.as_ref().unwrap();
    assert_eq!(&request.body.sample[..], b"hi");
    assert_eq!(taken.exchanges[0].exchange.completeness, Completeness::NoResponse);
    let problems = report.unwrap().problems;
    assert_eq!(problems.count, 3);
    assert_eq!(
        problems.first.unwrap(),
        "line 3: missing field `target` (column 16)"
    );
}

#[test]
fn exchanges_of_one_client_share_a_connection() {
    let line = |client: &str| format!("{{\"method\":\"GET\",\"target\":\"/\",\"client\":\"{client}\"}}\n");
    let file = [line("10.0.0.1"), line("10.0.0.2"), line("10.0.0.1")].concat();
    let (taken, _) = take(file.as_bytes());
    let seen: Vec<(SocketId, u64)> = taken
        .exchanges
        .iter()
        .map(|e| (e.exchange.connection.socket, e.exchange.number))
        .collect();
    assert_eq!(seen, [(SocketId(1), 0), (SocketId(2), 0), (SocketId(1), 1)]);
}

const ARCHIVE: &str = r#"{"log":{"version":"1.2","pages":[],"entries":[
{"startedDateTime":"2023-11-14T23:13:20.250+01:00","time":12.5,"timings":{"wait":8},"serverIPAddress":"192.0.2.1",
 "request":{"method":"POST","url":"https://api.example.test/v1/items?x=1#top","httpVersion":"HTTP/2",
  "headers":[{"name":":authority","value":"api.example.test"},{"name":"accept","value":"*/*"}],
  "postData":{"mimeType":"application/x-www-form-urlencoded","params":[{"name":"a b","value":"1&2"}]}},
 "response":{"status":200,"headers":[{"name":"content-encoding","value":"br"}],
  "content":{"size":5,"text":"aGVsbG8=","encoding":"base64"}}},
{"request":{"url":"no method"}},
{"request":{"method":"GET","url":"http://example.test"},"response":{"status":0}}
],"comment":""}}"#;

#[test]
fn an_archive_gives_its_entries() {
    let (taken, report) = take(format!("\u{feff}{ARCHIVE}").as_bytes());
    let report = report.unwrap();
    assert_eq!(report.format, Format::Har);
    assert_eq!(
        report.problems.first.as_deref(),
        Some("entry 2: missing field `method`")
    );
    let [first, second] = &taken.exchanges[..] else {
        panic!("two entries");
    };
    assert_eq!((first.id.as_str(), target(first)), ("1", "/v1/items?x=1"));
    assert_eq!(first.exchange.started.0, 1_700_000_000_250_000_000);
    assert_eq!(first.exchange.latency.unwrap().as_millis(), 8);
    assert_eq!(first.exchange.connection.server.to_string(), "192.0.2.1:443");
    let request = first.exchange.request.as_ref().unwrap();
    let names: Vec<&[u8]> = request.head.iter().map(|(name, _)| name).collect();
    assert_eq!(names, [&b"host"[..], b"accept"]);
    assert_eq!(&request.body.sample[..], b"a+b=1%262");
    let response = first.exchange.response.as_ref().unwrap();
    assert_eq!(&response.body.sample[..], b"hello");
    assert_eq!(response.head.fields.len(), 0);
    assert_eq!((second.id.as_str(), target(second)), ("3", "/"));
    assert_eq!(second.exchange.completeness, Completeness::NoResponse);
}

#[test]
fn an_archive_cut_short_gives_the_entries_before() {
    let cut = ARCHIVE.find("{\"request\":{\"method\":\"GET\"").unwrap();
    let (taken, report) = take(&ARCHIVE.as_bytes()[..cut + 20]);
    assert_eq!(taken.exchanges.len(), 1);
    assert_eq!(report.unwrap().problems.count, 2);
}

#[test]
fn other_files_are_refused_in_words() {
    assert!(matches!(take(b"").1, Err(InputError::Empty)));
    assert!(matches!(take(b"PK\x03\x04").1, Err(InputError::Unknown)));
    assert!(matches!(take(&gzip(b"")).1, Err(InputError::Empty)));
}
