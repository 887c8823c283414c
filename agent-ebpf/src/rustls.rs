//! Connections of rustls: plaintext that is taken and given without the socket.
//!
//! Its functions never use a socket: who calls them reads ciphertext and hands it over, or takes ciphertext and sends it.
//! So sockets are *inferred*, from what holds for every user of it: records are decrypted, and a handshake ends, in the
//! thread that has just received them. What is known of a connection is kept with the number of its socket, as it has no
//! address to keep it by: values of Rust move (a client of tokio's does after its handshake), and a place is used again.
//! What is written from a place where no handshake ended and nothing was decrypted belongs to the one connection of the
//! process that has shaken hands and moved nothing yet; when there are several, it is unknown.

use core::arch::asm;

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, INGRESS},
};
use aya_ebpf::{helpers::generated::bpf_probe_read_user, macros::map, maps::LruHashMap};

use crate::{
    connection::{Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_INITIALISED, STATE_MUTED, STATE_UNTOLD},
    kernel::succeeded,
    maps::{Counters, Scratch, Slot, counters},
    operation::{Plaintext, plaintext},
    own_stack::own_stack,
    tls::{
        Arrival, Call, CallKind, Caller, SessionKey, TLS_CALLS, TLS_SESSIONS, Transport, claim, enter,
        fresh_arrival, is_watched,
    },
};

/// In place of a process where a session is kept by the number of its socket. No process has it.
const BY_SOCKET: u64 = u64::MAX;

/// Bytes of plaintext that one record has at most (RFC 8446, 5.2).
const MAX_RECORD_BYTES: u64 = 1 << 14;

/// Elements of a list that is written at once. Overflow policy: the bytes are known by number only.
const MAX_SLICES: u64 = 1024;

/// The socket of a connection, by the address of the state that both its directions share (`CommonState`); by no address,
/// those of the process that have shaken hands and moved nothing yet.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    cookie: u64,
    /// How many, where there is no address; the last of them is the one above.
    waiting: u64,
}

/// Overflow policy: the least used give way, and what is written there is unbound until something is read.
#[map]
static TLS_PLACES: LruHashMap<SessionKey, Known> = LruHashMap::with_max_entries(1, 0);

fn by_socket(cookie: u64) -> SessionKey {
    SessionKey {
        session: cookie,
        tgid: BY_SOCKET,
    }
}

fn by_place(address: u64, caller: Caller) -> SessionKey {
    SessionKey {
        session: address,
        tgid: caller.tgid,
    }
}

/// A handshake is over: the thread has just received the last of it.
#[inline(always)]
pub(crate) fn opened<const LOOP: bool>(address: u64) {
    own_stack();
    let caller = Caller::thread();
    if !is_watched(caller) {
        return;
    }
    let Some(arrival) = fresh_arrival(caller, false) else {
        return;
    };
    with_slot::<LOOP>(|_, scratch, _| {
        place(address, caller, arrival, scratch);
    });
}

/// A record was decrypted, which the thread has just received.
#[inline(always)]
pub(crate) fn received<const LOOP: bool>(address: u64, payload: u64) {
    own_stack();
    let caller = Caller::thread();
    if !is_watched(caller) {
        return;
    }
    let Some((buffer, len)) = bytes_of(payload) else {
        if let Some(counters) = counters(Slot::Tls) {
            counters.add(Counter::FaultOperations, 1);
        }
        return;
    };
    if len == 0 {
        return;
    }
    let text = Plaintext {
        address: buffer,
        len: len as u32,
        slices: 0,
        direction: INGRESS,
    };
    with_slot::<LOOP>(|slot, scratch, counters| {
        let session = match fresh_arrival(caller, true) {
            Some(arrival) => place(address, caller, arrival, scratch),
            None => at_place(address, caller),
        };
        tell::<LOOP>(session, caller, scratch, counters, slot, text);
    });
}

/// A call starts that writes `buffer`: so many bytes, or `slices` elements.
#[inline(always)]
pub(crate) fn writes(buffer: u64, slices: u64) {
    enter(
        Caller::thread(),
        CallKind::Write,
        Transport::Session,
        0,
        buffer,
        slices,
    );
}

