//! What a file is, by its first bytes.

use super::recording;

/// How many of the first bytes are looked at.
pub(super) const HEAD_BYTES: usize = 4096;

/// Microseconds, nanoseconds, and Alexey Kuznetsov's variant with longer packet headers; in either byte order.
const PCAP_MAGICS: [u32; 3] = [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34];

/// Block type of the section header, the same in both byte orders.
const PCAPNG_MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A capture of libpcap (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html>).
    Pcap,
    /// A capture in pcapng (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcapng-03.html>).
    PcapNg,
    /// A recording of socket events.
    Recording,
    /// An HTTP archive 1.2 (<http://www.softwareishard.com/blog/har-12-spec/>).
    Har,
    /// JSON Lines, one exchange a line.
    Exchanges,
}

impl Format {
    /// What a file that begins like this is.
    pub fn of(head: &[u8]) -> Option<Self> {
        if head.starts_with(&recording::MAGIC) {
            return Some(Format::Recording);
        }
        if let Some(&magic) = head.first_chunk::<4>() {
            let orders = [u32::from_be_bytes(magic), u32::from_le_bytes(magic)];
            if orders.iter().any(|order| PCAP_MAGICS.contains(order)) {
                return Some(Format::Pcap);
            }
            if magic == PCAPNG_MAGIC {
                return Some(Format::PcapNg);
            }
        }
        let text = head
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(head)
            .trim_ascii_start();
        let object = text.strip_prefix(b"{")?.trim_ascii_start();
        // An archive is one object with one member; no exchange has a member of that name.
        let archive = object
            .strip_prefix(b"\"log\"")
            .is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"));
        Some(if archive { Format::Har } else { Format::Exchanges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let cases: [(&[u8], Option<Format>); 12] = [
            (b"\xd4\xc3\xb2\xa1\x02\0\x04\0", Some(Format::Pcap)),
            (b"\xa1\xb2\xc3\xd4\0\x02\0\x04", Some(Format::Pcap)),
            (b"\x4d\x3c\xb2\xa1", Some(Format::Pcap)),
            (b"\x0a\x0d\x0d\x0a\x1c\0\0\0", Some(Format::PcapNg)),
            (b"\x89APREC\r\n\x01\0", Some(Format::Recording)),
            (b"{\"log\": {\"version\"", Some(Format::Har)),
            (b"\xef\xbb\xbf{\r\n  \"log\" : {", Some(Format::Har)),
            (b"{\"method\":\"GET\"", Some(Format::Exchanges)),
            (b"\n\n { \"id\":1", Some(Format::Exchanges)),
            (b"GET / HTTP/1.1", None),
            (b"[{\"method\":", None),
            (b"", None),
        ];
        for (head, format) in cases {
            assert_eq!(Format::of(head), format, "{}", head.escape_ascii());
        }
    }
}
