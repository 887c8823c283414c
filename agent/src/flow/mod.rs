//! From socket events to exchanges: connections, their order, their ends, and both ends of the same one.
//!
//! In: [`SocketEvent`]s of many sockets, those of one socket in order, and the passing of time. Out:
//! [`Exchange`]s. Gaps are made explicit here; what they mean is the protocol's business. A connection between two
//! processes of this host is observed twice and told once, by the server's end, with the client's process named.
//! Refuses to grow without bound: see [`Limits`].

mod account;
mod announcement;
mod connection;
mod held;
mod hello;
mod limits;
mod opening;
mod processes;
mod stats;
mod stream;
mod told;
mod translated;
mod twins;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::FixedState;

pub use account::{Account, Occasion, Tls};
pub use limits::Limits;
pub use stats::Stats;
pub use translated::End;

use crate::{
    clock::Timestamp,
    event::{Address, ProcessRef, SocketClose, SocketCount, SocketData, SocketEvent, SocketId, SocketOpen},
    exchange::{Exchange, Side},
    protocol::{http1::Reuse, recognise, redact::Redactor},
};
use connection::{Conn, Environment};
use held::Held;
use processes::Processes;
use twins::Twins;

/// How long the rest of an operation may still be told by further events of it.
const PROMISE_NS: u64 = 50_000_000;

/// After so long a connection that goes on is accounted for.
const ACCOUNT: Duration = Duration::from_secs(30);

/// Connections that one sweep for idle ones looks at.
const SWEEP: usize = 256;

/// All connections of one source, or of one shard of it. Both ends of a connection must go to the same shard.
#[derive(Debug)]
pub struct Flows {
    limits: Limits,
    redactor: Redactor,
    stats: Stats,
    reuse: Reuse,
    // Socket ids are numbered by the kernel: nobody chooses them to collide.
    connections: HashMap<SocketId, Box<Conn>, FixedState>,
    accounts: Vec<Account>,
    processes: Processes,
    twins: Twins,
    /// Addresses may be translated between the ends of a connection.
    translates: bool,
    /// The source can be asked to leave sockets alone.
    leaves_out: bool,
    /// Sockets that it is to be asked for.
    told: Vec<SocketId>,
    /// Sockets without a twin that wait for the table of translations.
    strangers: Vec<SocketId>,
    /// Connections with exchanges under way, by when they are to be looked at.
    waiting: VecDeque<(Timestamp, SocketId)>,
    /// Connections with operations told in part.
    promises: VecDeque<(Timestamp, SocketId)>,
    held: VecDeque<Held>,
    /// All connections in the order in which they were looked at last, with when they were active then.
    clock: VecDeque<(Timestamp, SocketId)>,
}

macro_rules! environment {
    ($flows:ident, $out:ident) => {
        Environment {
            limits: &$flows.limits,
            redactor: &$flows.redactor,
            stats: &mut $flows.stats,
            reuse: &mut $flows.reuse,
            out: $out,
        }
    };
}

impl Flows {
    /// Without connections.
    pub fn new(limits: Limits, redactor: Redactor) -> Self {
        Self {
            limits,
            redactor,
            stats: Stats::default(),
            reuse: Reuse::default(),
            connections: HashMap::default(),
            accounts: Vec::new(),
            processes: Processes::default(),
            twins: Twins::default(),
            translates: false,
            leaves_out: false,
            told: Vec::new(),
            strangers: Vec::new(),
            waiting: VecDeque::new(),
            promises: VecDeque::new(),
            held: VecDeque::new(),
            clock: VecDeque::new(),
        }
    }

    /// Reckons with another budget of the source from now on; see [`Limits::budget_bytes`].
    pub fn set_budget(&mut self, budget_bytes: u64) {
        self.limits.budget_bytes = budget_bytes;
    }

    /// Takes one event; exchanges that it completes are appended to `out`.
    pub fn event(&mut self, event: &SocketEvent<'_>, out: &mut Vec<Exchange>) {
        self.stats.socket_events += 1;
        match event {
            SocketEvent::Open(open) => self.open(open, out),
            SocketEvent::Data(data) => self.data(data, out),
            SocketEvent::Count(count) => self.count(count),
            SocketEvent::Close(close) => self.close(close, out),
        }
    }

