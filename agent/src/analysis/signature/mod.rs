//! Attacks that one exchange shows by itself: their syntax, in the values of the request.
//!
//! In: an exchange. Out: signals of the group "signature", at most one per class and place. Values are parsed out first and
//! tested one by one, never whole bodies; each layer of encoding is taken off and looked at. A table of bytes turns away
//! almost all values before anything else looks at them. What detectors look for is structure: a value that leaves the
//! place it was put into. Text about attacks, source code, documents and filters are content and stay quiet.
//!
//! What a field usually holds is for others to weigh: nothing here depends on what came before, but for the time it takes,
//! since harmless values may be remembered. Hostile input costs linear time within the bounds below.

#[cfg(test)]
mod benign_tests;
mod class;
mod code;
mod command;
#[cfg(test)]
mod cost_tests;
mod crlf;
mod decode;
mod deserialisation;
mod first;
mod hints;
mod inclusion;
mod java;
mod jndi;
mod known;
mod ldap;
mod needles;
mod nosql;
mod path_traversal;
mod php;
mod scan;
mod script;
mod sqli;
mod ssi;
mod ssrf;
mod template;
mod text;
mod values;
mod xss;
mod xxe;

use std::borrow::Cow;

pub(crate) use class::Class;
use decode::{Encoding, decode};
use first::deserves_a_look;
pub(super) use first::is_of_note;
use known::Known;
use scan::{Bits, scan};
use text::{Shape, Source, Text};
use values::{Item, Place};

use super::fields::Strings;
use crate::{
    exchange::Exchange,
    verdict::{Group, Reason, Signal},
};

/// Bytes of one value that detectors read. Overflow policy: what is behind is counted as not inspected.
const MAX_VALUE_BYTES: usize = 4 * 1024;

/// Decoded bytes that detectors read per exchange. Overflow policy: later values are counted as not inspected.
const MAX_EXCHANGE_BYTES: usize = 128 * 1024;

/// What a value costs beyond its bytes, in bytes: many short ones are no way around the bound.
const VALUE_COST_BYTES: usize = 128;

/// Layers of encoding that are taken off a value, beyond that of its place. Overflow policy: what is deeper stays.
const MAX_LAYERS: usize = 3;

/// Values inside values. Overflow policy: what is deeper is read as text.
const MAX_NESTING: usize = 2;

/// Signals of one exchange. Overflow policy: the first so many.
const MAX_SIGNALS: usize = 16;

/// What a detector found in one value.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hit {
    class: Class,
    confidence: f32,
    why: &'static str,
}

impl Hit {
    const fn new(class: Class, confidence: f32, why: &'static str) -> Self {
        Self {
            class,
            confidence,
            why,
        }
    }
}

/// A detector of one class.
type Detector = fn(&Text<'_>) -> Option<Hit>;

/// All detectors, in the order in which they look.
const DETECTORS: [Detector; 17] = [
    jndi::detect,
    sqli::detect,
    xss::detect,
    command::detect,
    path_traversal::detect,
    template::detect,
    nosql::detect,
    ldap::detect,
    xxe::detect,
    deserialisation::detect,
    ssrf::detect,
    crlf::detect,
    inclusion::detect,
    php::detect,
    java::detect,
    code::detect,
    ssi::detect,
];

/// Those that look at a URL of the web with nothing else in it.
const FOR_URLS: [Detector; 3] = [path_traversal::detect, ssrf::detect, inclusion::detect];

/// What was looked at, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Counts {
    /// Values seen, but for short ones of JSON that no detector looks at.
    pub(crate) values: u64,
    /// Values that the first look did not turn away.
    pub(crate) suspicious: u64,
    /// Bytes left out because a bound was reached.
    pub(crate) skipped_bytes: u64,
}

/// Looks at exchanges. Keeps nothing but counts, and names of harmless values if it is told to.
#[derive(Debug, Default)]
pub(crate) struct Inspector {
    counts: Counts,
    known: Known,
    /// Taken by each value in turn.
    buffers: Buffers,
}

/// Room for a value: as it is, decoded once more, and in lower case.
#[derive(Debug, Default)]
struct Buffers {
    current: Vec<u8>,
    next: Vec<u8>,
    lower: Vec<u8>,
}

impl Inspector {
    /// Remembers harmless values from now on, under a secret key.
    pub(crate) fn remember(&mut self, key: [u8; 16]) {
        self.known.start(key);
    }

    /// Adds what the request of this exchange shows. `strings` are those of its body, where a walk of it has noted them.
    pub(super) fn inspect(
        &mut self,
        exchange: &Exchange,
        strings: Option<Strings<'_>>,
        signals: &mut Vec<Signal>,
    ) {
        let mut look = Look {
            counts: &mut self.counts,
            known: &mut self.known,
            buffers: &mut self.buffers,
            signals,
            hits: 0,
            left: MAX_EXCHANGE_BYTES,
            nesting: 0,
        };
        values::of_exchange(exchange, strings, &mut |item| look.at(item));
    }

