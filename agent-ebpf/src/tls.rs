//! TLS sessions: plaintext seen inside a library, bound to the socket that carries its ciphertext.
//!
//! A library call is noted for its thread when it starts. A socket operation on the same thread meanwhile names the
//! socket (*direct*). Users of memory buffers do their input and output outside: the ciphertext that a thread received
//! last, and that no call has followed yet, belongs to the session it calls the library for next (*inferred*). A
//! session keeps its socket once plaintext has moved, unless an operation inside a call names another one.
//! Calls of Go's library are noted for the goroutine: their sockets are always named directly.

use core::ffi::c_void;

use apiarist_common::{
    counter::Counter,
    event::{EGRESS, INGRESS},
};
use aya_ebpf::{
    helpers::generated::{bpf_get_current_pid_tgid, bpf_probe_read_user},
    macros::map,
    maps::LruHashMap,
};

use crate::{
    connection::{Connection, STATE_ANNOUNCED, STATE_DIRECT, STATE_INITIALISED, STATE_MUTED, STATE_UNTOLD},
    go::calling_goroutine,
    kernel::{read, succeeded},
    maps::{Counters, Scratch, Slot, constant, counters, scratch},
    operation::{Plaintext, plaintext},
    own_stack::own_stack,
    scope::in_scope,
};

/// A call of a library that has not returned yet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Call {
    /// The library's object for the session.
    pub(crate) session: u64,
    pub(crate) buffer: u64,
    /// Where the call stores how many bytes it moved; zero when it returns that.
    pub(crate) length_at: u64,
    /// [`CallKind`] as a number.
    pub(crate) kind: u32,
    /// [`Transport`] as a number.
    transport: u32,
    reserved: u32,
    /// The socket that was used meanwhile: its ring and cookie, zero if none was.
    ring: u32,
    pub(crate) cookie: u64,
}

/// What a call does.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum CallKind {
    Write = 0,
    Read,
    Handshake,
}

/// What a function moves its bytes through.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Transport {
    /// TLS.
    Session = 0,
    /// Anything; TLS only if the socket that is used meanwhile carries it.
    File,
}

/// What a function that returns has done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returned {
    /// It moved plaintext, and its start was noted.
    Moved,
    /// It moved plaintext that may have been told at its start.
    Told,
    /// It shook hands, which says nothing about a call around it.
    Handshake,
}

/// Ciphertext that a thread received outside a call.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) cookie: u64,
    pub(crate) ring: u32,
    /// Non-zero until a call has followed.
    fresh: u32,
}

impl Call {
    #[inline(always)]
    fn is_of_file(&self) -> bool {
        self.transport == Transport::File as u32
    }
}

/// Who makes a call.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caller {
    /// The thread's number, or the address of the goroutine: these are never as small.
    context: u64,
    pub(crate) tgid: u64,
}

impl Caller {
    #[inline(always)]
    pub(crate) fn thread() -> Self {
        // SAFETY: no arguments.
        let thread = unsafe { bpf_get_current_pid_tgid() };
        Self {
            context: thread & 0xffff_ffff,
            tgid: thread >> 32,
        }
    }

    #[inline(always)]
    pub(crate) fn goroutine(address: u64) -> Self {
        Self {
            context: address,
            ..Self::thread()
        }
    }
}

/// A session of one process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SessionKey {
    pub(crate) session: u64,
    pub(crate) tgid: u64,
}

/// Calls by caller. Overflow policy, here and below: the least used give way; the agent sets the sizes.
#[map]
pub(crate) static TLS_CALLS: LruHashMap<Caller, Call> = LruHashMap::with_max_entries(1, 0);

/// Last arrivals, by thread.
#[map]
static TLS_ARRIVALS: LruHashMap<Caller, Arrival> = LruHashMap::with_max_entries(1, 0);

