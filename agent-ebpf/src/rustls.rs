//! Connections of rustls: plaintext that is taken and given without the socket.
//!
//! Its functions never use a socket: who calls them reads ciphertext and hands it over, or takes ciphertext and sends it.
//! So sockets are *inferred*, from what holds for every user of it: records are decrypted, and handshakes go on, in the
//! thread that has just received them. What is known of a connection is kept with the number of its socket, as it has no
//! address for life: values of Rust move. One thing of it does not, what encrypts for it (`Box<dyn MessageEncrypter>`), which
//! a handshake makes: by that it is known what a write belongs to. Of connections whose handshake was not seen the place is
//! noted where they read; a write from there names what encrypts for them. What is written otherwise is unknown, and missing
//! as soon as it is known whose it was.

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, INGRESS},
};
use aya_ebpf::{helpers::generated::bpf_probe_read_user, macros::map, maps::LruHashMap};

use crate::{
    connection::{Connection, NO_DIRECTION, STATE_ANNOUNCED, STATE_INITIALISED, STATE_MUTED, STATE_UNTOLD},
    kernel::succeeded,
    maps::{Counters, Scratch, Slot, counters},
    operation::{Plaintext, pass_unseen, plaintext},
    own_stack::own_stack,
    tls::{
        Arrival, Call, CallKind, Caller, SessionKey, TLS_CALLS, TLS_SESSIONS, Transport, arrived, claim,
        enter, fresh_arrival, is_watched,
    },
};

/// In place of a process where a session is kept by the number of its socket. No process has it.
const BY_SOCKET: u64 = u64::MAX;

/// Bytes of plaintext that one record has at most (RFC 8446, 5.2).
const MAX_RECORD_BYTES: u64 = 1 << 14;

/// Elements of a list that is written at once. Overflow policy: the bytes are known by number only.
const MAX_SLICES: u64 = 1024;

/// What is known of an address.
#[repr(C)]
#[derive(Clone, Copy)]
struct Known {
    /// The socket of the connection; zero if that is unknown.
    cookie: u64,
    /// Bytes that were written meanwhile.
    unseen: u64,
}

/// By the address of the state that both directions of a connection share (`CommonState`), where it has read last, and of what
/// encrypts for it. Overflow policy: the least used give way, and what is written there is unbound until something is read.
#[map]
static TLS_PLACES: LruHashMap<SessionKey, Known> = LruHashMap::with_max_entries(1, 0);

/// Beside the process where an address is of what encrypts. No process has it.
const ENCRYPTER: u64 = 1 << 32;

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

fn by_encrypter(address: u64, caller: Caller) -> SessionKey {
    SessionKey {
        session: address,
        tgid: caller.tgid | ENCRYPTER,
    }
}

/// There is a new key, and this encrypts with it, for the connection that the thread deals with: it has just received a part of
/// the handshake, or it has just written that keys change, as they wear out.
#[inline(always)]
pub(crate) fn keyed<const LOOP: bool>(encrypter: u64) {
    own_stack();
    let caller = Caller::thread();
    if !is_watched(caller) {
        return;
    }
    // Whoever had this address is gone.
    TLS_PLACES.remove(by_encrypter(encrypter, caller)).unwrap_or(());
    let Some(arrival) = fresh_arrival(caller, false) else {
        return;
    };
    with_slot::<LOOP>(|_, scratch, _| {
        if let Some(session) = of_arrival(arrival, scratch) {
            encrypts_for(encrypter, caller, session);
        }
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
            Some(arrival) => {
                of_arrival(arrival, scratch).and_then(|session| settle(address, caller, session))
            }
            None => at_place(address, caller),
        };
        tell::<LOOP>(session, scratch, counters, slot, text);
    });
}

/// A call starts that writes `payload`, to the connection at this place.
#[inline(always)]
pub(crate) fn writes(place: u64, payload: u64) {
    let (buffer, slices) = chunks_of(payload);
    enter(
        Caller::thread(),
        CallKind::Write,
        Transport::Session,
        place,
        buffer,
        slices,
    );
}

