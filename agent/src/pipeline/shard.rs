//! One ring, its connections, and their exchanges.
//!
//! In: records of one ring, parsed where they lie. Out: batches to the core. Waits when the core is behind; the ring then
//! fills up, and what does not fit is counted by the kernel programs.

use std::{
    collections::HashSet,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Duration,
};

use foldhash::fast::FixedState;

use super::{
    batch::{BATCH_BYTES, Batch, MAX_SPENT_LISTS, ToCore, weight},
    scope::Scope,
    tls::News,
};
use crate::{
    capture::{decode::decode, load::Told, reader::RingReader},
    clock::{self, Clock, Timestamp},
    event::{SocketEvent, SocketId},
    exchange::Exchange,
    flow::Flows,
    workload::Translations,
};

/// Records handled before the shard looks after time and its batch, which may grow by them beyond its bound: by a megabyte
/// of exchanges with full bodies.
const DRAIN: u64 = 256;

/// Exchanges of a batch from which the next gets room for as many.
const MANY: usize = 16;

/// Longest sleep while connections are open: what may be over by time is looked at this often.
const TICK: Duration = Duration::from_millis(100);

/// Longest sleep when nothing is open: only so that a stop is noticed.
const IDLE: Duration = Duration::from_millis(500);

/// Sockets outside the scope that are remembered. Overflow policy: all are forgotten, and those still in use show up as
/// connections of unknown origin.
pub(super) const MAX_EXCLUDED: usize = 65_536;

/// Reads one ring.
pub(super) struct Shard {
    reader: RingReader,
    to_core: SyncSender<ToCore>,
    /// Lists of exchanges that the core has done with.
    spent: Receiver<Vec<Exchange>>,
    work: Work,
    /// Only where ends of connections are left out.
    told: Option<Arc<Mutex<Told>>>,
}

/// What the shard does with each record; apart from the reader, which lends the record.
struct Work {
    flows: Flows,
    scope: Scope,
    clock: Clock,
    /// When the last event happened.
    seen: Timestamp,
    excluded: HashSet<SocketId, FixedState>,
    batch: Batch,
    /// Exchanges of the batch that its weight counts.
    weighed: usize,
    weight: usize,
    /// Events that the last batch told of.
    told_events: u64,
    /// Takes ids of processes that may use a TLS library.
    hint: Option<SyncSender<News>>,
    /// The body budget of the configuration.
    budget_bytes: Arc<AtomicU64>,
    translations: Translations,
}

impl Shard {
    pub(super) fn new(
        number: usize,
        reader: RingReader,
        flows: Flows,
        scope: Scope,
        to_core: SyncSender<ToCore>,
        hint: Option<SyncSender<News>>,
        budget_bytes: Arc<AtomicU64>,
    ) -> Self {
        let (back, spent) = sync_channel(MAX_SPENT_LISTS);
        let work = Work {
            flows,
            scope,
            clock: Clock::start(),
            seen: Timestamp(0),
            excluded: HashSet::default(),
            batch: Batch {
                shard: number,
                back: Some(back),
                ..Batch::default()
            },
            weighed: 0,
            weight: 0,
            told_events: 0,
            hint,
            budget_bytes,
            translations: Translations::new(Path::new("/proc")),
        };
        Self {
            reader,
            to_core,
            spent,
            work,
            told: None,
        }
    }

    /// The same, leaving out clients' ends whose servers' ends tell the same.
    pub(super) fn leaving_out(mut self, told: Arc<Mutex<Told>>) -> Self {
        self.work.flows.leave_out_told();
        self.told = Some(told);
        self
    }

    /// Works until told to stop, then empties the ring and ends all connections.
    pub(super) fn run(mut self, stop: &Arc<AtomicBool>) {
        let mut next_tick = 0;
        loop {
            // Read before the ring is emptied: what was written before the stop is not left behind.
            let stopping = stop.load(Ordering::Acquire);
            let work = &mut self.work;
            let now = clock::monotonic_ns();
            let drained = self.reader.drain(DRAIN, |record| work.record(record));
            if now >= next_tick {
                next_tick = now + TICK.as_nanos() as u64;
                // What waits in the ring happened before now: a shard that is behind must not run out of patience.
                let time = match drained < DRAIN {
                    true => work.clock.wall(now),
                    false => work.seen,
                };
                work.flows.set_budget(work.budget_bytes.load(Ordering::Relaxed));
                work.flows.tick(time, &mut work.batch.exchanges);
                work.undo_translations(time);
            }
            self.leave_out();
            let work = &mut self.work;
            work.weigh();
            // Small batches wait for company while more is coming.
            if work.weight >= BATCH_BYTES || (drained < DRAIN && work.has_news()) {
                self.send();
            }
            if stopping && drained == 0 {
                break;
            }
            if drained < DRAIN && !stopping {
                let longest = if self.work.flows.connections() > 0 {
                    TICK
                } else {
                    IDLE
                };
                self.reader.wait(longest);
            }
        }
        let work = &mut self.work;
        work.flows
            .finish(work.clock.wall(clock::monotonic_ns()), &mut work.batch.exchanges);
        self.send();
    }

