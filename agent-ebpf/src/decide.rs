//! What an operation's bytes are, and with it whether the agent should have them.
//!
//! In: the operation at hand, whose source is known. Out: yes or no; the protocol, once it is known, stays with the
//! connection. A connection that shows none in its first messages is muted for good.

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, INGRESS},
    frames::{Framing, joins, starts_as_server},
    limits::{PREFIX_BYTES, TLS_ANSWER_BYTES, TLS_HELLO_BYTES, TLS_RECORD_BYTES},
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
        Class::Tls => is_hello(connection, scratch),
    }
}

/// Whether an operation of a TLS connection is of its first message, which may come in pieces, or starts the answer. What
/// follows is ciphertext.
#[inline(always)]
fn is_hello(connection: &mut Connection, scratch: &Scratch) -> bool {
    let Operation {
        direction,
        position,
        len,
        ..
    } = scratch.operation;
    let index = usize::from(direction & 1);
    if connection.position[index ^ 1] == 0 && position < TLS_HELLO_BYTES {
        return true;
    }
    if position.wrapping_add(u64::from(len)) > TLS_RECORD_BYTES {
        connection.state |= STATE_MUTED;
    }
    connection.budget[index] = connection.budget[index].min(TLS_ANSWER_BYTES);
    position <= TLS_RECORD_BYTES
}

/// The protocol is not known yet: look at the first bytes. True when the agent should have them.
#[inline(always)]
fn undecided<const LOOP: bool>(
    connection: &mut Connection,
    scratch: &mut Scratch,
    counters: &mut Counters,
) -> bool {
    let Operation {
        direction,
        position,
        len,
        turn,
        ..
    } = scratch.operation;
    let got = gather::<LOOP>(scratch, 0, len.min(PREFIX_BYTES as u32));
    if got == 0 {
        // Says nothing about the protocol: the socket is not given up, and each such operation is counted.
        missed(scratch, counters);
        return false;
    }
    match connection.classify(direction, scratch, got) {
        Verdict::Http1Request => {
            connection.class = Class::Http1 as u8;
            connection.calls = u8::from(direction == EGRESS);
        }
        Verdict::Http1Response => {
            connection.class = Class::Http1 as u8;
            connection.calls = u8::from(direction == INGRESS);
        }
        Verdict::Http2 => {
            connection.class = Class::Http2 as u8;
            connection.calls = u8::from(direction == EGRESS);
            let seen = u32::from(connection.prefix_len[usize::from(direction & 1)]).saturating_sub(got);
            connection.framing[usize::from(direction & 1)] = Framing::preface(seen);
        }
        Verdict::Tls => {
            connection.class = Class::Tls as u8;
            counters.add(Counter::TlsSockets, 1);
        }
        Verdict::More => {}
        Verdict::Preamble => connection.forget_prefix(direction),
        Verdict::Other if position == 0 && is_settings(scratch, got) => {
            connection.class = Class::Http2 as u8;
            connection.calls = u8::from(direction == INGRESS);
            connection.framing[usize::from(!direction & 1)] = Framing::preface(0);
        }
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

/// Whether an operation, whose first `got` bytes were gathered and are the first of their direction, is a server's of HTTP/2 that
/// has not waited for its client.
#[inline(always)]
fn is_settings(scratch: &Scratch, got: u32) -> bool {
    match scratch.data.first_chunk::<PREFIX_BYTES>() {
        Some(prefix) => starts_as_server(prefix, got),
        None => false,
    }
}

/// Whether an operation, whose first `got` bytes were gathered, belongs to an HTTP/2 connection whose start was not seen.
#[inline(always)]
fn speaks_frames(scratch: &Scratch, got: u32, len: u32) -> bool {
    match scratch.data.first_chunk::<PREFIX_BYTES>() {
        Some(prefix) => joins(prefix, got, len),
        None => false,
    }
}
