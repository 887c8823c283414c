//! The methods a request line may start with.
//!
//! In: the first 16 bytes of a line. Out: the method, or that it could still become one. A name is found by one
//! multiplication and compared once: the kernel's verifier walks every path, and forty comparisons in a row were two
//! thirds of what it had to walk in the programs that see sends and receives. Refuses to look at what follows the name.

use super::{Pattern, Start, pattern};

/// Longest method name with its space.
const LONGEST: u32 = 12;

/// Names with the space behind them: RFC 9110, PATCH (RFC 5789), QUERY, WebDAV (RFC 4918, 3253, 3648, 3744, 5323), UPnP and
/// the cache methods in common use.
#[rustfmt::skip]
pub(super) const NAMES: [&[u8]; 38] = [
    b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ",
    b"CONNECT ", b"QUERY ", b"PROPFIND ", b"PROPPATCH ", b"MKCOL ", b"COPY ", b"MOVE ", b"LOCK ",
    b"UNLOCK ", b"SEARCH ", b"REPORT ", b"MERGE ", b"CHECKOUT ", b"CHECKIN ", b"MKACTIVITY ",
    b"MKCALENDAR ", b"MKWORKSPACE ", b"ACL ", b"BIND ", b"UNBIND ", b"REBIND ", b"LINK ",
    b"UNLINK ", b"LABEL ", b"PURGE ", b"BAN ", b"SUBSCRIBE ", b"UNSUBSCRIBE ", b"NOTIFY ",
    b"M-SEARCH ",
];

/// The names, each where [`slot`] says.
static TABLE: [Pattern; 64] = table();

const fn table() -> [Pattern; 64] {
    let mut table = [pattern(b""); 64];
    let mut i = 0;
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated at compile time, bounded by the loop and by six bits"
    )]
    while i < NAMES.len() {
        let name = pattern(NAMES[i]);
        let slot = slot(name.low, name.high);
        assert!(
            table[slot].len == 0,
            "two names share a slot: another factor is needed"
        );
        table[slot] = name;
        i += 1;
    }
    table
}

/// The factor was found by trying: no two names share a slot.
#[inline(always)]
const fn slot(low: u64, high: u64) -> usize {
    ((low ^ high).wrapping_mul(0x529e_ebfb_3967_d3e3) >> 58) as usize
}

/// The same byte eight times.
const fn eight(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte.
const HIGHEST: u64 = eight(0x80);

/// The highest bit of the first byte that is a space, and of bytes behind it perhaps; zero without one.
#[inline(always)]
const fn spaces(word: u64) -> u64 {
    let zero_at_space = word ^ eight(b' ');
    zero_at_space.wrapping_sub(eight(1)) & !zero_at_space & HIGHEST
}

/// The bytes up to the one whose highest bit is the lowest of `marks`, with it.
#[inline(always)]
const fn through_first(marks: u64) -> u64 {
    let first = marks & marks.wrapping_neg();
    (first << 1).wrapping_sub(1)
}

/// The method that the line starts with.
#[inline(always)]
pub(super) fn method(start: Start) -> Option<Pattern> {
    let (in_low, in_high) = (spaces(start.low), spaces(start.high));
    let (low, high) = if in_low != 0 {
        (start.low & through_first(in_low), 0)
    } else {
        (start.low, start.high & through_first(in_high))
    };
    let found = *TABLE.get(slot(low, high))?;
    ((found.low ^ low) | (found.high ^ high) == 0).then_some(found)
}

/// Whether there are fewer bytes than the longest method has, all of which a method, a version or a preamble could have:
/// capital letters, `-`, `/`, `1`.
#[inline(always)]
pub(super) fn is_unfinished(start: Start) -> bool {
    let [low_mask, high_mask] = start.masks;
    let low = !could_be_name(start.low) & HIGHEST & low_mask;
    let high = !could_be_name(start.high) & HIGHEST & high_mask;
    start.len < LONGEST && low | high == 0
}

/// The highest bit of each byte that a name could have.
#[inline(always)]
fn could_be_name(word: u64) -> u64 {
    // Without the highest bits no byte carries over into the next.
    let bytes = word & !HIGHEST;
    let at_least = |byte: u8| bytes.wrapping_add(eight(0x80 - byte));
    let is = |byte: u8| !(bytes ^ eight(byte)).wrapping_add(eight(0x7f));
    let letters = at_least(b'A') & !at_least(b'Z' + 1);
    (letters | is(b'-') | is(b'/') | is(b'1')) & !word & HIGHEST
}