/// Sessions whose socket is known, with the positions of their plaintext.
#[map]
pub(crate) static TLS_SESSIONS: LruHashMap<SessionKey, Connection> = LruHashMap::with_max_entries(1, 0);

/// Processes that are let alone; the agent fills it.
#[map]
static TLS_EXCLUDED: LruHashMap<u32, u8> = LruHashMap::with_max_entries(1, 0);

fn key(session: u64) -> SessionKey {
    SessionKey {
        session,
        tgid: Caller::thread().tgid,
    }
}

/// The call that this thread, or the goroutine that it runs, is in.
#[inline(always)]
fn present_call() -> Option<&'static mut Call> {
    let call = match TLS_CALLS.get_ptr_mut(Caller::thread()) {
        Some(call) => call,
        None => TLS_CALLS.get_ptr_mut(Caller::goroutine(calling_goroutine()?))?,
    };
    // SAFETY: a value of this caller alone.
    Some(unsafe { &mut *call })
}

/// Whether this thread is inside a call of a library.
#[inline(always)]
pub(crate) fn is_inside() -> bool {
    constant!(SETTINGS.tls) != 0 && present_call().is_some()
}

/// A socket has moved ciphertext.
#[inline(never)]
pub(crate) fn moved(connection: &Connection, direction: u8) {
    if constant!(SETTINGS.tls) == 0 {
        return;
    }
    if let Some(call) = present_call() {
        call.cookie = connection.cookie;
        call.ring = u32::from(connection.ring);
        return;
    }
    if direction == INGRESS {
        arrived(Caller::thread(), connection);
    }
}

/// A thread deals with this connection: it has received from it.
#[inline(always)]
pub(crate) fn arrived(thread: Caller, connection: &Connection) {
    let arrival = Arrival {
        cookie: connection.cookie,
        ring: u32::from(connection.ring),
        fresh: 1,
    };
    match TLS_ARRIVALS.get_ptr_mut(thread) {
        // SAFETY: a value of this thread alone.
        Some(known) => unsafe { *known = arrival },
        None => TLS_ARRIVALS.insert(thread, arrival, 0).unwrap_or(()),
    }
}

/// The current process was copied to `child`: that is let alone, too, or not.
#[inline(always)]
pub(crate) fn copied(child: *const c_void) {
    let child: u32 = read(child, constant!(OFFSETS.task_tgid)).unwrap_or(0);
    let parent = Caller::thread().tgid as u32;
    if constant!(SETTINGS.tls) == 0 || child == parent {
        return;
    }
    let done = if TLS_EXCLUDED.get_ptr(parent).is_some() {
        TLS_EXCLUDED.insert(child, 1, 0)
    } else {
        TLS_EXCLUDED.remove(child)
    };
    // Most are not in it.
    done.unwrap_or(());
}

/// Whether calls of a process are looked at.
#[inline(always)]
pub(crate) fn is_watched(caller: Caller) -> bool {
    let tgid = caller.tgid as u32;
    tgid != constant!(SETTINGS.own_tgid) && TLS_EXCLUDED.get_ptr(tgid).is_none() && in_scope()
}

/// A call starts that writes `len` bytes, or fails for good. When its socket is known, they are told at once: the socket
/// may be closed, by another goroutine, before the call returns.
#[inline(always)]
pub(crate) fn write<const LOOP: bool>(caller: Caller, session: u64, buffer: u64, len: u64) {
    own_stack();
    let Some(known) = TLS_SESSIONS.get_ptr_mut(key(session)) else {
        return enter(caller, CallKind::Write, Transport::Session, session, buffer, 0);
    };
    if len == 0 || len > u64::from(u32::MAX >> 1) || !is_watched(caller) {
        return;
    }
    let Some((slot, scratch)) = claim::<LOOP>() else {
        if let Some(counters) = counters(Slot::Tls) {
            counters.add(Counter::TlsBusyOperations, 1);
        }
        return;
    };
    // SAFETY: a value of the map; calls that write to one session do not overlap.
    let session = unsafe { &mut *known };
    if let Some(counters) = counters(slot) {
        counters.add(Counter::TlsOperations, 1);
        if !session.is(STATE_MUTED) {
            let text = Plaintext {
                address: buffer,
                len: len as u32,
                slices: 0,
                direction: EGRESS,
            };
            plaintext::<LOOP>(session, scratch, counters, slot, text);
        }
    }
    scratch.claimed = 0;
}

