//! Somebody looks around: many things asked for that are not there, and what is found that way.
//!
//! In: exchanges by source, with what other detectors saw. Out: a recon signal while a source is scanning, and a strong
//! one when such a source finds something that is not there for everybody. While everything is refused, all of it is
//! one alert per source and hour ([`Scan::Probing`]).

use super::{Memory, memory::Few, signal};
use crate::{
    analysis::{
        baseline::Baseline,
        hash::{hash, mix},
        look::{Look, Outcome},
        sketch::Member,
    },
    clock::Timestamp,
    verdict::{Group, Signal},
};

/// Sources remembered. Overflow policy: the one not seen for the longest is forgotten.
const MAX_REMEMBERED: usize = 8192;

/// Seconds within which requests belong together.
const WINDOW: u64 = 600;

/// Different things that are not there, from which a source is scanning.
const PLACES: usize = 20;

/// Requests with the marks of an attack or of a tool, likewise.
const MARKED: u32 = 10;

/// Finds of one size after which a server answers everything.
const SAME: u32 = 3;

/// What one source does.
#[derive(Debug, Default)]
struct Around {
    since: Timestamp,
    places: Few,
    all: u32,
    rejected: u32,
    marked: u32,
    /// Length of the last find, and how often it came in a row.
    find: (u64, u32),
}

/// What an exchange is in a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::analysis) enum Scan {
    /// No part of one.
    None,
    /// The source is scanning, and was refused.
    Probing,
    /// The source is scanning, and found something.
    Hit,
}

/// What all sources do.
#[derive(Debug)]
pub(in crate::analysis) struct Scans(Memory<Around>);

impl Default for Scans {
    fn default() -> Self {
        Self(Memory::new(MAX_REMEMBERED))
    }
}

impl Scans {
    pub(in crate::analysis) fn inspect(
        &mut self,
        look: &Look<'_>,
        usual: Option<&Baseline>,
        signals: &mut Vec<Signal>,
    ) -> Scan {
        let around = self.0.of(mix(look.workload, look.source));
        if look.at.since(around.since).as_secs() > WINDOW {
            *around = Around {
                since: look.at,
                ..Around::default()
            };
        }
        around.all += 1;
        let is_marked = signals.iter().any(|signal| {
            matches!(signal.group, Group::Signature | Group::Recon) && signal.confidence >= 0.5
        });
        around.marked += u32::from(is_marked);
        let is_absent = matches!(look.outcome, Outcome::Absent | Outcome::Invalid);
        if is_absent && look.endpoint.is_none() || look.outcome == Outcome::Absent {
            around.places.add(hash(look.path().as_bytes()));
        }
        around.rejected += u32::from(look.outcome.is_rejected());
        let is_scanning =
            (around.places.count() >= PLACES || around.marked >= MARKED) && around.rejected * 2 >= around.all;
        if !is_scanning {
            return Scan::None;
        }
        let places = around.places.count();
        if look.outcome.is_rejected() {
            signals.push(
                signal(
                    "scan",
                    "probing",
                    Group::Recon,
                    0.6,
                    "one source asks for many things that are not there",
                )
                .seen(format!("{places} places"), format!("fewer than {PLACES}"))
                .of(u64::from(around.all))
                .within(WINDOW),
            );
            return Scan::Probing;
        }
        if !look.is_success() || is_common(look, usual) {
            return Scan::None;
        }
        let response = look.exchange.response.as_ref();
        let length = response.and_then(|response| response.body.length).unwrap_or(0);
        around.find = match around.find {
            (last, count) if last == length => (length, count + 1),
            _ => (length, 1),
        };
        if around.find.1 >= SAME {
            return Scan::None;
        }
        let text = "a source that asks for many things that are not there found something";
        signals.push(
            signal("scan", "scan_hit", Group::Recon, 0.85, text)
                .seen(format!("{places} places tried"), format!("fewer than {PLACES}"))
                .of(u64::from(around.all))
                .within(WINDOW),
        );
        Scan::Hit
    }
}

/// Whether an endpoint is there for everybody, or for this source.
fn is_common(look: &Look<'_>, usual: Option<&Baseline>) -> bool {
    usual.is_some_and(|usual| usual.callers.ask(look.source) != Member::Stranger && usual.source_count() >= 3)
        || matches!(look.path(), "/" | "/index.html" | "/favicon.ico" | "/robots.txt")
        || matches!(&*look.request.method, "OPTIONS" | "HEAD")
}