    /// Passes on which sockets need not be copied any more.
    fn leave_out(&mut self) {
        let Some(told) = &self.told else { return };
        let sockets = self.work.flows.take_told();
        if sockets.is_empty() {
            return;
        }
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in sockets {
            if let Err(error) = told.leave_out(socket.0) {
                tracing::debug!(%error, "a client's end goes on being copied");
            }
        }
    }

    fn send(&mut self) {
        let work = &mut self.work;
        let undone = work.flows.stats().translated_connections;
        work.batch.totals.translations = work.translations.stats(undone);
        work.batch.totals.flow = work.flows.stats().clone();
        work.batch.accounts = work.flows.take_accounts();
        // Much comes after much: exchanges are large, and would be moved each time the list of them grows.
        let room = match work.batch.exchanges.len() {
            many @ MANY.. => many.min(BATCH_BYTES / size_of::<Exchange>()),
            _ => 0,
        };
        let exchanges = match room {
            0 => Vec::new(),
            room => self.spent.try_recv().unwrap_or_else(|_| Vec::with_capacity(room)),
        };
        let next = Batch {
            shard: work.batch.shard,
            exchanges,
            totals: work.batch.totals.clone(),
            back: work.batch.back.clone(),
            ..Batch::default()
        };
        let batch = std::mem::replace(&mut work.batch, next);
        (work.weighed, work.weight) = (0, 0);
        work.told_events = batch.totals.events;
        // A core that is gone has said why already.
        self.to_core.send(ToCore::Batch(Box::new(batch))).unwrap_or(());
    }
}

impl Work {
    /// Whether anything happened since the last batch.
    fn has_news(&self) -> bool {
        self.batch.totals.events != self.told_events || !self.batch.exchanges.is_empty()
    }

    /// Looks at the kernel's table of translated connections, if any connection waits for that.
    fn undo_translations(&mut self, now: Timestamp) {
        let is_kept = self.translations.is_kept(now);
        if is_kept {
            self.flows.expect_translations();
        }
        // Where the table has gone nothing waits any longer.
        if self.flows.awaits_translations() && (self.translations.look(now) || !is_kept) {
            let table = &self.translations;
            self.flows.translate(
                &|local, remote| table.other_end(local, remote),
                &mut self.batch.exchanges,
            );
        }
    }

    fn record(&mut self, record: &[u8]) {
        let totals = &mut self.batch.totals;
        totals.events += 1;
        let event = match decode(record, &self.clock) {
            Ok(event) => event,
            Err(_) => {
                totals.undecodable += 1;
                return;
            }
        };
        self.seen = event.at();
        match &event {
            SocketEvent::Open(open) => {
                if !self.scope.admits(open) {
                    totals.out_of_scope += 1;
                    if self.excluded.len() >= MAX_EXCLUDED {
                        self.excluded.clear();
                    }
                    self.excluded.insert(open.socket);
                    return;
                }
                if let Some(hint) = &self.hint {
                    // A full queue has news enough.
                    hint.try_send(News::Connected(open.process.pid)).unwrap_or(());
                }
                self.batch.processes.push(open.process.clone());
            }
            SocketEvent::Data(data) => {
                if !self.excluded.is_empty() && self.excluded.contains(&data.socket) {
                    return;
                }
                totals.bytes += data.bytes.len() as u64;
            }
            SocketEvent::Count(count) => {
                if self.excluded.contains(&count.socket) {
                    return;
                }
            }
            SocketEvent::Close(close) => {
                if self.excluded.remove(&close.socket) {
                    return;
                }
            }
        }
        self.flows.event(&event, &mut self.batch.exchanges);
    }

    /// Weighs what was added to the batch since the last time.
    fn weigh(&mut self) {
        let added = self.batch.exchanges.iter().skip(self.weighed);
        self.weight += added.map(weight).sum::<usize>();
        self.weighed = self.batch.exchanges.len();
    }
}