/// A call starts.
#[inline(always)]
pub(crate) fn enter(
    caller: Caller,
    kind: CallKind,
    transport: Transport,
    session: u64,
    buffer: u64,
    length_at: u64,
) {
    own_stack();
    if !is_watched(caller) {
        return;
    }
    // Reading and writing may shake hands by a function that is watched, too.
    if kind == CallKind::Handshake && TLS_CALLS.get_ptr(caller).is_some() {
        return;
    }
    let call = Call {
        session,
        buffer,
        length_at,
        kind: kind as u32,
        transport: transport as u32,
        reserved: 0,
        ring: 0,
        cookie: 0,
    };
    TLS_CALLS.insert(caller, call, 0).unwrap_or(());
}

/// A call returns.
#[inline(always)]
pub(crate) fn leave<const LOOP: bool>(caller: Caller, result: i32, returned: Returned) {
    own_stack();
    let Some(call) = TLS_CALLS.get_ptr(caller) else {
        if returned == Returned::Moved
            && result > 0
            && is_watched(caller)
            && let Some(counters) = counters(Slot::Tls)
        {
            counters.add(Counter::TlsForgottenCalls, 1);
        }
        return;
    };
    // SAFETY: a value of this caller alone.
    let call = unsafe { *call };
    if (call.kind == CallKind::Handshake as u32) != (returned == Returned::Handshake) {
        return;
    }
    TLS_CALLS.remove(caller).unwrap_or(());
    let Some((slot, scratch)) = claim::<LOOP>() else {
        if let Some(counters) = counters(Slot::Tls) {
            counters.add(Counter::TlsBusyOperations, 1);
        }
        return;
    };
    if let Some(counters) = counters(slot) {
        conclude::<LOOP>(&call, result, caller, slot, scratch, counters);
    }
    scratch.claimed = 0;
}

/// The session is gone; its address may be another's next.
#[inline(always)]
pub(crate) fn forget(session: u64) {
    // One that was never bound is not an error.
    TLS_SESSIONS.remove(key(session)).unwrap_or(());
}

#[inline(always)]
fn conclude<const LOOP: bool>(
    call: &Call,
    result: i32,
    caller: Caller,
    slot: Slot,
    scratch: &mut Scratch,
    counters: &mut Counters,
) {
    let session = bind(call, caller, scratch);
    if call.kind == CallKind::Handshake as u32 || result <= 0 {
        return;
    }
    let len = length(call, result);
    if len == 0 || (session.is_none() && call.is_of_file()) {
        return;
    }
    counters.add(Counter::TlsOperations, 1);
    let Some(session) = session else {
        counters.add(Counter::TlsUnboundOperations, 1);
        return counters.add(Counter::TlsUnboundBytes, u64::from(len));
    };
    if session.is(STATE_MUTED) {
        return;
    }
    let text = Plaintext {
        address: call.buffer,
        len,
        slices: 0,
        direction: if call.kind == CallKind::Write as u32 {
            EGRESS
        } else {
            INGRESS
        },
    };
    plaintext::<LOOP>(session, scratch, counters, slot, text);
}

/// Bytes that a call moved.
#[inline(always)]
fn length(call: &Call, result: i32) -> u32 {
    if call.length_at == 0 {
        return result as u32;
    }
    let mut len = 0_u64;
    // SAFETY: the destination is on the stack with this size; the helper checks the source.
    let status = unsafe {
        bpf_probe_read_user(
            (&raw mut len).cast(),
            8,
            call.length_at as *const core::ffi::c_void,
        )
    };
    if succeeded(status) && len <= u64::from(u32::MAX >> 1) {
        len as u32
    } else {
        0
    }
}

