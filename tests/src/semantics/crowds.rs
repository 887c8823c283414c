//! Many connections, fast ones, and more than the ring holds.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{
    capture::load::LoadOptions,
    clock::monotonic_ns,
    event::{Address, Direction, SocketId},
    exchange::Completeness,
};
use apiarist_common::counter::{Counter, Kind};
use rustix::{
    net::{AddressFamily, RecvFlags, SendFlags, SocketType},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::{
    kernel_memory,
    observer::{Log, OPTIONS, Observer, SocketLog, deadline},
    pair::{Ids, Pair, Transport, cookie, receive, receive_all, send, send_all},
    skip,
    story::{Story, carry, get, ok, post, reconcile},
    stream::Stream,
    sys,
};

/// Connections at the same time.
const CROWD: usize = 10_000;

/// Requests that await their answers at the same time: fewer than a listener queues.
const TOGETHER: usize = 100;

/// Connections made before the next look at the ring.
const BATCH: usize = 250;

/// Descriptors besides the connections.
const SPARE_DESCRIPTORS: u64 = 200;

/// Lets this process and its children open so many connections.
fn raise_descriptors(connections: usize) -> Result<()> {
    let wanted = connections as u64 + SPARE_DESCRIPTORS;
    let present = getrlimit(Resource::Nofile);
    if present.current.is_none_or(|limit| limit >= wanted) {
        return Ok(());
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum: present.maximum.map(|maximum| maximum.max(wanted)),
    };
    setrlimit(Resource::Nofile, limit).map_err(|error| skip(format!("cannot open {wanted} files: {error}")))
}

/// Exchanges of one client, the second when all clients are connected. Without allocation, for a forked process.
fn be_the_crowd(address: SocketAddr, requests: &[Vec<u8>], response: &[u8]) -> bool {
    const NONE: Option<OwnedFd> = None;
    let mut sockets = [NONE; CROWD];
    let mut room = [0; 1_024];
    // Answers are awaited by the hundred, not one by one: each wait changes the process, which costs a guest milliseconds.
    let mut exchange = |sockets: &[Option<OwnedFd>], requests: &[Vec<u8>]| {
        let sockets = || sockets.iter().flatten();
        let sent = sockets().zip(requests).all(|(socket, request)| {
            rustix::net::send(socket, request, SendFlags::NOSIGNAL) == Ok(request.len())
        });
        sent && sockets().all(|socket| {
            rustix::net::recv(socket, &mut room, RecvFlags::empty())
                .is_ok_and(|(_, len)| len == response.len())
        })
    };
    for (sockets, requests) in sockets.chunks_mut(TOGETHER).zip(requests.chunks(TOGETHER)) {
        for socket in sockets.iter_mut() {
            let Ok(made) = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None) else {
                return false;
            };
            if rustix::net::connect(&made, &address).is_err() {
                return false;
            }
            *socket = Some(made);
        }
        if !exchange(sockets, requests) {
            return false;
        }
    }
    let batches = sockets.chunks(TOGETHER).zip(requests.chunks(TOGETHER));
    batches
        .into_iter()
        .all(|(sockets, requests)| exchange(sockets, requests))
}