    /// What was looked at so far.
    pub(crate) const fn counts(&self) -> Counts {
        self.counts
    }
}

/// A look at one exchange.
struct Look<'a> {
    counts: &'a mut Counts,
    known: &'a mut Known,
    buffers: &'a mut Buffers,
    signals: &'a mut Vec<Signal>,
    /// What detectors found, told or not.
    hits: usize,
    left: usize,
    nesting: usize,
}

impl Look<'_> {
    fn at(&mut self, item: &Item<'_>) {
        self.counts.values += 1;
        let bits = scan(item.bytes);
        let hot = if item.source == Source::FreeHeader {
            Bits::HOT_IN_FREE_TEXT
        } else {
            Bits::HOT
        };
        if bits.any(hot) || deserves_a_look(item, bits) {
            self.counts.suspicious += 1;
            self.inspect(item);
        }
    }

    /// Looks at a value, unless it is known to be harmless: then it costs as much of the bound as it did before.
    fn inspect(&mut self, item: &Item<'_>) {
        let name = self.known.name(item, self.nesting);
        let cost = name.and_then(|name| self.known.cost(name));
        if let Some(left) = cost.and_then(|cost| self.left.checked_sub(cost)) {
            self.left = left;
            return;
        }
        let before = (self.hits, self.counts.skipped_bytes);
        let left = self.left;
        self.look_into(item);
        if let Some(name) = name
            && before == (self.hits, self.counts.skipped_bytes)
        {
            self.known.add(name, left - self.left);
        }
    }

    /// Looks at a value with the buffers that are at hand: one inside another makes its own.
    fn look_into(&mut self, item: &Item<'_>) {
        let mut buffers = std::mem::take(self.buffers);
        self.peel(item, &mut buffers);
        *self.buffers = buffers;
    }

    /// Takes off layer after layer until something is found or nothing changes.
    fn peel(&mut self, item: &Item<'_>, buffers: &mut Buffers) {
        let Buffers { current, next, lower } = buffers;
        let bytes = item.bytes.get(..MAX_VALUE_BYTES).unwrap_or(item.bytes);
        self.counts.skipped_bytes += (item.bytes.len() - bytes.len()) as u64;
        current.clear();
        let mut disguised = decode(bytes, item.encoding, current).disguised;
        for depth in 0..=MAX_LAYERS {
            let cost = current.len() + VALUE_COST_BYTES;
            if cost > self.left {
                self.counts.skipped_bytes += current.len() as u64;
                return;
            }
            self.left -= cost;
            lower.clear();
            lower.extend(current.iter().map(u8::to_ascii_lowercase));
            let text = Text {
                disguised,
                depth,
                name: item.place.name(),
                in_document: item.place.is_in_document(),
                ..Text::new(current, lower, item.source)
            };
            if self.judge(&text, item.place) || self.nested(current, item) {
                return;
            }
            let encoded = Bits::PERCENT.or(Bits::BACKSLASH).or(Bits::AMP).or(Bits::ODD);
            if !text.bits.any(encoded) || text.shape == Shape::Code {
                return;
            }
            next.clear();
            let met = decode(current, Encoding::All, next);
            if !met.changed {
                return;
            }
            disguised |= met.disguised;
            std::mem::swap(current, next);
        }
    }

    /// Lets all detectors look. Whether one found something.
    fn judge(&mut self, text: &Text<'_>, place: Place<'_>) -> bool {
        let before = self.signals.len();
        let detectors: &[Detector] = if text.is_plain_url { &FOR_URLS } else { &DETECTORS };
        for detector in detectors {
            if let Some(hit) = detector(text) {
                self.add(hit, place);
            }
        }
        self.signals.len() > before
    }

    /// Looks at the values inside a value. Whether something was found.
    fn nested(&mut self, value: &[u8], item: &Item<'_>) -> bool {
        if self.nesting >= MAX_NESTING || item.source == Source::Path {
            return false;
        }
        let before = self.signals.len();
        self.nesting += 1;
        values::nested(value, item.place, &mut |inner| self.at(inner));
        self.nesting -= 1;
        self.signals.len() > before
    }

    fn add(&mut self, hit: Hit, place: Place<'_>) {
        self.hits += 1;
        let class = hit.class.facts().name;
        let place = place.render();
        let known = self
            .signals
            .iter()
            .any(|signal| signal.group == Group::Signature && signal.class == class && signal.place == place);
        if known || self.signals.len() >= MAX_SIGNALS {
            return;
        }
        self.signals.push(Signal {
            detector: Cow::Borrowed(DETECTOR),
            class: Cow::Borrowed(class),
            group: Group::Signature,
            confidence: hit.confidence,
            reason: Some(Reason {
                group: Group::Signature,
                detector: Cow::Borrowed(DETECTOR),
                text: format!("{} in {place}", hit.why),
                observed: Some(class.to_owned()),
                expected: None,
                n: None,
                window: None,
            }),
            place,
        });
    }
}

/// Name of this detector.
const DETECTOR: &str = "signature";
