//! Connections that come and go as fast as they can, and what is left of them.

use std::{
    collections::HashMap,
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{
    clock::monotonic_ns,
    event::{Address, Direction, SocketId},
};
use apiarist_common::counter::{Counter, Kind};

use super::{
    extent::{in_guest, is_long},
    kernel_memory,
    observer::{Log, Observer, SocketLog, deadline},
    pair::{receive, receive_all, send, send_all},
    story::{ok, post, reconcile},
};

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
pub(super) fn lost(observer: &Observer) -> u64 {
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
pub(super) fn losses(observer: &Observer, before: u64) -> String {
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

/// Connections of [`no_growth`]; a million with `APIARIST_LONG_TESTS=1`, fewer on an emulated processor.
const SEQUENCE: usize = 20_000;
const LONG_SEQUENCE: usize = 1_000_000;
const GUEST_SEQUENCE: usize = 4_000;

/// Memory that may come and go by itself, bytes. The state of [`SEQUENCE`] pairs of sockets would be over twice that, and
/// that of [`LONG_SEQUENCE`] a hundred times: a long run wants a host on which nothing else starts and ends.
const SLACK_BYTES: u64 = 6 << 20;

/// What the kernel keeps of closed connections by itself for a minute, `tcp_max_tw_buckets` of them: after a million, tens of
/// megabytes.
const LINGER: Duration = Duration::from_secs(90);

/// Slack in a guest, where nothing else runs.
const GUEST_SLACK_BYTES: u64 = 1 << 20;

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
    let until = deadline(if is_long() {
        LINGER
    } else {
        super::observer::PATIENCE
    });
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
