//! What the analysis costs per exchange once it has learned, and what a baseline takes.
//!
//! `cargo bench --bench analysis`: small JSON exchanges of fifty endpoints and forty callers, the best of five runs. The
//! aim is 3 µs per exchange, signatures included, and 16 KiB per endpoint.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench is blunt and prints"
)]

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use apiarist::{
    analysis::{Analysis, Seen},
    clock::{Timestamp, monotonic_ns},
    event::{Address, ProcessRef, SocketId},
    exchange::{
        Body, Completeness, Connection, Credential, CredentialLocation, Exchange, Facts, Head, Protocol,
        Request, Response, Side,
    },
    inventory::EndpointId,
    workload::{Workload, WorkloadKind},
};
use bytes::Bytes;

const ENDPOINTS: u64 = 50;
const CALLERS: u64 = 40;
const EXCHANGES: u64 = 20_000;
const LEARNED: u64 = 100_000;
const RUNS: usize = 5;

fn head(fields: &[(&str, &str)]) -> Head {
    let mut buffer = String::new();
    let mut push = |text: &str| {
        let start = u32::try_from(buffer.len()).unwrap();
        buffer.push_str(text);
        start..u32::try_from(buffer.len()).unwrap()
    };
    let fields = fields
        .iter()
        .map(|(name, value)| (push(name), push(value)))
        .collect();
    Head {
        buffer: buffer.into(),
        fields,
        cut: false,
    }
}

fn body(text: String) -> Body {
    Body {
        length: Some(text.len() as u64),
        sample: Bytes::from(text),
        cut: false,
    }
}

fn exchange(number: u64) -> Exchange {
    let caller = number % CALLERS;
    let client = Address::Ip(Ipv4Addr::new(10, 0, caller as u8, 7).into(), 50_000);
    let latency = Duration::from_micros(4_000 + number * 7_919 % 3_000);
    Exchange {
        connection: Arc::new(Connection {
            socket: SocketId(caller),
            side: Side::Server,
            server: Address::Ip(Ipv4Addr::new(10, 1, 0, 1).into(), 80),
            client,
            netns: 0,
            process: Arc::new(ProcessRef {
                pid: 1,
                start_ns: 1,
                cgroup: 0,
                comm: "shop".into(),
            }),
            peer_process: None,
            joined_late: false,
            tls: false,
            tls_version: None,
        }),
        number,
        stream: None,
        protocol: Protocol::Http11,
        started: Timestamp(1_700_000_000_000_000_000 + number * 20_000_000),
        latency: Some(latency),
        duration: Some(latency),
        request: Some(Request {
            method: "POST".into(),
            target: format!("/v1/things{}/{}?full=1&limit=20", number % ENDPOINTS, caller).into(),
            sent_target: None,
            head: head(&[
                ("host", "api.example.test"),
                ("user-agent", "shop-app/2.1"),
                ("accept", "application/json"),
                ("content-type", "application/json"),
            ]),
            body: body(format!(
                "{{\"name\":\"name{caller}\",\"city\":\"Graz\",\"count\":{number}}}"
            )),
            credentials: [Credential {
                location: CredentialLocation::Header("authorization".into()),
                scheme: "bearer",
                fingerprint: 1 + caller,
                token: None,
            }]
            .into_iter()
            .collect(),
        }),
        response: Some(Response {
            status: 200,
            head: head(&[("content-type", "application/json")]),
            body: body(format!(
                "{{\"id\":{number},\"name\":\"name{caller}\",\"total\":12.5,\"ok\":true}}"
            )),
        }),
        completeness: Completeness::Complete,
        facts: Facts::default(),
        operation: None,
    }
}

fn feed(analysis: &mut Analysis, workload: &Arc<Workload>, exchanges: &[Exchange]) {
    for exchange in exchanges {
        let endpoint = exchange.number % ENDPOINTS;
        let conclusion = analysis.exchange(&Seen {
            id: None,
            exchange,
            workload,
            caller: None,
            client: None,
            endpoint: Some(EndpointId(endpoint)),
            template: Some("/v1/things/{thingId}"),
            is_new: false,
        });
        assert_eq!(conclusion.signals.len(), 0, "{:?}", conclusion.signals);
    }
}

fn main() {
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let mut analysis = Analysis::default();
    analysis.set_learning_only(true);
    let learned: Vec<Exchange> = (0..LEARNED).map(exchange).collect();
    feed(&mut analysis, &workload, &learned);
    drop(learned);
    analysis.set_learning_only(false);
    let mut best = f64::INFINITY;
    for run in 0..RUNS as u64 {
        let first = LEARNED + run * EXCHANGES;
        let exchanges: Vec<Exchange> = (first..first + EXCHANGES).map(exchange).collect();
        let start = monotonic_ns();
        feed(&mut analysis, &workload, &exchanges);
        best = best.min((monotonic_ns() - start) as f64 / EXCHANGES as f64);
    }
    let stats = analysis.baseline_stats();
    println!("{best:.0} ns per exchange; baselines {:?}", stats);
}