/// It hands its bytes to this connection.
#[inline(always)]
pub(crate) fn writes_to(address: u64) {
    own_stack();
    if let Some(call) = TLS_CALLS.get_ptr_mut(Caller::thread()) {
        // SAFETY: a value of this thread alone.
        unsafe { (*call).session = address };
    }
}

/// It returns, with `Ok(len)` if `failed` is zero.
#[inline(always)]
pub(crate) fn wrote<const LOOP: bool>(failed: u64, len: u64) {
    own_stack();
    let caller = Caller::thread();
    let Some(call) = TLS_CALLS.get_ptr(caller) else {
        return;
    };
    // SAFETY: a value of this thread alone.
    let call: Call = unsafe { *call };
    TLS_CALLS.remove(caller).unwrap_or(());
    if failed != 0 || len == 0 || len > u64::from(u32::MAX >> 1) || call.session == 0 {
        return;
    }
    let text = Plaintext {
        address: call.buffer,
        len: len as u32,
        slices: if call.length_at < MAX_SLICES {
            call.length_at as u16
        } else {
            MAX_SLICES as u16
        },
        direction: EGRESS,
    };
    with_slot::<LOOP>(|slot, scratch, counters| {
        let session = at_place(call.session, caller).or_else(|| only_one(call.session, caller));
        tell::<LOOP>(session, caller, scratch, counters, slot, text);
    });
}

/// A socket that carries TLS sends no more: what is written from its place is another's.
#[inline(always)]
pub(crate) fn finished(cookie: u64) {
    if let Some(session) = TLS_SESSIONS.get_ptr_mut(by_socket(cookie)) {
        // SAFETY: a value of the map.
        unsafe { (*session).vector_address = 0 };
    }
}

/// A socket that carries TLS is closed: its number does not come again, the place may.
#[inline(always)]
pub(crate) fn closed(cookie: u64) {
    let Some(session) = TLS_SESSIONS.get_ptr(by_socket(cookie)) else {
        return;
    };
    // SAFETY: a value of the map.
    let session = unsafe { &*session };
    if session.position == [0; 2] {
        waits_less(u64::from(session.vector_thread));
    }
    TLS_SESSIONS.remove(by_socket(cookie)).unwrap_or(());
}

/// What `Payload` holds, by the layout that its two variants share: the number of bytes that the vector has room for, or
/// what no vector has; where they lie; how many there are.
#[inline(always)]
fn bytes_of(payload: u64) -> Option<(u64, u64)> {
    const BORROWED: u64 = 1 << 63;
    let mut words = [0_u64; 3];
    // SAFETY: the destination is on the stack with this size; the helper checks the source.
    let status =
        unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), 24, payload as *const core::ffi::c_void) };
    let [room, address, len] = words;
    let is_sound = len <= MAX_RECORD_BYTES && (room == BORROWED || (room >= len && room < BORROWED));
    (succeeded(status) && is_sound).then_some((address, len))
}

#[inline(always)]
fn with_slot<const LOOP: bool>(then: impl FnOnce(Slot, &mut Scratch, &mut Counters)) {
    let Some((slot, scratch)) = claim::<LOOP>() else {
        if let Some(counters) = counters(Slot::Tls) {
            counters.add(Counter::TlsBusyOperations, 1);
        }
        return;
    };
    if let Some(counters) = counters(slot) {
        then(slot, scratch, counters);
    }
    scratch.claimed = 0;
}

/// The connection at a place is the one of this socket.
#[inline(always)]
fn place(
    address: u64,
    caller: Caller,
    arrival: Arrival,
    scratch: &mut Scratch,
) -> Option<&'static mut Connection> {
    let key = by_socket(arrival.cookie);
    if TLS_SESSIONS.get_ptr(key).is_none() {
        // SAFETY: scratch data is larger than a connection; its bytes are plain integers.
        let fresh = unsafe { &mut *scratch.data.as_mut_ptr().cast::<Connection>() };
        *fresh = Connection::EMPTY;
        fresh.cookie = arrival.cookie;
        fresh.ring = arrival.ring as u8;
        fresh.last_direction = NO_DIRECTION;
        fresh.vector_thread = caller.tgid as u32;
        fresh.state = STATE_INITIALISED | STATE_ANNOUNCED | STATE_UNTOLD;
        TLS_SESSIONS.insert(key, &*fresh, 0).ok()?;
        waits(caller, &arrival);
    }
    let session = TLS_SESSIONS.get_ptr_mut(key)?;
    // SAFETY: a value of the map; calls for one connection do not overlap.
    let session = unsafe { &mut *session };
    if session.vector_address != address {
        session.vector_address = address;
        settle(address, caller, session)?;
    }
    Some(session)
}