/// The session of a call, with what the call says about its socket taken into account.
#[inline(always)]
fn bind(call: &Call, caller: Caller, scratch: &mut Scratch) -> Option<&'static mut Connection> {
    let key = key(call.session);
    let known = TLS_SESSIONS.get_ptr_mut(key);
    // SAFETY: null or a value of the map; calls for one session do not overlap.
    let known = known.map(|pointer| unsafe { &mut *pointer });
    let (cookie, ring, state) = if call.cookie != 0 {
        (call.cookie, call.ring, STATE_DIRECT)
    } else if call.is_of_file() {
        return known;
    } else if let Some(arrival) = TLS_ARRIVALS.get_ptr_mut(caller) {
        // SAFETY: a value of this thread alone.
        let arrival = unsafe { &mut *arrival };
        if arrival.fresh == 0 {
            return known;
        }
        arrival.fresh = 0;
        (arrival.cookie, arrival.ring, 0)
    } else {
        return known;
    };
    if let Some(session) = known {
        let moved = session.position[0] | session.position[1] != 0;
        if session.cookie == cookie || (state == 0 && (moved || session.is(STATE_DIRECT))) {
            session.state |= state;
            return Some(session);
        }
    }
    // SAFETY: scratch data is larger than a connection; its bytes are plain integers.
    let fresh = unsafe { &mut *scratch.data.as_mut_ptr().cast::<Connection>() };
    *fresh = Connection::EMPTY;
    fresh.cookie = cookie;
    fresh.ring = ring as u8;
    fresh.last_direction = crate::connection::NO_DIRECTION;
    fresh.state = STATE_INITIALISED | STATE_ANNOUNCED | STATE_UNTOLD | state;
    TLS_SESSIONS.insert(key, &*fresh, 0).ok()?;
    // SAFETY: null or a value of the map.
    TLS_SESSIONS
        .get_ptr_mut(key)
        .map(|pointer| unsafe { &mut *pointer })
}

/// What a thread received last, unless a call has followed; with `take`, one has now.
#[inline(always)]
pub(crate) fn fresh_arrival(caller: Caller, take: bool) -> Option<Arrival> {
    let arrival = TLS_ARRIVALS.get_ptr_mut(caller)?;
    // SAFETY: a value of this thread alone.
    let arrival = unsafe { &mut *arrival };
    let present = *arrival;
    if take {
        arrival.fresh = 0;
    }
    (present.fresh != 0).then_some(present)
}

/// Takes a slot of this processor that no preempted program has.
#[inline(always)]
pub(crate) fn claim<const LOOP: bool>() -> Option<(Slot, &'static mut Scratch)> {
    for slot in [Slot::Tls, Slot::TlsSecond, Slot::TlsThird, Slot::TlsFourth] {
        let scratch = scratch(slot)?;
        if exchange::<LOOP>(&mut scratch.claimed) == 0 {
            return Some((slot, scratch));
        }
    }
    None
}

/// Sets a word to one and gives what it was, at once where programs can be preempted. At probes they can from 6.0 on, long
/// after loops (5.17); and 5.10 refuses a program that holds an exchange, even where it is never reached.
#[inline(always)]
fn exchange<const LOOP: bool>(word: &mut u64) -> u64 {
    if !LOOP {
        return core::mem::replace(word, 1);
    }
    let mut value = 1_u64;
    // SAFETY: an aligned word of a map value, swapped with a register.
    unsafe {
        core::arch::asm!(
            "{value} = xchg_64({word} + 0, {value})",
            value = inout(reg) value,
            word = in(reg) &raw mut *word,
            options(nostack)
        );
    }
    value
}
