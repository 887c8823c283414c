//! What the user side of the agent costs per exchange, stage by stage, once it has learned.
//!
//! In: nothing, or `count` to do each stage once, for a tool that counts instructions, or `scale`. Out: one JSON line
//! per case and stage. `cargo xtask bench pipeline`, `bench gate` and `bench scale` run it and show the result.

#![expect(clippy::print_stdout, reason = "a bench prints")]

mod side;
mod traffic;

use apiarist::clock::monotonic_ns;
use side::Side;
use traffic::{Case, Spread, Traffic};

/// The stages, in order.
const STAGES: [&str; 3] = ["flow", "inventory", "analysis"];

/// Few endpoints and connections: what is measured is the path of an exchange, not the caches of the processor.
const SPREAD: Spread = Spread {
    endpoints: 1,
    connections: 40,
    workloads: 1,
};

fn main() {
    // cargo adds arguments of its own.
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match wanted.as_str() {
        "count" => Case::ALL.into_iter().for_each(count),
        "scale" => scale(),
        _ => Case::ALL.into_iter().for_each(time),
    }
}

/// A side that has learned from as much traffic as is needed for endpoints to settle, and the traffic that follows.
fn learned(case: Case, spread: Spread, exchanges: u64) -> (Side, Traffic) {
    let mut traffic = Traffic::new(case, spread);
    let mut side = Side::new(&spread);
    traffic.opens().for_each(|open| side.open(&open));
    // In parts, for they are recorded first.
    let part = (exchanges / 4).min(20_000);
    for _ in 0..exchanges / part {
        side.learn(&traffic.next(part));
    }
    side.trust();
    (side, traffic)
}

/// Does each stage once, in the order in which the lines are printed.
fn count(case: Case) {
    const EXCHANGES: u64 = 320;
    let (mut side, mut traffic) = learned(case, SPREAD, 2_400);
    let ring = traffic.next(EXCHANGES);
    let (mut exchanges, mut observations) = (Vec::new(), Vec::new());
    measured(&mut || exchanges = side.exchanges(&ring));
    measured(&mut || observations = side.observe(&exchanges));
    let mut signals = 0;
    measured(&mut || signals = side.conclude(&exchanges, &observations));
    assert_eq!(
        (exchanges.len() as u64, signals),
        (EXCHANGES, 0),
        "{}",
        case.name()
    );
    for stage in STAGES {
        println!(
            r#"{{"case":"{}","stage":"{stage}","exchanges":{EXCHANGES}}}"#,
            case.name()
        );
    }
}

/// What the tool that counts looks for by name.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
}

/// Times each stage: the best of some runs, since other work on the machine only ever adds.
fn time(case: Case) {
    const EXCHANGES: u64 = 2_000;
    const RUNS: usize = 15;
    let (mut side, mut traffic) = learned(case, SPREAD, 8_000);
    let mut best = [u64::MAX; 3];
    for _ in 0..RUNS {
        let ring = traffic.next(EXCHANGES);
        let start = monotonic_ns();
        let exchanges = side.exchanges(&ring);
        let parsed = monotonic_ns();
        let observations = side.observe(&exchanges);
        let filed = monotonic_ns();
        let signals = side.conclude(&exchanges, &observations);
        let concluded = monotonic_ns();
        assert_eq!(
            (exchanges.len() as u64, signals),
            (EXCHANGES, 0),
            "{}",
            case.name()
        );
        let spans = [parsed - start, filed - parsed, concluded - filed];
        for (best, span) in best.iter_mut().zip(spans) {
            *best = span.min(*best);
        }
    }
    for (stage, span) in STAGES.into_iter().zip(best) {
        println!(
            r#"{{"case":"{}","stage":"{stage}","ns":{}}}"#,
            case.name(),
            span / EXCHANGES
        );
    }
}

/// Times all stages together while one measure of the traffic grows.
fn scale() {
    const FEW: Spread = Spread {
        endpoints: 10,
        connections: 100,
        workloads: 1,
    };
    for endpoints in [10, 100, 1_000, 10_000, 50_000] {
        grown("endpoints", endpoints, Spread { endpoints, ..FEW });
    }
    for connections in [10, 100, 1_000, 10_000, 100_000] {
        grown("connections", connections, Spread { connections, ..FEW });
    }
    for workloads in [1, 10, 100, 1_000] {
        let connections = workloads.max(FEW.connections);
        grown(
            "workloads",
            workloads,
            Spread {
                workloads,
                connections,
                ..FEW
            },
        );
    }
}

/// Times all stages together: the best of some runs.
fn grown(what: &str, size: u64, spread: Spread) {
    const EXCHANGES: u64 = 4_000;
    const RUNS: usize = 9;
    /// Exchanges of each endpoint before it is measured: by then its bodies have settled, and only samples are looked at.
    const OF_EACH: u64 = 256;
    let endpoints = spread.endpoints * spread.workloads;
    let (mut side, mut traffic) = learned(
        Case::Calls,
        spread,
        (endpoints * OF_EACH).max(spread.connections * 2).max(20_000),
    );
    let mut best = u64::MAX;
    for _ in 0..RUNS {
        let ring = traffic.next(EXCHANGES);
        let start = monotonic_ns();
        let exchanges = side.exchanges(&ring);
        let observations = side.observe(&exchanges);
        side.conclude(&exchanges, &observations);
        best = best.min(monotonic_ns() - start);
        assert_eq!(exchanges.len() as u64, EXCHANGES, "{what} {size}");
    }
    println!(
        r#"{{"what":"{what}","size":{size},"ns":{},"resident_bytes":{}}}"#,
        best / EXCHANGES,
        resident()
    );
}

/// Memory of this process that is resident, in bytes; 0 if the system does not tell.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
