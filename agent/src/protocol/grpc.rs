//! gRPC over HTTP/2 and gRPC-Web: messages, their sizes, and the name of the call.
//!
//! In: body bytes and gaps of one way of a call. Out: [`Messages`]. A message is a byte of flags, four bytes of length
//! and its payload; nothing of the payload is looked at or kept. After a gap that hits a prefix the count is a lower
//! bound. Source: the gRPC document "gRPC over HTTP2", and "gRPC-Web".

use super::operation::{MAX_NAME_BYTES, Messages};

const PREFIX_BYTES: usize = 5;

/// gRPC-Web's flag of a message that holds the trailers.
const TRAILERS: u8 = 0x80;

/// Counts the messages of one way.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    messages: Messages,
    prefix: [u8; PREFIX_BYTES],
    filled: usize,
    /// Bytes of the present message still to come.
    remaining: u64,
    is_lost: bool,
}

impl Counter {
    pub(crate) fn bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_lost {
            let inside = usize::try_from(self.remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
            self.remaining -= inside as u64;
            bytes = bytes.get(inside..).unwrap_or_default();
            let wanted = self.prefix.get_mut(self.filled..).unwrap_or_default();
            let given = bytes.len().min(wanted.len());
            if self.remaining > 0 || given == 0 {
                return;
            }
            for (to, from) in wanted.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.filled += given;
            bytes = bytes.get(given..).unwrap_or_default();
            if self.filled == PREFIX_BYTES {
                self.filled = 0;
                self.start();
            }
        }
    }

    fn start(&mut self) {
        let [flags, length @ ..] = self.prefix;
        let length = u64::from(u32::from_be_bytes(length));
        self.remaining = length;
        match flags {
            0 | 1 => {
                self.messages.count += 1;
                self.messages.bytes = self.messages.bytes.saturating_add(length);
                self.messages.largest = self.messages.largest.max(length);
            }
            _ if flags & TRAILERS != 0 => {}
            _ => self.lose(),
        }
    }

    /// Bytes were not seen.
    pub(crate) fn skip(&mut self, count: u64) {
        match self.remaining.checked_sub(count) {
            Some(remaining) => self.remaining = remaining,
            None => self.lose(),
        }
    }

    /// Messages may be missed from here on.
    pub(crate) fn lose(&mut self) {
        self.is_lost = true;
        self.messages.is_exact = false;
    }

    /// What was counted.
    pub(crate) fn messages(&self) -> Messages {
        self.messages
    }
}

/// Whether a content type is one of gRPC; `Some(true)` for gRPC-Web.
pub(crate) fn is_web(content_type: &[u8]) -> Option<bool> {
    const GRPC: &[u8] = b"application/grpc";
    let (head, rest) = content_type.split_at_checked(GRPC.len())?;
    if !head.eq_ignore_ascii_case(GRPC) {
        return None;
    }
    match rest.first() {
        None | Some(b'+' | b';' | b' ') => Some(false),
        Some(b'-') => Some(true),
        Some(_) => None,
    }
}

/// `pkg.Service/Method` of a target `/pkg.Service/Method`.
pub(crate) fn name(target: &str) -> Option<Box<str>> {
    let path = target.split(['?', '#']).next()?.strip_prefix('/')?;
    let (service, method) = path.rsplit_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-'))
    };
    (is_name(service) && is_name(method) && path.len() <= MAX_NAME_BYTES).then(|| path.into())
}

/// A status as it stands in trailers.
pub(crate) fn status(value: &[u8]) -> Option<u32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

/// The status in the trailers that end a body of gRPC-Web.
pub(crate) fn status_in_body(mut body: &[u8]) -> Option<u32> {
    while let Some((prefix, rest)) = body.split_first_chunk::<PREFIX_BYTES>() {
        let [flags, length @ ..] = *prefix;
        let length = u32::from_be_bytes(length) as usize;
        if flags & TRAILERS != 0 {
            let trailers = rest.get(..length).unwrap_or(rest);
            return trailers.split(|byte| *byte == b'\n').find_map(|line| {
                let (name, value) = line.split_at_checked(12)?;
                name.eq_ignore_ascii_case(b"grpc-status:")
                    .then(|| status(value))
                    .flatten()
            });
        }
        body = rest.get(length..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &[u8] = b"\0\0\0\0\x03abc\x01\0\0\0\0\0\0\0\0\x05hello";

    #[test]
    fn messages_are_counted_at_every_split() {
        for cut in 0..=TWO.len() {
            let (one, two) = TWO.split_at(cut);
            let mut counter = Counter::default();
            counter.bytes(one);
            counter.bytes(two);
            let messages = counter.messages();
            assert_eq!(
                (messages.count, messages.bytes, messages.largest),
                (3, 8, 5),
                "{cut}"
            );
            assert!(messages.is_exact);
        }
    }

    #[test]
    fn a_gap_inside_a_message_loses_nothing_and_one_in_a_prefix_the_rest() {
        let mut counter = Counter::default();
        counter.bytes(&TWO[..6]);
        counter.skip(2);
        counter.bytes(&TWO[8..]);
        assert_eq!(counter.messages().count, 3);
        assert!(counter.messages().is_exact);
        let mut counter = Counter::default();
        counter.bytes(&TWO[..6]);
        counter.skip(3);
        counter.bytes(&TWO[9..]);
        assert_eq!(counter.messages().count, 1);
        assert!(!counter.messages().is_exact);
    }

    #[test]
    fn other_bytes_are_given_up() {
        let mut counter = Counter::default();
        counter.bytes(b"this is not gRPC");
        assert_eq!(
            (counter.messages().count, counter.messages().is_exact),
            (0, false)
        );
    }

    #[test]
    fn calls_have_names() {
        assert_eq!(name("/shop.v1.Cart/Add").as_deref(), Some("shop.v1.Cart/Add"));
        assert_eq!(name("/{x}"), None);
        assert_eq!(name("/a b/c"), None);
        assert_eq!(is_web(b"application/grpc+proto"), Some(false));
        assert_eq!(is_web(b"Application/gRPC-web-text"), Some(true));
        assert_eq!(is_web(b"application/grpcish"), None);
        assert_eq!(status(b"14"), Some(14));
        assert_eq!(status(b"x"), None);
    }
}
