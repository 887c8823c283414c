//! How long a message is, by its fields: the one place that judges `Content-Length` and `Transfer-Encoding`.
//!
//! In: fields in order of arrival. Out: [`Lengths`]. Follows RFC 9112 §6.3, and where a message breaks it, what
//! most servers do: a transfer coding wins over a length, the first of differing lengths counts, one that is no
//! number does not. Each of these is recorded as a fact.

use crate::{exchange::Facts, protocol::field};

/// What the fields say about the length of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Lengths {
    content_length: Option<u64>,
    /// `Transfer-Encoding` was present.
    transfer_coding: bool,
    /// … and named `chunked` last.
    chunked: bool,
    /// Whether `text/event-stream` is the type: a response without an end in sight.
    pub(super) event_stream: bool,
    pub(super) facts: Facts,
}

/// The length rule that applies to a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// Exactly so many bytes.
    Length(u64),
    /// Chunked transfer coding.
    Chunked,
    /// Nothing said.
    Unsaid,
}

impl Lengths {
    /// Takes one field.
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        match name.len() {
            12 if field::is(name, b"content-type") => {
                self.event_stream = value
                    .get(..17)
                    .is_some_and(|start| start.eq_ignore_ascii_case(b"text/event-stream"));
            }
            14 if field::is(name, b"content-length") => self.content_length(value),
            17 if field::is(name, b"transfer-encoding") => self.transfer_encoding(value),
            _ => {}
        }
    }

    fn content_length(&mut self, value: &[u8]) {
        // RFC 9110 §8.6: a list of equal numbers is one number.
        for part in value.split(|&b| b == b',') {
            let Some(length) = number(part.trim_ascii()) else {
                self.facts = self.facts.with(Facts::MALFORMED_LENGTH);
                continue;
            };
            match self.content_length {
                None => self.content_length = Some(length),
                Some(first) if first != length => self.facts = self.facts.with(Facts::DIFFERING_LENGTHS),
                Some(_) => self.facts = self.facts.with(Facts::REPEATED_LENGTH),
            }
        }
        self.contradiction();
    }

    fn transfer_encoding(&mut self, value: &[u8]) {
        let mut codings = value
            .split(|&b| b == b',')
            .map(<[u8]>::trim_ascii)
            .filter(|coding| !coding.is_empty());
        // RFC 9112 §6.3: it frames the body only as the last coding.
        self.chunked = codings
            .next_back()
            .is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
        if !self.chunked || codings.next().is_some() || self.transfer_coding {
            self.facts = self.facts.with(Facts::ODD_TRANSFER_CODING);
        }
        self.transfer_coding = true;
        self.contradiction();
    }

    fn contradiction(&mut self) {
        if self.transfer_coding && self.content_length.is_some() {
            self.facts = self.facts.with(Facts::LENGTH_AND_CHUNKED);
        }
    }

    /// Whether the body has a transfer coding.
    pub(super) const fn has_transfer_coding(&self) -> bool {
        self.transfer_coding
    }

    /// The rule that applies.
    pub(super) fn rule(&self) -> Rule {
        match self.content_length {
            _ if self.chunked => Rule::Chunked,
            // An unknown coding: who ignores it goes by the length, if there is one.
            Some(length) => Rule::Length(length),
            None => Rule::Unsaid,
        }
    }

    /// Servers disagree about where such a message ends.
    pub(super) fn ambiguous(&self) -> bool {
        const DOUBTFUL: u32 = Facts::LENGTH_AND_CHUNKED.0
            | Facts::DIFFERING_LENGTHS.0
            | Facts::MALFORMED_LENGTH.0
            | Facts::ODD_TRANSFER_CODING.0;
        self.facts.0 & DOUBTFUL != 0
    }
}

/// `1*DIGIT` that fits; nothing else, no sign, no prefix.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |value, &digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        value.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Case = (&'static [(&'static str, &'static str)], Rule, Facts);

    fn lengths(fields: &[(&str, &str)]) -> (Rule, Facts) {
        let mut lengths = Lengths::default();
        for (name, value) in fields {
            lengths.field(name.as_bytes(), value.as_bytes());
        }
        (lengths.rule(), lengths.facts)
    }

    #[test]
    fn well_formed() {
        assert_eq!(lengths(&[]), (Rule::Unsaid, Facts::default()));
        assert_eq!(
            lengths(&[("Content-Length", "5")]),
            (Rule::Length(5), Facts::default())
        );
        assert_eq!(
            lengths(&[("content-length", "5, 5")]),
            (Rule::Length(5), Facts::REPEATED_LENGTH)
        );
        assert_eq!(
            lengths(&[("transfer-Encoding", "Chunked")]),
            (Rule::Chunked, Facts::default())
        );
    }

    #[test]
    fn broken_ones_are_recorded() {
        let odd = Facts::ODD_TRANSFER_CODING;
        let cases: [Case; 8] = [
            (
                &[("content-length", "5"), ("transfer-encoding", "chunked")],
                Rule::Chunked,
                Facts::LENGTH_AND_CHUNKED,
            ),
            (
                &[("content-length", "5"), ("content-length", "6")],
                Rule::Length(5),
                Facts::DIFFERING_LENGTHS,
            ),
            (&[("content-length", "+5")], Rule::Unsaid, Facts::MALFORMED_LENGTH),
            (&[("content-length", "")], Rule::Unsaid, Facts::MALFORMED_LENGTH),
            (
                &[("content-length", "99999999999999999999")],
                Rule::Unsaid,
                Facts::MALFORMED_LENGTH,
            ),
            (&[("transfer-encoding", "gzip, chunked")], Rule::Chunked, odd),
            (&[("transfer-encoding", "xchunked")], Rule::Unsaid, odd),
            (
                &[("transfer-encoding", "chunked"), ("transfer-encoding", "x")],
                Rule::Unsaid,
                odd,
            ),
        ];
        for (fields, rule, facts) in cases {
            assert_eq!(lengths(fields), (rule, facts), "{fields:?}");
        }
    }
}