/// Notes whose place this is.
#[inline(always)]
fn settle(address: u64, caller: Caller, session: &Connection) -> Option<()> {
    let known = Known {
        cookie: session.cookie,
        waiting: 0,
    };
    TLS_PLACES.insert(by_place(address, caller), known, 0).ok()
}

/// The connection that is known to be at a place, and was not seen elsewhere since.
#[inline(always)]
fn at_place(address: u64, caller: Caller) -> Option<&'static mut Connection> {
    let known = TLS_PLACES.get_ptr(by_place(address, caller))?;
    // SAFETY: a value of the map.
    let cookie = unsafe { (*known).cookie };
    let session = TLS_SESSIONS.get_ptr_mut(by_socket(cookie))?;
    // SAFETY: a value of the map; calls for one connection do not overlap.
    let session = unsafe { &mut *session };
    (session.vector_address == address).then_some(session)
}

/// The one connection of the process that has moved nothing yet: it has come to this place.
#[inline(always)]
fn only_one(address: u64, caller: Caller) -> Option<&'static mut Connection> {
    let known = TLS_PLACES.get_ptr(by_place(0, caller))?;
    // SAFETY: a value of the map.
    let known = unsafe { *known };
    if known.waiting != 1 {
        return None;
    }
    let session = TLS_SESSIONS.get_ptr_mut(by_socket(known.cookie))?;
    // SAFETY: a value of the map; calls for one connection do not overlap.
    let session = unsafe { &mut *session };
    if session.position != [0; 2] {
        return None;
    }
    session.vector_address = address;
    settle(address, caller, session)?;
    Some(session)
}

/// One more of the process has shaken hands.
#[inline(always)]
fn waits(caller: Caller, arrival: &Arrival) {
    let key = by_place(0, caller);
    let Some(known) = TLS_PLACES.get_ptr_mut(key) else {
        let known = Known {
            cookie: arrival.cookie,
            waiting: 1,
        };
        return TLS_PLACES.insert(key, known, 0).unwrap_or(());
    };
    // SAFETY: a value of the map; of several connections, whichever stays does not count.
    unsafe {
        (*known).cookie = arrival.cookie;
        add(&raw mut (*known).waiting, 1);
    }
}

/// One of them has moved something, or is gone.
#[inline(always)]
fn waits_less(tgid: u64) {
    let key = SessionKey { session: 0, tgid };
    if let Some(known) = TLS_PLACES.get_ptr_mut(key) {
        // SAFETY: a value of the map.
        unsafe { add(&raw mut (*known).waiting, u64::MAX) };
    }
}

/// Adds at once: threads of a process do so side by side.
///
/// # Safety
/// `word` is an aligned word of a map value.
#[inline(always)]
unsafe fn add(word: *mut u64, amount: u64) {
    // SAFETY: as the caller says.
    unsafe {
        asm!(
            "lock *(u64 *)({word} + 0) += {amount}",
            word = in(reg) word,
            amount = in(reg) amount,
            options(nostack)
        );
    }
}

#[inline(always)]
fn tell<const LOOP: bool>(
    session: Option<&'static mut Connection>,
    caller: Caller,
    scratch: &mut Scratch,
    counters: &mut Counters,
    slot: Slot,
    text: Plaintext,
) {
    counters.add(Counter::TlsOperations, 1);
    let Some(session) = session else {
        counters.add(Counter::TlsUnboundOperations, 1);
        return counters.add(Counter::TlsUnboundBytes, u64::from(text.len));
    };
    if session.position == [0; 2] {
        waits_less(caller.tgid);
    }
    if !session.is(STATE_MUTED) {
        plaintext::<LOOP>(session, scratch, counters, slot, text);
    }
}
