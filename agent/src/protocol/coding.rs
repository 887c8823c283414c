//! Content codings (RFC 9110 §8.4): gzip, deflate, br and zstd, undone in the sample of a body.
//!
//! In: a body and the field that names its codings. Out: the same body with a plain sample, as far as it could be
//! read. What comes out is as bounded as any sample, so a bomb costs no more than a body of that size. Refuses to
//! touch a sample that is not in the coding its field names.

use std::io::Read;

use bytes::Bytes;

use crate::exchange::{BODY_SAMPLE_BYTES, Body};

/// Codings undone one after the other. Overflow policy: the sample stays as it was sent.
const MAX_CODINGS: usize = 3;

/// Undoes the codings of `field`, the value of `Content-Encoding`. The length stays that of the bytes sent.
/// Whether there was more than a sample holds.
pub(crate) fn decode(body: &mut Body, field: &[u8]) -> bool {
    if body.sample.is_empty() {
        return false;
    }
    let codings: Vec<&[u8]> = field
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))
        .collect();
    if codings.is_empty() || codings.len() > MAX_CODINGS {
        return false;
    }
    let mut plain = body.sample.clone();
    let mut is_whole = true;
    for coding in codings.iter().rev() {
        let Some((decoded, whole)) = undo(coding, &plain) else {
            return false;
        };
        plain = decoded;
        is_whole &= whole;
    }
    let is_full = plain.len() >= BODY_SAMPLE_BYTES && !is_whole;
    body.sample = plain;
    body.cut |= !is_whole;
    is_full
}

/// The plain bytes, and whether they are all.
fn undo(coding: &[u8], coded: &[u8]) -> Option<(Bytes, bool)> {
    let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    if is("gzip") || is("x-gzip") {
        read(flate2::read::MultiGzDecoder::new(coded))
    } else if is("deflate") {
        // RFC 9110 §8.4.1.2: with the wrapper of zlib, though some senders leave that out.
        read(flate2::read::ZlibDecoder::new(coded)).or_else(|| read(flate2::read::DeflateDecoder::new(coded)))
    } else if is("br") {
        read(brotli_decompressor::Decompressor::new(coded, 4096))
    } else if is("zstd") {
        read(ruzstd::decoding::StreamingDecoder::new(coded).ok()?)
    } else {
        None
    }
}

/// What a decoder gives before it fails or the sample is full. `None` if that is nothing.
fn read(decoder: impl Read) -> Option<(Bytes, bool)> {
    let mut plain = Vec::new();
    let mut decoder = decoder.take(BODY_SAMPLE_BYTES as u64 + 1);
    let is_sound = decoder.read_to_end(&mut plain).is_ok();
    let is_whole = is_sound && plain.len() <= BODY_SAMPLE_BYTES;
    plain.truncate(BODY_SAMPLE_BYTES);
    (is_sound || !plain.is_empty()).then(|| (Bytes::from(plain), is_whole))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const TEXT: &[u8] = b"{\"greeting\":\"hello, hello, hello\"}";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(field: &str, coded: &[u8]) -> Body {
        let mut body = Body {
            sample: Bytes::copy_from_slice(coded),
            length: Some(coded.len() as u64),
            cut: false,
        };
        decode(&mut body, field.as_bytes());
        body
    }

    #[test]
    fn codings_are_undone() {
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        zlib.write_all(TEXT).unwrap();
        let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        raw.write_all(TEXT).unwrap();
        let zstd = ruzstd::encoding::compress_to_vec(TEXT, ruzstd::encoding::CompressionLevel::Fastest);
        for (field, coded) in [
            ("gzip", gzip(TEXT)),
            ("X-GZIP", gzip(TEXT)),
            ("deflate", zlib.finish().unwrap()),
            ("deflate", raw.finish().unwrap()),
            ("zstd", zstd),
            ("identity, gzip , gzip", gzip(&gzip(TEXT))),
        ] {
            let body = decoded(field, &coded);
            assert_eq!((&body.sample[..], body.cut), (TEXT, false), "{field}");
            assert_eq!(body.length, Some(coded.len() as u64));
        }
    }

    #[test]
    fn brotli_is_undone() {
        // "hello" as an uncompressed block: window 16, length 5, then the empty last block.
        let coded = [0x0b, 0x02, 0x80, b'h', b'e', b'l', b'l', b'o', 0x03];
        let body = decoded("br", &coded);
        assert_eq!((&body.sample[..], body.cut), (&b"hello"[..], false));
    }

    #[test]
    fn what_is_cut_gives_its_beginning() {
        let text: Vec<u8> = (0..4000_u32).flat_map(|n| n.to_be_bytes()).collect();
        let coded = gzip(&text);
        let body = decoded("gzip", &coded[..coded.len() / 2]);
        assert!(body.cut && !body.sample.is_empty() && text.starts_with(&body.sample));
    }

    #[test]
    fn bombs_are_cut() {
        let body = decoded("gzip", &gzip(&vec![0; 20 << 20]));
        assert_eq!((body.sample.len(), body.cut), (BODY_SAMPLE_BYTES, true));
    }

    #[test]
    fn anything_else_stays() {
        for field in ["gzip", "deflate", "zstd", "compress", "gzip,gzip,gzip,gzip", ""] {
            assert_eq!(
                decoded(field, b"plain text, not coded").sample,
                "plain text, not coded"
            );
        }
    }
}
