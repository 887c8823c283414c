//! How many small HTTP/1 exchanges a second one core replays, from a capture and from a recording.
//!
//! `cargo bench --bench replay`: from bytes in memory to a filled inventory, the best of five runs. The aim is
//! 300,000 exchanges a second.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a bench is blunt and prints"
)]

#[path = "../tests/replay/traffic.rs"]
#[expect(dead_code, reason = "tests use the rest")]
mod traffic;

use apiarist::{
    capture::file,
    clock::monotonic_ns,
    replay::{Options, Replay},
};
use traffic::{Conversation, Speaker, json, packets, pcap, recording};

const CONNECTIONS: u16 = 500;
const EXCHANGES: u32 = 400;
const RUNS: usize = 5;

/// Connections with many small requests each, to a few endpoints with parameters.
fn conversations() -> Vec<Conversation> {
    let exchange = |number: u32| {
        let request = format!(
            "GET /v1/users/{}?full=1 HTTP/1.1\r\nHost: api.example.test\r\nUser-Agent: bench/1.0\r\nAccept: application/json\r\n\r\n",
            number * 7 % 5_000
        );
        let response = json("200 OK", &format!("{{\"id\":{number},\"name\":\"A\"}}"));
        [
            (Speaker::Client, request.into_bytes()),
            (Speaker::Server, response.into_bytes()),
        ]
    };
    (0..CONNECTIONS)
        .map(|index| Conversation {
            client_port: 20_000 + index,
            lines: (0..EXCHANGES).flat_map(exchange).collect(),
        })
        .collect()
}

fn rate(file: &[u8]) -> f64 {
    let run = || {
        let start = monotonic_ns();
        let mut replay = Replay::new(&Options::default());
        file::read(file, &Replay::redactor(), &mut replay).unwrap();
        replay.end_of_file();
        let outcome = replay.finish().unwrap();
        assert_eq!(outcome.exchanges, u64::from(CONNECTIONS) * u64::from(EXCHANGES));
        outcome.exchanges as f64 * 1e9 / (monotonic_ns() - start) as f64
    };
    (0..RUNS).map(|_| run()).fold(0.0, f64::max)
}

fn main() {
    let conversations = conversations();
    let files = [
        ("pcap", pcap(&packets(&conversations, 1_460))),
        ("recording", recording(&conversations)),
    ];
    for (name, file) in files {
        let rate = rate(&file);
        println!("{name:<10} {rate:>9.0} exchanges/s");
    }
}