    /// Lets time pass: to be called about every 100 ms of event time, also when no events come.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<Exchange>) {
        self.keep_promises(now.0.saturating_sub(PROMISE_NS), out);
        let count = self.waiting.len();
        for _ in 0..count {
            let Some(&(due, socket)) = self.waiting.front() else {
                break;
            };
            if due > now {
                break;
            }
            self.waiting.pop_front();
            self.check_idle(socket, now, out);
        }
        while self.held.front().is_some_and(|held| held.until <= now) {
            self.release(out);
        }
        self.sweep(now, out);
    }

    /// The end of the input: emits all that is pending and forgets all connections.
    pub fn finish(&mut self, now: Timestamp, out: &mut Vec<Exchange>) {
        self.tick(now, out);
        self.keep_promises(u64::MAX, out);
        let mut sockets: Vec<SocketId> = self.connections.keys().copied().collect();
        sockets.sort_unstable();
        for socket in &sockets {
            if let Some(conn) = self.connections.get_mut(socket)
                && !conn.closed
            {
                let start = out.len();
                conn.end(&mut environment!(self, out));
                self.deliver(*socket, start, out);
            }
        }
        while !self.held.is_empty() {
            self.release(out);
        }
        for socket in sockets {
            self.remove(socket);
        }
        self.waiting.clear();
        self.promises.clear();
        self.strangers.clear();
        self.clock.clear();
    }

    /// What went through connections, as far as it has become known since the last call: of all that were closed, and of those
    /// that go on for long.
    pub fn take_accounts(&mut self) -> Vec<Account> {
        std::mem::take(&mut self.accounts)
    }

    /// What was seen and what was not.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Connections known at present.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Bytes of memory that connections take, roughly. Looks at each of them.
    pub fn memory(&self) -> usize {
        self.connections.values().map(|conn| conn.memory()).sum::<usize>()
            + self.connections.capacity() * size_of::<(SocketId, Box<Conn>)>()
            + self.clock.capacity() * size_of::<(Timestamp, SocketId)>()
            + self.held.len() * size_of::<Held>()
    }

    fn open(&mut self, open: &SocketOpen, out: &mut Vec<Exchange>) {
        match self.connections.get(&open.socket) {
            None => {}
            // Announced first for its ciphertext: its plaintext takes the place.
            Some(conn) if open.tls && !conn.is_tls() => self.end(open, out),
            // Announced twice, by the list of existing sockets and by its first use.
            Some(_) => return,
        }
        self.stats.connections_opened += 1;
        self.insert(open.clone(), out);
        let connections = &self.connections;
        let twin = self.twins.enter(open, |socket| connections.contains_key(&socket));
        if let Some(twin) = twin {
            self.pair(open.socket, twin);
            self.settle(open.socket, out);
            self.settle(twin, out);
        } else {
            self.enter_stranger(open.socket);
        }
    }

    /// Ends a connection whose socket goes on as another one.
    fn end(&mut self, open: &SocketOpen, out: &mut Vec<Exchange>) {
        if let Some(conn) = self.connections.get_mut(&open.socket) {
            let start = out.len();
            conn.end(&mut environment!(self, out));
            self.deliver(open.socket, start, out);
            self.remove(open.socket);
        }
    }

    fn insert(&mut self, open: SocketOpen, out: &mut Vec<Exchange>) {
        if self.connections.len() >= self.limits.connections {
            self.make_room(out);
        }
        let (at, socket) = (open.at, open.socket);
        let process = self.processes.share(&open.process);
        self.connections
            .insert(socket, Box::new(Conn::new(open, process)));
        // Two looks per insertion keep the queue from filling up with closed connections.
        for _ in 0..2 {
            if let Some((seen, old)) = self.clock.pop_front()
                && self.connections.contains_key(&old)
            {
                self.clock.push_back((seen, old));
            }
        }
        self.clock.push_back((at, socket));
    }

    /// Makes two sockets each other's twins, unless the other is taken by one that is still there.
    fn pair(&mut self, socket: SocketId, twin: SocketId) {
        let taken = self
            .connections
            .get(&twin)
            .is_none_or(|conn| conn.twin.as_ref().is_some_and(|t| t.socket != socket));
        if taken {
            return;
        }
        let (Some(own), Some(other)) = (self.connections.get(&socket), self.connections.get(&twin)) else {
            return;
        };
        let (own, own_tells) = (Arc::clone(&own.process), own.tells);
        let (other, other_tells) = (Arc::clone(&other.process), other.tells);
        if let Some(conn) = self.connections.get_mut(&socket) {
            conn.set_twin(twin, other, other_tells);
        }
        if let Some(conn) = self.connections.get_mut(&twin) {
            conn.set_twin(socket, own, own_tells);
        }
        self.stats.paired_connections += 1;
    }

    fn data(&mut self, data: &SocketData<'_>, out: &mut Vec<Exchange>) {
        let conn = match self.connections.get_mut(&data.socket) {
            Some(conn) => conn,
            None => {
                self.stats.connections_unknown += 1;
                self.insert(unknown(data), out);
                let Some(conn) = self.connections.get_mut(&data.socket) else {
                    return;
                };
                conn.alone = true;
                conn
            }
        };
        let start = out.len();
        conn.data(data, &mut environment!(self, out));
        if !conn.scheduled && conn.is_waiting() {
            conn.scheduled = true;
            self.waiting
                .push_back((data.at.after(self.limits.idle), data.socket));
        }
        if !conn.promised && conn.has_promise() {
            conn.promised = true;
            self.promises.push_back((data.at, data.socket));
        }
        let is_told = conn.is_told && !conn.is_left_out;
        self.deliver(data.socket, start, out);
        if is_told && self.leaves_out {
            self.leave_out(data.socket);
        }
    }

    fn count(&mut self, count: &SocketCount) {
        if let Some(conn) = self.connections.get_mut(&count.socket) {
            conn.count(count);
        }
    }

    fn close(&mut self, close: &SocketClose, out: &mut Vec<Exchange>) {
        let Some(conn) = self.connections.get_mut(&close.socket) else {
            return;
        };
        self.stats.connections_closed += 1;
        let start = out.len();
        let account = conn.closed(close, &mut environment!(self, out));
        if self.accounts.len() < account::MAX_ACCOUNTS {
            self.accounts.push(account);
        } else {
            self.stats.closed_full += 1;
        }
        self.deliver(close.socket, start, out);
        self.forget(close.socket);
    }

    /// Removes a connection, now or when its held exchanges are decided.
    fn forget(&mut self, socket: SocketId) {
        let Some(conn) = self.connections.get_mut(&socket) else {
            return;
        };
        if conn.held > 0 {
            conn.closed = true;
        } else {
            self.remove(socket);
        }
    }

    fn remove(&mut self, socket: SocketId) {
        let Some(conn) = self.connections.remove(&socket) else {
            return;
        };
        let (local, remote, netns) = conn.addresses();
        self.twins.leave(socket, local, remote, netns);
        if let Some(peer) = conn.peer {
            self.twins.stop_waiting(socket, peer);
        }
    }

    /// Passes on the exchanges of one socket that were appended to `out` from `start` on, by role and twin.
    fn deliver(&mut self, socket: SocketId, start: usize, out: &mut Vec<Exchange>) {
        let count = out.len().saturating_sub(start);
        // Most events complete no exchange.
        if count == 0 {
            return;
        }
        let Some(conn) = self.connections.get_mut(&socket) else {
            return;
        };
        // The other end may have shown itself after the exchange began.
        for exchange in out.iter_mut().skip(start) {
            conn.bring_up_to_date(exchange);
            self.stats.coding_cut += recognise::decode(exchange);
            recognise::name(exchange);
        }
        conn.count_whole(out.get(start..).unwrap_or_default());
        let awaits_caller = conn.awaits_caller();
        if conn.side() == Some(Side::Client) {
            let (tells, silent) = conn
                .twin
                .as_ref()
                .map_or((false, false), |twin| (twin.tells, twin.silent));
            let expected = conn.twin.is_some() || conn.is_local() || conn.is_stranger;
            if tells {
                self.stats.suppressed_exchanges += count as u64;
                out.truncate(start);
                return;
            }
            if expected && !silent {
                self.hold(socket, start, out);
                return;
            }
        } else if !conn.tells && out.iter().skip(start).any(is_whole) {
            conn.tells = true;
            let twin = conn.twin.as_ref().map(|twin| twin.socket);
            if let Some(twin) = twin.and_then(|twin| self.connections.get_mut(&twin))
                && let Some(back) = &mut twin.twin
                && back.socket == socket
            {
                back.tells = true;
            }
        }
        if awaits_caller {
            self.hold(socket, start, out);
        } else {
            self.stats.exchanges += count as u64;
        }
    }

    fn keep_promises(&mut self, before: u64, out: &mut Vec<Exchange>) {
        while let Some(&(since, socket)) = self.promises.front() {
            if since.0 > before {
                break;
            }
            self.promises.pop_front();
            if let Some(conn) = self.connections.get_mut(&socket) {
                conn.promised = false;
                let start = out.len();
                conn.keep_promises(&mut environment!(self, out));
                self.deliver(socket, start, out);
            }
        }
    }

    /// Ends what may be over on a connection without events.
    fn check_idle(&mut self, socket: SocketId, now: Timestamp, out: &mut Vec<Exchange>) {
        let Some(conn) = self.connections.get_mut(&socket) else {
            return;
        };
        let start = out.len();
        let mut due = conn.last.after(self.limits.idle);
        if due <= now {
            conn.idle(&mut environment!(self, out));
            self.stats.idle_exchanges += (out.len() - start) as u64;
            due = now.after(self.limits.idle);
        }
        conn.scheduled = conn.is_waiting();
        if conn.scheduled {
            self.waiting.push_back((due, socket));
        }
        self.deliver(socket, start, out);
    }

    /// Gives accounts of connections that go on, and forgets unix connections that have been idle for long.
    fn sweep(&mut self, now: Timestamp, out: &mut Vec<Exchange>) {
        for _ in 0..SWEEP.min(self.clock.len()) {
            let Some((seen, socket)) = self.clock.pop_front() else {
                return;
            };
            if seen.after(ACCOUNT) > now {
                // Looked at not long ago; later ones get their look in turn.
                self.clock.push_back((seen, socket));
                continue;
            }
            let Some(conn) = self.connections.get_mut(&socket) else {
                continue;
            };
            if self.accounts.len() < account::MAX_ACCOUNTS {
                self.accounts.extend(conn.account());
            }
            let is_unix = matches!(conn.addresses().0, Address::Unix(_));
            if is_unix && conn.last.after(self.limits.unix_idle) <= now {
                self.evict(socket, out);
            } else {
                self.clock.push_back((conn.last, socket));
            }
        }
    }

    /// Evicts a connection that was not active since it was looked at last, or after some tries any.
    fn make_room(&mut self, out: &mut Vec<Exchange>) {
        let mut tries = 64;
        while let Some((seen, socket)) = self.clock.pop_front() {
            let Some(conn) = self.connections.get(&socket).filter(|conn| !conn.closed) else {
                continue;
            };
            if conn.last <= seen || tries == 0 {
                self.evict(socket, out);
                return;
            }
            tries -= 1;
            self.clock.push_back((conn.last, socket));
        }
    }

    fn evict(&mut self, socket: SocketId, out: &mut Vec<Exchange>) {
        self.stats.connections_evicted += 1;
        if let Some(conn) = self.connections.get_mut(&socket) {
            let start = out.len();
            conn.end(&mut environment!(self, out));
            self.deliver(socket, start, out);
            self.forget(socket);
        }
    }
}

/// Whether the server's end would have told this exchange.
fn is_whole(exchange: &Exchange) -> bool {
    exchange.request.is_some() && exchange.response.is_some()
}

/// A socket whose announcement was lost.
fn unknown(data: &SocketData<'_>) -> SocketOpen {
    SocketOpen {
        socket: data.socket,
        at: data.at,
        local: Address::Unix(String::new()),
        remote: Address::Unix(String::new()),
        netns: 0,
        process: ProcessRef {
            pid: data.pid,
            start_ns: 0,
            cgroup: 0,
            comm: Default::default(),
        },
        peer: None,
        joined_late: data.position > 0,
        tls: false,
        positions: [0; 2],
    }
}

#[cfg(test)]
mod tests;
