//! A value that makes the server think for long (API4:2023): one that repeats itself, answered far slower than any.
//!
//! In: exchanges of endpoints whose latency is known. Out: the value as a signature (patterns that backtrack, CWE-1333),
//! and its effect as a resource signal. Neither alone: values repeat themselves, and servers are slow, for other reasons.

use super::{Scene, signal};
use crate::{
    analysis::fields::Kind,
    verdict::{Group, Signal},
};

/// Microseconds below which no answer is slow.
const SLOW_US: u64 = 1_000_000;

/// Times the 99th percentile below which it is not slow for this endpoint.
const TIMES: f64 = 5.0;

/// Exchanges from which that is known.
const MIN: u64 = 30;

/// Bytes that a value must repeat itself for.
const REPEATED: usize = 16;

pub(super) fn inspect(scene: &Scene<'_>, signals: &mut Vec<Signal>) {
    let (Some(usual), Some(latency)) = (scene.usual, scene.look.exchange.latency) else {
        return;
    };
    let latency = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if latency < SLOW_US || usual.latency_us.n() < MIN {
        return;
    }
    let usually = usual.latency_us.quantile(0.99);
    let Some(usually) = usually.filter(|usually| latency as f64 >= TIMES * usually) else {
        return;
    };
    let mut fields = scene.asked.iter();
    let Some(field) = fields.find(|field| field.kind == Kind::Text && repeats(field.text.as_bytes())) else {
        return;
    };
    let seen = |signal: Signal| {
        signal
            .at(field.path)
            .seen(format!("{latency} µs"), format!("{usually:.0} µs"))
            .of(usual.latency_us.n())
    };
    let text = "a value repeats itself, as those do that make patterns backtrack";
    signals.push(signal("slow", "redos", Group::Signature, 0.7, text).at(field.path));
    let text = "an answer took far longer than any before";
    signals.push(seen(signal("slow", "slow_answer", Group::Resource, 0.6, text)));
}

/// Whether one to four bytes come again and again.
fn repeats(text: &[u8]) -> bool {
    (1..=4).any(|period| {
        let mut run = 0;
        text.iter().zip(text.iter().skip(period)).any(|(left, right)| {
            run = if left == right { run + 1 } else { 0 };
            run + period >= REPEATED.max(4 * period)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_repeat_themselves() {
        for text in [
            "aaaaaaaaaaaaaaaaaaaaaaaa!",
            "x@abababababababababab",
            "a.a.a.a.a.a.a.a.a.",
        ] {
            assert!(repeats(text.as_bytes()), "{text}");
        }
        for text in [
            "ada@example.test",
            "2024-05-01T10:00:00Z",
            "aaaa",
            "Mississippi",
            "1000000",
        ] {
            assert!(!repeats(text.as_bytes()), "{text}");
        }
    }
}