/// All clients live in another process: one alone may not open so many files.
pub(super) fn connections_10_000(observer: &mut Observer) -> Result<()> {
    raise_descriptors(CROWD)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let requests: Vec<_> = (0..CROWD).map(get).collect();
    let response = ok(64);
    let child = sys::fork(|| be_the_crowd(address, &requests, &response))?;
    let mut servers = Vec::new();
    let serve = |server: &OwnedFd, request: &[u8]| -> Result<()> {
        ensure!(receive_all(server, request.len(), receive)? == request, "bytes");
        send_all(server, &response, send)
    };
    for (number, request) in requests.iter().enumerate() {
        let (server, client) = listener.accept()?;
        let server = OwnedFd::from(server);
        // Asked before the first byte: kernels before 5.12 tell the programs only cookies that exist already.
        let id = cookie(&server)?;
        serve(&server, request)?;
        servers.push((server, id, client.port()));
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    for (number, ((server, ..), request)) in servers.iter().zip(&requests).enumerate() {
        serve(server, request)?;
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    let pid = child.pid();
    child.succeed()?;
    let mut ended = Vec::new();
    for (number, (server, id, port)) in servers.into_iter().enumerate() {
        ended.push((id, port));
        drop(server);
        if number % BATCH == 0 {
            observer.drain()?;
        }
    }
    let clients: HashMap<Address, SocketId> = observer
        .log()
        .values()
        .flat_map(|log| &log.opens)
        .filter(|open| open.process.pid == pid)
        .map(|open| (open.local.clone(), open.socket))
        .collect();
    for ((server, port), request) in ended.into_iter().zip(&requests) {
        let client = clients.get(&Address::Ip(address.ip(), port));
        let ids = Ids {
            client: *client.with_context(|| format!("the client of port {port} was not seen"))?,
            server,
            closes: true,
        };
        let mut story = Story::default();
        for _ in 0..2 {
            story.tell(Direction::Egress, request);
            story.tell(Direction::Ingress, &response);
        }
        story.verify_events(observer, ids)?;
    }
    Ok(())
}

/// Client threads of [`churn`].
const CHURNERS: usize = 2;

/// Connections that they may be ahead of the auditor. Without a bound two busy processors make them faster than they are
/// looked at, and the ring loses events: rightly, and counted, but that is another test.
const AHEAD: usize = 6_000;

/// How long they go on.
const CHURN: Duration = Duration::from_secs(2);

/// Connections to one listener: well below the number of local ports, which closed connections hold for a minute.
const PER_LISTENER: usize = 4_000;

/// What [`churn_once`] sends for a connection of this number.
fn churn_request(number: usize) -> Vec<u8> {
    post(number, number % 700)
}

/// Connects, exchanges once and closes, over and over; returns how often. Numbers are taken from `next`.
///
/// `audited` connections are through: the rest waits in the ring, which holds [`AHEAD`] of them.
fn churn_until(
    enough: &(dyn Fn() -> bool + Sync),
    next: &AtomicUsize,
    audited: &AtomicUsize,
) -> Result<usize> {
    let mut done = 0;
    let mut listener = TcpListener::bind("127.0.0.1:0")?;
    while !enough() {
        if done % PER_LISTENER == PER_LISTENER - 1 {
            listener = TcpListener::bind("127.0.0.1:0")?;
        }
        if next.load(Ordering::Relaxed) > audited.load(Ordering::Relaxed) + AHEAD {
            std::thread::yield_now();
            continue;
        }
        let number = next.fetch_add(1, Ordering::Relaxed);
        let client = OwnedFd::from(TcpStream::connect(listener.local_addr()?)?);
        let server = OwnedFd::from(listener.accept()?.0);
        let request = churn_request(number);
        send_all(&client, &request, send)?;
        receive_all(&server, request.len(), receive)?;
        let response = ok(number % 900);
        send_all(&server, &response, send)?;
        drop(server);
        receive_all(&client, response.len(), receive)?;
        done += 1;
    }
    Ok(done)
}

/// The number in the request that starts `bytes`.
fn churn_number(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(b"POST /items/")?;
    let end = rest.iter().position(|byte| *byte == b' ')?;
    std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
}

/// Checks the finished sockets in `log` and forgets them; counts both ends of each connection by number.
#[derive(Default)]
struct Auditor {
    ends: HashMap<usize, u8>,
    sockets: usize,
    /// Ends of which the programs counted a loss: anybody's traffic may fill the ring, and a page of the sender's memory may
    /// be on the move when it is read.
    incomplete: usize,
}

impl Auditor {
    /// `lost` events and reads were counted as lost so far.
    fn audit(&mut self, log: &mut Log, lost: u64) -> Result<()> {
        let own = std::process::id();
        let finished: Vec<SocketId> = log
            .iter()
            .filter(|(_, log)| !log.closes.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for id in finished {
            let Some(socket) = log.remove(&id) else { continue };
            // Not ours, or not from this test.
            let Ok(open) = socket.open() else { continue };
            let loopback = matches!(&open.local, Address::Ip(ip, _) if ip.is_loopback());
            if open.process.pid != own || !loopback || open.joined_late {
                continue;
            }
            reconcile(socket.close()?)?;
            match complete(&socket) {
                Ok(number) => *self.ends.entry(number).or_default() += 1,
                Err(_) if (self.incomplete as u64) < lost => self.incomplete += 1,
                Err(error) => return Err(error.context(format!("{socket:?}"))),
            }
            self.sockets += 1;
        }
        Ok(())
    }
}

/// The number of the connection whose end this is, if all of it was captured as it was.
fn complete(socket: &SocketLog) -> Result<usize> {
    let streams = [
        socket.stream(Direction::Egress)?,
        socket.stream(Direction::Ingress)?,
    ];
    let (request, number) = streams
        .iter()
        .find_map(|stream| Some((stream, churn_number(stream.parts.first_bytes())?)))
        .context("no request was captured")?;
    request
        .parts
        .agree_with(&churn_request(number))
        .with_context(|| format!("request {number}"))?;
    let response = if std::ptr::eq(request, &streams[0]) {
        &streams[1]
    } else {
        &streams[0]
    };
    response
        .parts
        .agree_with(&ok(number % 900))
        .with_context(|| format!("response {number}"))?;
    ensure!(
        streams.iter().all(|stream| stream.parts.missing() == 0),
        "connection {number} has gaps"
    );
    Ok(number)
}

/// Losses that the programs have counted and that may show at the end of a socket.
fn lost(observer: &Observer) -> u64 {
    [
        Counter::RingFullEvents,
        Counter::QuotaEvents,
        Counter::FaultOperations,
    ]
    .map(|counter| observer.counter(counter))
    .iter()
    .sum()
}

/// Why events may be missing.
fn losses(observer: &Observer, before: u64) -> String {
    let counted: Vec<_> = observer
        .counters()
        .iter()
        .filter(|(_, kind, value)| *kind == Kind::Loss && *value > 0)
        .map(|(name, _, value)| format!("{name} {value}"))
        .collect();
    format!(
        "{} losses were counted meanwhile, since the start {counted:?}, programs were left out {:?} times",
        lost(observer) - before,
        kernel_memory::missed_runs()
    )
}

/// Runs clients until `enough`, auditing on the way; returns how many connections there were.
fn churning(observer: &mut Observer, enough: impl Fn(usize) -> bool + Sync) -> Result<usize> {
    let before = lost(observer);
    let (next, running) = (AtomicUsize::new(0), AtomicUsize::new(CHURNERS));
    let (failed, audited) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut auditor = Auditor::default();
    let stop = || failed.load(Ordering::Relaxed) || enough(next.load(Ordering::Relaxed));
    let connections = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CHURNERS)
            .map(|_| {
                scope.spawn(|| {
                    let outcome = churn_until(&stop, &next, &audited);
                    running.fetch_sub(1, Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        let outcome = loop {
            let done = running.load(Ordering::Relaxed) == 0;
            if let Err(error) = look_and_audit(observer, &mut auditor, before) {
                failed.store(true, Ordering::Relaxed);
                break Err(error);
            }
            audited.store(auditor.sockets / 2, Ordering::Relaxed);
            if done {
                break Ok(());
            }
        };
        let mut connections = 0;
        for worker in workers {
            connections += worker.join().ok().context("a client panicked")??;
        }
        outcome
            .with_context(|| losses(observer, before))
            .map(|()| connections)
    })?;
    let until = deadline(super::observer::PATIENCE);
    while auditor.sockets < 2 * connections && monotonic_ns() < until {
        look_and_audit(observer, &mut auditor, before)?;
    }
    let both = auditor.ends.values().filter(|ends| **ends == 2).count();
    let [seen, incomplete] = [auditor.sockets, auditor.incomplete];
    // An end whose announcement or close was lost is not there at all: at most as many as were counted.
    let unseen = (2 * connections).saturating_sub(seen);
    ensure!(
        seen <= 2 * connections
            && (incomplete + unseen) as u64 <= lost(observer) - before
            && connections - both <= incomplete + unseen,
        "of {connections} connections {seen} ends were seen, {incomplete} of them with gaps, of {both} connections \
         both; {}",
        losses(observer, before)
    );
    Ok(connections)
}

fn look_and_audit(observer: &mut Observer, auditor: &mut Auditor, lost_before: u64) -> Result<()> {
    observer.look()?;
    let lost = lost(observer) - lost_before;
    auditor.audit(observer.log_mut(), lost)
}

/// Connections made and closed as fast as two threads can.
pub(super) fn churn(observer: &mut Observer) -> Result<()> {
    let until = deadline(CHURN);
    let connections =
        observer.without_exchanges(|observer| churning(observer, |_| monotonic_ns() > until))?;
    ensure!(connections > 100, "only {connections} connections in {CHURN:?}");
    Ok(())
}

/// Exchanges of [`reconciliation`] over each connection.
const PER_CONNECTION: usize = 50;

/// Exchanges in all; a million with `APIARIST_LONG_TESTS=1`, fewer on an emulated processor.
const EXCHANGES: usize = 20_000;
const LONG_EXCHANGES: usize = 1_000_000;
const GUEST_EXCHANGES: usize = 2_000;

/// Connections that are made before the closed ones are looked at.
const LOOK_EVERY: usize = 20;

/// Over many exchanges, every position is what the socket itself counted, and not a byte is missing.
pub(super) fn reconciliation(observer: &mut Observer) -> Result<()> {
    let exchanges = match (is_long(), in_guest()) {
        (true, _) => LONG_EXCHANGES,
        (false, true) => GUEST_EXCHANGES,
        (false, false) => EXCHANGES,
    };
    observer.without_exchanges(|observer| {
        let mut compared = 0;
        let mut pending = Vec::new();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        for connection in 0..exchanges / PER_CONNECTION {
            let pair = Pair::tcp(&listener, None)?;
            let mut moved = [0; 2];
            for number in 0..PER_CONNECTION {
                let (request, response) = (post(number, 17 * number), ok(31 * number));
                carry(&pair, Direction::Egress, &request, send, receive)?;
                carry(&pair, Direction::Ingress, &response, send, receive)?;
                moved = [moved[0] + request.len() as u64, moved[1] + response.len() as u64];
            }
            let [sent, received] = moved;
            let ids = pair.close();
            pending.extend([(ids.client, [sent, received]), (ids.server, [received, sent])]);
            if connection % LOOK_EVERY == 0 {
                compared += compare_closed(observer, &mut pending)?;
            }
        }
        let until = deadline(super::observer::PATIENCE);
        while !pending.is_empty() && monotonic_ns() < until {
            observer.look()?;
            compared += compare_closed(observer, &mut pending)?;
        }
        ensure!(pending.is_empty(), "{} sockets have no end", pending.len());
        ensure!(
            compared == 2 * (exchanges / PER_CONNECTION),
            "{compared} sockets were compared"
        );
        Ok(())
    })
}

/// Compares the sockets that have ended with what was moved over them, and forgets them; returns how many.
fn compare_closed(observer: &mut Observer, pending: &mut Vec<(SocketId, [u64; 2])>) -> Result<usize> {
    observer.drain()?;
    let log = observer.log_mut();
    let before = pending.len();
    let mut outcome = Ok(());
    pending.retain(|(id, moved)| {
        if log.get(id).is_none_or(|log| log.closes.is_empty()) {
            return true;
        }
        let socket = log.remove(id).unwrap_or_default();
        let compared = socket.close().and_then(|close| {
            ensure!(
                close.positions == *moved,
                "positions are {close:?}, moved were {moved:?}"
            );
            reconcile(close)?;
            for direction in [Direction::Egress, Direction::Ingress] {
                let missing = socket.stream(direction)?.parts.missing();
                ensure!(missing == 0, "{missing} bytes are missing");
            }
            Ok(())
        });
        if outcome.is_ok() {
            outcome = compared;
        }
        false
    });
    outcome?;
    Ok(before - pending.len())
}

/// Whether there is time for the long version of a test.
fn is_long() -> bool {
    std::env::var_os("APIARIST_LONG_TESTS").is_some_and(|value| value == "1")
}

/// Connections of [`no_growth`]; a million with `APIARIST_LONG_TESTS=1`, fewer on an emulated processor.
const SEQUENCE: usize = 20_000;
const LONG_SEQUENCE: usize = 1_000_000;
const GUEST_SEQUENCE: usize = 4_000;

/// Memory that may come and go by itself, bytes. The state of [`SEQUENCE`] pairs of sockets would be over twice that.
const SLACK_BYTES: u64 = 6 << 20;

/// The same in a guest, where nothing else runs.
const GUEST_SLACK_BYTES: u64 = 1 << 20;

/// Whether this is the only process of a test guest.
fn in_guest() -> bool {
    std::process::id() == 1
}

/// What the programs keep of a connection goes with it.
pub(super) fn no_growth(observer: &mut Observer) -> Result<()> {
    observer.without_exchanges(sockets_leave_nothing)
}

fn sockets_leave_nothing(observer: &mut Observer) -> Result<()> {
    let (connections, slack) = match (is_long(), in_guest()) {
        (true, _) => (LONG_SEQUENCE, SLACK_BYTES),
        (false, true) => (GUEST_SEQUENCE, GUEST_SLACK_BYTES),
        (false, false) => (SEQUENCE, SLACK_BYTES),
    };
    // The first ones warm caches up.
    churning(observer, |done| done >= 500)?;
    let maps = kernel_memory::of_own_maps()?;
    let entries = kernel_memory::socket_state()?;
    churning(observer, |done| done >= connections)?;
    let until = deadline(super::observer::PATIENCE);
    loop {
        let (maps_now, entries_now) = (kernel_memory::of_own_maps()?, kernel_memory::socket_state()?);
        if maps_now == maps && entries_now <= entries + slack {
            return Ok(());
        }
        ensure!(
            monotonic_ns() < until,
            "after {connections} connections maps hold {maps_now} bytes, before {maps}; slabs {entries_now}, before \
             {entries}"
        );
        observer.look()?;
    }
}

/// Nobody empties a ring of one page: what does not fit is a gap, and counted, and no exchange that lacks it is complete.
pub(super) fn ring_overflow(_: &mut Observer) -> Result<()> {
    const PAGE: u32 = 4_096;
    let mut observer = Observer::attach_with(LoadOptions {
        ring_bytes: PAGE,
        ..OPTIONS
    })?;
    let pair = Pair::connect(Transport::Tcp4)?;
    let mut told: [Vec<u8>; 2] = Default::default();
    let mut starts = Vec::new();
    for number in 0..100 {
        starts.push([0, 1].map(|direction| told[direction].len() as u64));
        for (direction, bytes) in [
            (Direction::Egress, post(number, 300)),
            (Direction::Ingress, ok(500)),
        ] {
            carry(&pair, direction, &bytes, send, receive)?;
            told[direction.index()].extend(bytes);
        }
        // Two looks in between: what comes after a loss must stand where it belongs.
        if number == 40 || number == 70 {
            observer.drain()?;
        }
    }
    observer.drain()?;
    let bytes = [&get(100), &ok(0)];
    for (direction, bytes) in [Direction::Egress, Direction::Ingress].into_iter().zip(bytes) {
        carry(&pair, direction, bytes, send, receive)?;
        told[direction.index()].extend(bytes);
    }
    observer.drain()?;
    let ids = pair.ids;
    let mut missing = 0;
    let mut ends = Vec::new();
    for (id, directions) in [
        (ids.client, [Direction::Egress, Direction::Ingress]),
        (ids.server, [Direction::Ingress, Direction::Egress]),
    ] {
        let mut streams = Vec::new();
        for (direction, told) in directions.into_iter().zip(&told) {
            let stream = observer.socket(id)?.stream(direction)?;
            ensure!(stream.parts.captured() > 0, "nothing was captured");
            // The announcement may have been lost too, and comes with the first event that fits.
            let rest = &told[stream.start as usize..];
            stream
                .parts
                .agree_with(rest)
                .with_context(|| format!("{direction:?}"))?;
            missing += stream.start + stream.parts.missing();
            streams.push(stream);
        }
        ends.push(streams);
    }
    pair.close();
    let counted = observer.counter(Counter::RingFullBytes) + observer.counter(Counter::QuotaBytes);
    ensure!(
        missing > 0 && counted >= missing,
        "{missing} bytes are gaps, {counted} were counted as lost"
    );
    let mut incomplete = 0;
    for exchange in observer.exchanges([ids.client, ids.server]) {
        if exchange.completeness != Completeness::Complete {
            incomplete += 1;
            continue;
        }
        let target = exchange.request.as_ref().map(|request| &*request.target);
        let number = target.and_then(|target| target.strip_prefix("/items/")?.parse::<usize>().ok());
        let number = number.with_context(|| format!("a complete exchange has the target {target:?}"))?;
        let Some(start) = starts.get(number) else { continue };
        let lens = [post(number, 300).len(), ok(500).len()].map(|len| len as u64);
        let whole = |streams: &Vec<Stream>| {
            let messages = streams.iter().zip(start).zip(lens);
            messages
                .into_iter()
                .all(|((stream, start), len)| stream.has(*start..start + len))
        };
        ensure!(
            ends.iter().any(whole),
            "exchange {number} is told to be complete, but bytes of it are missing"
        );
    }
    ensure!(incomplete > 0, "no exchange is incomplete");
    Ok(())
}