/// This encrypts the next record. Outside of a write it is a handshake's, as in front of a new key, or an alert: it tells which
/// connection the thread deals with.
#[inline(always)]
pub(crate) fn encrypts(encrypter: u64) {
    own_stack();
    let caller = Caller::thread();
    let Some(call) = TLS_CALLS.get_ptr_mut(caller) else {
        if let Some(known) = TLS_PLACES.get_ptr(by_encrypter(encrypter, caller))
            // SAFETY: a value of the map.
            && let Some(session) = of_socket(unsafe { (*known).cookie })
        {
            arrived(caller, session);
        }
        return;
    };
    // SAFETY: a value of this thread alone.
    let call = unsafe { &mut *call };
    if call.cookie == 0 {
        call.cookie = whose(encrypter, call.session, caller);
        call.session = encrypter;
    }
}

/// It returns, and has taken `len` bytes.
#[inline(always)]
pub(crate) fn wrote<const LOOP: bool>(len: u64) {
    own_stack();
    let caller = Caller::thread();
    let Some(call) = TLS_CALLS.get_ptr(caller) else {
        return;
    };
    // SAFETY: a value of this thread alone.
    let call: Call = unsafe { *call };
    TLS_CALLS.remove(caller).unwrap_or(());
    if len == 0 || len > u64::from(u32::MAX >> 1) {
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
        let session = match of_socket(call.cookie) {
            Some(session) => {
                catch_up(call.session, caller, session);
                Some(session)
            }
            None => {
                goes_unseen(call.session, caller, len);
                None
            }
        };
        tell::<LOOP>(session, scratch, counters, slot, text);
    });
}

/// A socket that carries TLS sends no more: what is written from its place is another's.
#[inline(always)]
pub(crate) fn finished(cookie: u64) {
    if let Some(session) = TLS_SESSIONS.get_ptr_mut(by_socket(cookie)) {
        // SAFETY: a value of the map.
        unsafe { (*session).place = 0 };
    }
}

/// A socket that carries TLS is closed: its number does not come again.
#[inline(always)]
pub(crate) fn closed(cookie: u64) {
    // Most were never in it.
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

/// What `OutboundChunks` holds: bytes, or a list of slices of which some at the start may be written already. Gives the address
/// and the number of slices, zero for bytes; no address of what cannot be told.
#[inline(always)]
fn chunks_of(payload: u64) -> (u64, u64) {
    let mut words = [0_u64; 3];
    // SAFETY: the destination is on the stack with this size; the helper checks the source.
    let status =
        unsafe { bpf_probe_read_user(words.as_mut_ptr().cast(), 24, payload as *const core::ffi::c_void) };
    match words {
        _ if !succeeded(status) => (0, 0),
        [0, bytes, _] => (bytes, 0),
        [slices, count, 0] => (slices, count),
        _ => (0, 0),
    }
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

/// The connection of a socket, if it is known.
#[inline(always)]
fn of_socket(cookie: u64) -> Option<&'static mut Connection> {
    let session = TLS_SESSIONS.get_ptr_mut(by_socket(cookie))?;
    // SAFETY: a value of the map; calls for one connection do not overlap.
    Some(unsafe { &mut *session })
}

/// The connection of the socket that a thread has received from.
#[inline(always)]
fn of_arrival(arrival: Arrival, scratch: &mut Scratch) -> Option<&'static mut Connection> {
    let key = by_socket(arrival.cookie);
    if TLS_SESSIONS.get_ptr(key).is_none() {
        // SAFETY: scratch data is larger than a connection; its bytes are plain integers.
        let fresh = unsafe { &mut *scratch.data.as_mut_ptr().cast::<Connection>() };
        *fresh = Connection::EMPTY;
        fresh.cookie = arrival.cookie;
        fresh.ring = arrival.ring as u8;
        fresh.last_direction = NO_DIRECTION;
        fresh.state = STATE_INITIALISED | STATE_ANNOUNCED | STATE_UNTOLD;
        TLS_SESSIONS.insert(key, &*fresh, 0).ok()?;
    }
    of_socket(arrival.cookie)
}

