//! A bounded sample of a message body while it arrives.
//!
//! In: body bytes after removal of the transfer coding, and ranges that were not seen. Out: a [`Body`]. Keeps
//! a contiguous prefix only: nothing is appended behind a hole.

use bytes::Bytes;

use crate::exchange::{BODY_SAMPLE_BYTES, Body};

/// The body of one message so far.
#[derive(Debug, Default)]
pub(crate) struct Sample {
    bytes: Vec<u8>,
    /// Body bytes that passed, seen or not.
    passed: u64,
    /// Something is missing: nothing more is appended.
    cut: bool,
    /// Framing was lost: the length is not known.
    unbounded: bool,
}

impl Sample {
    /// A body that has passed.
    pub(crate) fn of(body: Body) -> Self {
        Self {
            bytes: body.sample.into(),
            passed: body.length.unwrap_or_default(),
            cut: body.cut,
            unbounded: body.length.is_none(),
        }
    }

    /// Takes body bytes; `expected` is how many bytes the body still has, these included, if that is known.
    /// Keeps at most `room` more bytes. Returns how many it kept.
    pub(crate) fn push(&mut self, bytes: &[u8], expected: Option<u64>, room: usize) -> usize {
        self.passed = self.passed.saturating_add(bytes.len() as u64);
        if self.cut {
            return 0;
        }
        let room = room.min(BODY_SAMPLE_BYTES.saturating_sub(self.bytes.len()));
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.cut = kept.len() < bytes.len();
        if self.bytes.capacity() == 0 && !kept.is_empty() {
            // One allocation of the right size when the whole body is at hand, and no more than twice what is
            // at hand otherwise: a declared length is the sender's claim.
            let claim = usize::try_from(expected.unwrap_or(0)).unwrap_or(usize::MAX);
            self.bytes.reserve_exact(
                claim
                    .clamp(kept.len(), kept.len().saturating_mul(2))
                    .min(BODY_SAMPLE_BYTES),
            );
        }
        self.bytes.extend_from_slice(kept);
        kept.len()
    }

    /// `count` body bytes passed unseen.
    pub(crate) fn skip(&mut self, count: u64) {
        if count > 0 {
            self.passed = self.passed.saturating_add(count);
            self.cut = true;
        }
    }

    /// The end of the body is not known any more.
    pub(crate) fn lose_framing(&mut self) {
        self.cut = true;
        self.unbounded = true;
    }

    /// Bytes held in memory.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len()
    }

    /// The body, as far as it was seen.
    pub(crate) fn finish(self) -> Body {
        Body {
            sample: Bytes::from(self.bytes),
            length: (!self.unbounded).then_some(self.passed),
            cut: self.cut,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_prefix_and_the_whole_length() {
        let mut sample = Sample::default();
        sample.push(b"abc", Some(9), 100);
        sample.skip(3);
        sample.push(b"xyz", Some(3), 100);
        let body = sample.finish();
        assert_eq!(
            (&body.sample[..], body.length, body.cut),
            (&b"abc"[..], Some(9), true)
        );
    }

    #[test]
    fn is_bounded_by_the_room_and_by_the_sample_size() {
        let mut sample = Sample::default();
        assert_eq!(sample.push(b"abcdef", None, 4), 4);
        assert!(sample.cut);
        let mut sample = Sample::default();
        sample.push(&vec![b'x'; BODY_SAMPLE_BYTES + 1], None, usize::MAX);
        assert_eq!(sample.held(), BODY_SAMPLE_BYTES);
        let body = sample.finish();
        assert_eq!(
            (body.length, body.cut),
            (Some(BODY_SAMPLE_BYTES as u64 + 1), true)
        );
    }

    #[test]
    fn an_unknown_end_has_no_length() {
        let mut sample = Sample::default();
        sample.push(b"abc", None, 100);
        sample.lose_framing();
        assert_eq!(sample.finish().length, None);
    }
}
