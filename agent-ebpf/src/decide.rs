//! What an operation's bytes are, and with it whether the agent should have them.
//!
//! In: the operation at hand, whose source is known. Out: yes or no; the protocol, once it is known, stays with the
//! connection. A connection that shows none in its first messages is muted for good.

use apiarist_common::{
    counter::Counter,
    frames::{Framing, joins},
    limits::{PREFIX_BYTES, TLS_HELLO_BYTES},
    sniff::{Class, Verdict},
};

use crate::{
    budget::{missed, renew_budget},
    connection::{Connection, STATE_JOINED_LATE, STATE_MUTED},
    gather::gather,
    maps::{Counters, Scratch},
    operation::Operation,
};

/// Whether the agent should have bytes of the operation at hand.
#[inline(always)]
pub(crate) fn is_wanted<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    match connection.class() {
        Class::Unknown => undecided::<LOOP>(connection, scratch, counters),
        Class::Http1 => {
            renew_budget::<LOOP>(connection, scratch);
            true
        }
        Class::Http2 => true,
        // The client's first message may come in pieces; what follows the turn, or its usual length, is ciphertext.
        Class::Tls if scratch.operation.turn == 0 && scratch.operation.position < TLS_HELLO_BYTES => true,
        Class::Tls => {
            connection.state |= STATE_MUTED;
            false
        }
    }
}

/// The protocol is not known yet: look at the first bytes. True when the agent should have them.
#[inline(always)]
fn undecided<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    let Operation {
        direction, len, turn, ..
    } = scratch.operation;
    let got = gather::<LOOP>(scratch, 0, len.min(PREFIX_BYTES as u32));
    if got == 0 {
        // Says nothing about the protocol: the socket is not given up, and each such operation is counted.
        missed(scratch, counters);
        return false;
    }
    match connection.classify(direction, scratch, got) {
        Verdict::Http1Request | Verdict::Http1Response => connection.class = Class::Http1 as u8,
        Verdict::Http2 => {
            connection.class = Class::Http2 as u8;
            let seen = u32::from(connection.prefix_len[usize::from(direction & 1)]).saturating_sub(got);
            connection.framing[usize::from(direction & 1)] = Framing::preface(seen);
        }
        Verdict::Tls => {
            connection.class = Class::Tls as u8;
            counters.add(Counter::TlsSockets, 1);
        }
        Verdict::More => {}
        Verdict::Preamble => connection.forget_prefix(direction),
        Verdict::Other if connection.is(STATE_JOINED_LATE) && speaks_frames(scratch, got, len) => {
            connection.class = Class::Http2 as u8;
            connection.framing = [Framing::LOST; 2];
        }
        Verdict::Other => {
            connection.forget_prefix(direction);
            if connection.gave_up(turn != 0) {
                connection.state |= STATE_MUTED;
                counters.add(Counter::MutedSockets, 1);
            }
            return false;
        }
    }
    true
}

/// Whether an operation, whose first `got` bytes were gathered, belongs to an HTTP/2 connection whose start was not seen.
#[inline(always)]
fn speaks_frames(scratch: &Scratch, got: u32, len: u32) -> bool {
    match scratch.data.first_chunk::<PREFIX_BYTES>() {
        Some(prefix) => joins(prefix, got, len),
        None => false,
    }
}
