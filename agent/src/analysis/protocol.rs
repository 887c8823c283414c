//! Abuse of the protocol itself, as one exchange shows it: framing that two parsers would read in two ways, heads without
//! measure, streams opened only to be given up.
//!
//! In: an exchange with its framing facts. Out: signals of the group "protocol". Facts are kept by the parsers and judged
//! here; loss is no abuse: what was not seen whole is not judged by what is missing.

use std::borrow::Cow;

use crate::{
    exchange::{Completeness, Exchange, Facts},
    verdict::{Group, Reason, Signal},
};

/// Bytes of a head from which on it has no measure: most servers refuse 16 KiB.
const OVERSIZE_HEAD_BYTES: usize = 32 * 1024;

/// Fields of a head from which on it has no measure: most servers refuse more than 100.
const OVERSIZE_FIELDS: usize = 200;

/// One fact that counts: what it is called, how sure it is, and why.
struct Rule {
    fact: Facts,
    class: &'static str,
    confidence: f32,
    why: &'static str,
}

const RULES: [Rule; 8] = [
    Rule {
        fact: Facts::LENGTH_AND_CHUNKED,
        class: "request_smuggling",
        confidence: 0.9,
        why: "both Content-Length and Transfer-Encoding (RFC 9112 §6.1)",
    },
    Rule {
        fact: Facts::DIFFERING_LENGTHS,
        class: "request_smuggling",
        confidence: 0.95,
        why: "several lengths that differ (RFC 9112 §6.3)",
    },
    Rule {
        fact: Facts::MALFORMED_LENGTH,
        class: "request_smuggling",
        confidence: 0.85,
        why: "a length that is no number",
    },
    Rule {
        fact: Facts::ODD_TRANSFER_CODING,
        class: "request_smuggling",
        confidence: 0.85,
        why: "a Transfer-Encoding that is not a final chunked",
    },
    Rule {
        fact: Facts::SPACE_BEFORE_COLON,
        class: "request_smuggling",
        confidence: 0.8,
        why: "white space before a colon (RFC 9112 §5.1)",
    },
    Rule {
        fact: Facts::MALFORMED_CHUNK,
        class: "malformed_chunk",
        confidence: 0.7,
        why: "chunks that do not parse",
    },
    Rule {
        fact: Facts::OBSOLETE_FOLD,
        class: "obsolete_fold",
        confidence: 0.5,
        why: "a field folded over lines (RFC 9112 §5.2)",
    },
    Rule {
        fact: Facts::RAPID_RESETS,
        class: "rapid_reset",
        confidence: 0.9,
        why: "streams opened to be given up (CVE-2023-44487)",
    },
];

/// Adds what the framing of this exchange shows.
pub(crate) fn inspect(exchange: &Exchange, signals: &mut Vec<Signal>) {
    if exchange.facts != Facts::default() && exchange.completeness != Completeness::Lost {
        for rule in &RULES {
            if exchange.facts.has(rule.fact) {
                push(rule.class, rule.confidence, rule.why, None, signals);
            }
        }
    }
    let Some(request) = &exchange.request else {
        return;
    };
    let fields = request.head.fields.len();
    let bytes = request.head.buffer.len();
    if bytes >= OVERSIZE_HEAD_BYTES || fields >= OVERSIZE_FIELDS {
        let observed = format!("{bytes} bytes, {fields} fields");
        push(
            "oversize_head",
            0.8,
            "a head without measure",
            Some(observed),
            signals,
        );
    }
}

fn push(
    class: &'static str,
    confidence: f32,
    why: &'static str,
    observed: Option<String>,
    signals: &mut Vec<Signal>,
) {
    if signals
        .iter()
        .any(|signal| signal.group == Group::Protocol && signal.class == class)
    {
        return;
    }
    signals.push(Signal {
        detector: Cow::Borrowed("protocol"),
        class: Cow::Borrowed(class),
        group: Group::Protocol,
        confidence,
        place: String::new(),
        reason: Some(Reason {
            group: Group::Protocol,
            detector: Cow::Borrowed("protocol"),
            text: why.to_owned(),
            observed,
            expected: None,
            n: None,
            window: None,
        }),
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::call;

    fn classes(exchange: &Exchange) -> Vec<String> {
        let mut signals = Vec::new();
        inspect(exchange, &mut signals);
        signals
            .into_iter()
            .map(|signal| signal.class.into_owned())
            .collect()
    }

    #[test]
    fn facts_of_the_framing_are_judged_once_per_class() {
        let mut exchange = call("POST", "/a").exchange();
        assert!(classes(&exchange).is_empty());
        exchange.facts = Facts::LENGTH_AND_CHUNKED
            .with(Facts::DIFFERING_LENGTHS)
            .with(Facts::RAPID_RESETS);
        assert_eq!(classes(&exchange), ["request_smuggling", "rapid_reset"]);
        exchange.facts = Facts::UPGRADED.with(Facts::BARE_LF).with(Facts::RESET_BY_CLIENT);
        assert!(classes(&exchange).is_empty());
    }

    #[test]
    fn loss_is_no_abuse() {
        let mut exchange = call("POST", "/a").completeness(Completeness::Lost).exchange();
        exchange.facts = Facts::MALFORMED_CHUNK;
        assert!(classes(&exchange).is_empty());
    }

    #[test]
    fn a_head_without_measure_is_told() {
        let exchange = call("GET", "/a")
            .field("x-padding", &"a".repeat(OVERSIZE_HEAD_BYTES))
            .exchange();
        assert_eq!(classes(&exchange), ["oversize_head"]);
    }
}