/// The connection reads at this place.
#[inline(always)]
fn settle(address: u64, caller: Caller, session: &'static mut Connection) -> Option<&'static mut Connection> {
    if session.place != address {
        session.place = address;
        let known = Known {
            cookie: session.cookie,
            unseen: 0,
        };
        TLS_PLACES.insert(by_place(address, caller), known, 0).ok()?;
    }
    Some(session)
}

/// The connection that has read at a place, and nowhere else since.
#[inline(always)]
fn at_place(address: u64, caller: Caller) -> Option<&'static mut Connection> {
    let known = TLS_PLACES.get_ptr(by_place(address, caller))?;
    // SAFETY: a value of the map.
    let session = of_socket(unsafe { (*known).cookie })?;
    (session.place == address).then_some(session)
}

/// Notes what encrypts for a connection, in place of what did before.
#[inline(always)]
fn encrypts_for(encrypter: u64, caller: Caller, session: &mut Connection) {
    let before = by_encrypter(session.encrypter, caller);
    if session.encrypter != encrypter {
        TLS_PLACES.remove(before).unwrap_or(());
    }
    session.encrypter = encrypter;
    let known = Known {
        cookie: session.cookie,
        unseen: 0,
    };
    TLS_PLACES
        .insert(by_encrypter(encrypter, caller), known, 0)
        .unwrap_or(());
}

/// The number of the socket for which this encrypts what is written at a place; zero if that is unknown.
///
/// A server may put a handshake aside once it has read the client's name, and go on with it after the thread has received
/// something else: then the connection that reads at the place says otherwise.
#[inline(always)]
fn whose(encrypter: u64, place: u64, caller: Caller) -> u64 {
    let known = TLS_PLACES.get_ptr_mut(by_encrypter(encrypter, caller));
    // SAFETY: null or a value of the map.
    let known = known.map(|known| unsafe { &mut *known });
    let cookie = known.as_ref().map_or(0, |known| known.cookie);
    let Some(here) = at_place(place, caller) else {
        return cookie;
    };
    if here.cookie == cookie {
        return cookie;
    }
    if here.encrypter != 0 && here.encrypter != encrypter {
        return 0;
    }
    if let Some(other) = of_socket(cookie)
        && other.encrypter == encrypter
    {
        other.encrypter = 0;
    }
    here.encrypter = encrypter;
    match known {
        Some(known) => known.cookie = here.cookie,
        None => encrypts_for(encrypter, caller, here),
    }
    here.cookie
}

/// Nobody knows who writes so many bytes.
#[inline(always)]
fn goes_unseen(encrypter: u64, caller: Caller, len: u64) {
    let key = by_encrypter(encrypter, caller);
    let Some(known) = TLS_PLACES.get_ptr_mut(key) else {
        let known = Known {
            cookie: 0,
            unseen: len,
        };
        return TLS_PLACES.insert(key, known, 0).unwrap_or(());
    };
    // SAFETY: a value of the map; writes of one connection do not overlap.
    unsafe { (*known).unseen = (*known).unseen.wrapping_add(len) };
}

/// What went unseen of a connection that is known now is missing.
#[inline(always)]
fn catch_up(encrypter: u64, caller: Caller, session: &mut Connection) {
    let Some(known) = TLS_PLACES.get_ptr_mut(by_encrypter(encrypter, caller)) else {
        return;
    };
    // SAFETY: a value of the map; writes of one connection do not overlap.
    let known = unsafe { &mut *known };
    if known.unseen > 0 {
        pass_unseen(session, EGRESS, known.unseen);
        known.unseen = 0;
    }
}

#[inline(always)]
fn tell<const LOOP: bool>(
    session: Option<&'static mut Connection>,
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
    if !session.is(STATE_MUTED) {
        plaintext::<LOOP>(session, scratch, counters, slot, text);
    }
}
