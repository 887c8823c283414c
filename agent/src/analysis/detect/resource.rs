//! Work out of proportion (API4:2023): pages, bodies, batches, depth and aliases far beyond what is usual.
//!
//! In: exchanges. Out: resource signals. A large body counts by what it does to the server: people paste what they like.
//! Documents of GraphQL are measured, not parsed: the depth of braces, and names with an alias.

use super::{Scene, signal, words::has_word};
use crate::{
    analysis::{
        fields::{Fields, Part},
        look::Look,
    },
    protocol::operation::Detail,
    verdict::{Group, Signal},
};

/// Bytes of a document that are measured. Overflow policy: the first so many.
const MAX_DOCUMENT_BYTES: usize = 16 * 1024;

/// Elements of a page below which nobody asks for much.
const PAGE: u64 = 500;

/// Depth, aliases and operations below which nobody asks for much.
const DEPTH: u64 = 12;
const ALIASES: u64 = 20;
const BATCH: u64 = 10;

/// Bytes of a body below which nobody sends much, and times the 99th percentile.
const BODY_BYTES: u64 = 256 * 1024;
const BODY_TIMES: f64 = 100.0;

/// Microseconds below which no answer is slow, and times the 99th percentile.
const SLOW_US: u64 = 500_000;
const SLOW_TIMES: f64 = 5.0;

pub(super) fn inspect(scene: &Scene<'_>, signals: &mut Vec<Signal>) {
    let look = scene.look;
    signals.extend(body_size(scene));
    // Most endpoints are asked for no amounts: then no names are looked at.
    if let Some(usual) = scene.usual.filter(|usual| usual.amount.n() >= 30)
        && let Some((asked, path)) = amount(scene.asked)
        && asked > PAGE
    {
        let most = usual.amount.quantile(0.99).unwrap_or(0.0);
        if asked as f64 > 10.0 * most {
            let text = "far more elements are asked for than usual";
            signals.push(
                signal("resource", "page_size", Group::Resource, 0.6, text)
                    .at(path)
                    .seen(asked, format!("at most {most:.0}"))
                    .of(usual.amount.n()),
            );
        }
    }
    let Some(work) = work(look) else {
        return;
    };
    let usual = scene
        .usual
        .and_then(|usual| usual.work.quantile(0.99))
        .unwrap_or(0.0);
    for (class, text, count, limit) in [
        (
            "graphql_depth",
            "a query nests deeper than any should",
            work.depth,
            DEPTH,
        ),
        (
            "graphql_aliases",
            "a query asks for one thing under many names",
            work.aliases,
            ALIASES,
        ),
        ("batch", "one request carries many operations", work.batch, BATCH),
    ] {
        let limit = (limit as f64).max(3.0 * usual);
        if count as f64 > limit {
            let confidence = if count as f64 > 3.0 * limit { 0.85 } else { 0.6 };
            signals.push(
                signal("resource", class, Group::Resource, confidence, text)
                    .seen(count, format!("at most {limit:.0}")),
            );
        }
    }
}

/// A body far larger than any, that the server takes far longer for than usual.
fn body_size(scene: &Scene<'_>) -> Option<Signal> {
    let (usual, look) = (scene.usual?, scene.look);
    let length = look.request.body.length.filter(|length| *length >= BODY_BYTES)?;
    let most = usual.request_bytes.quantile(0.99)?;
    if usual.request_bytes.n() < 100 || (length as f64) < BODY_TIMES * most {
        return None;
    }
    let latency = look.exchange.latency.map(|latency| latency.as_micros() as u64);
    let slow = usual.latency_us.quantile(0.99).is_some_and(|usually| {
        latency.is_some_and(|latency| latency >= SLOW_US && latency as f64 >= SLOW_TIMES * usually)
    });
    let (confidence, text) = if slow {
        (0.6, "a body far larger than usual kept the server busy")
    } else {
        (0.4, "a body far larger than usual")
    };
    let signal = signal("resource", "body_size", Group::Resource, confidence, text);
    Some(
        signal
            .seen(format!("{length} bytes"), format!("at most {most:.0} bytes"))
            .of(usual.request_bytes.n()),
    )
}

/// The amount that a request asks for, and where it says so.
pub(in crate::analysis) fn amount(asked: &Fields) -> Option<(u64, &str)> {
    let words = [
        "limit", "size", "per", "count", "take", "first", "top", "results", "rows", "max",
    ];
    asked
        .iter()
        .filter(|field| field.part != Part::Path && field.text.len() <= 12)
        .find_map(|field| {
            let number = field.text.parse().ok()?;
            has_word(field.name(), &words).then_some((number, field.path))
        })
}

/// What a GraphQL or JSON-RPC request asks for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::analysis) struct Work {
    depth: u64,
    aliases: u64,
    batch: u64,
}

impl Work {
    /// The largest of its measures.
    pub(in crate::analysis) fn most(self) -> u64 {
        self.depth.max(self.aliases).max(self.batch)
    }
}

pub(in crate::analysis) fn work(look: &Look<'_>) -> Option<Work> {
    let batch = match &look.exchange.operation.as_ref()?.detail {
        Detail::GraphQl(call) => call.batch,
        Detail::JsonRpc(call) | Detail::Mcp(call) => {
            return Some(Work {
                depth: 0,
                aliases: 0,
                batch: u64::from(call.batch),
            });
        }
        _ => return None,
    };
    let body = &look.request.body.sample;
    let (depth, aliases) = measure(body.get(..MAX_DOCUMENT_BYTES).unwrap_or(body));
    Some(Work {
        depth,
        aliases,
        batch: u64::from(batch),
    })
}

/// Depth of braces and number of aliases of a document inside a JSON body: colons inside selections and outside of
/// arguments.
fn measure(body: &[u8]) -> (u64, u64) {
    let start = body
        .windows(7)
        .position(|window| window == b"\"query\"")
        .map_or(0, |at| at + 8);
    let (mut depth, mut deepest, mut round, mut aliases) = (0_u64, 0_u64, 0_u64, 0_u64);
    for byte in body.get(start..).unwrap_or_default() {
        match byte {
            b'{' if round == 0 => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' if round == 0 => depth = depth.saturating_sub(1),
            b'(' => round += 1,
            b')' => round = round.saturating_sub(1),
            b':' if round == 0 && depth > 0 => aliases += 1,
            _ => {}
        }
    }
    (deepest, aliases)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_measured() {
        let body = br#"{"query":"query A($x: Int) { a: user(id: 1) { posts { author { name } } } b: user(id: 2) { name } }"}"#;
        assert_eq!(measure(body), (4, 2));
        assert_eq!(measure(b"{{{{{{"), (6, 0));
        assert_eq!(measure(b""), (0, 0));
    }
}
