//! What the user side of the agent costs per exchange, stage by stage, once it has learned.
//!
//! In: nothing, or `count` to do each stage once, for a tool that counts instructions. Out: one JSON line
//! per case and stage. `cargo xtask bench pipeline` and `bench gate` run it and show the result.

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
    endpoints: 4,
    connections: 40,
};

fn main() {
    // cargo adds arguments of its own.
    let wanted = std::env::args().nth(1).unwrap_or_default();
    match wanted.as_str() {
        "count" => Case::ALL.into_iter().for_each(count),
        _ => Case::ALL.into_iter().for_each(time),
    }
}

/// A side that has learned from as much traffic as is needed for endpoints to settle, and the traffic that follows.
fn learned(case: Case, exchanges: u64) -> (Side, Traffic) {
    let mut traffic = Traffic::new(case, SPREAD);
    let mut side = Side::new();
    traffic.opens().for_each(|open| side.open(&open));
    for _ in 0..4 {
        side.learn(&traffic.next(exchanges / 4));
    }
    side.trust();
    (side, traffic)
}

/// Does each stage once, in the order in which the lines are printed.
fn count(case: Case) {
    const EXCHANGES: u64 = 320;
    let (mut side, mut traffic) = learned(case, 2_000);
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
    let (mut side, mut traffic) = learned(case, 8_000);
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
