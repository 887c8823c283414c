//! What looking at clean exchanges costs. Run with `--release -- --ignored --nocapture`.

use std::hint::black_box;

use super::Inspector;
use crate::{
    clock,
    exchange::{Body, Exchange},
    inventory::fixture::call,
};

fn exchange(method: &'static str, target: &str, body: &str) -> Exchange {
    let mut exchange = call(method, target)
        .field(
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        )
        .field("accept", "application/json")
        .field("content-type", "application/json")
        .field("x-request-id", "7f9c2ba4-e88f-4a3c-8d1b-2f6b8f2c1e10")
        .exchange();
    if let Some(request) = &mut exchange.request {
        request.body = Body {
            sample: bytes::Bytes::copy_from_slice(body.as_bytes()),
            length: Some(body.len() as u64),
            cut: false,
        };
    }
    exchange
}

#[test]
#[ignore = "a measurement"]
fn clean_exchanges() {
    let fields: Vec<String> = (0..42)
        .map(|at| format!("\"field{at}\":\"some text {at}\""))
        .collect();
    let fields = format!("{{{}}}", fields.join(","));
    let names: Vec<String> = (0..12)
        .map(|at| format!("{{\"name\":\"Conan O'Brien ({at})\",\"url\":\"https://x.test/a?b={at}\"}}"))
        .collect();
    let names = format!("[{}]", names.join(","));
    for (name, exchange) in [
        (
            "GET without a body",
            exchange("GET", "/v1/users/42?full=1&sort=name", ""),
        ),
        ("1 KiB of plain values", exchange("POST", "/v1/items", &fields)),
        (
            "quotes, parentheses and URLs",
            exchange("POST", "/v1/items", &names),
        ),
    ] {
        let rounds = 20_000_u32;
        let mut inspector = Inspector::default();
        let mut signals = Vec::new();
        let mut best = std::time::Duration::MAX;
        for _ in 0..7 {
            let start = clock::now();
            for _ in 0..rounds {
                inspector.inspect(black_box(&exchange), None, &mut signals);
            }
            best = best.min(clock::now().since(start) / rounds);
        }
        assert!(signals.is_empty(), "{signals:?}");
        println!("{name:<30} {best:?}");
    }
}
