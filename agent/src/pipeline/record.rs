//! A recording of what the kernel reports, for `apiarist replay`.
//!
//! In: one ring. Out: a file of socket events, in the order of the ring, with what was read inside TLS libraries. Nothing is
//! parsed, so a recording shows what a parser would have been given. A disk that is too slow makes the ring fill up, which the
//! kernel programs count.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufWriter},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use apiarist_common::counter::Kind;
use foldhash::fast::FixedState;
use tokio::sync::oneshot;

use super::{
    Started, join, own_address, past,
    scope::Scope,
    shard::MAX_EXCLUDED,
    spawn, stopped,
    tls::{self, News},
};
use crate::{
    capture::{decode::decode, file::recording::Writer, reader::RingReader},
    clock::Clock,
    config::{self, Config},
    event::{SocketEvent, SocketId},
};

/// Records handled before a stop is looked for.
const DRAIN: u64 = 2048;

/// Longest sleep on an empty ring.
const IDLE: Duration = Duration::from_millis(100);

/// What a recording came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recorded {
    /// Events written.
    pub events: u64,
    /// Payload bytes in them.
    pub bytes: u64,
    /// What the kernel programs could not report, by reason; reasons that did not occur are left out.
    pub lost: Vec<(&'static str, u64)>,
}

/// Records to a file until the duration is over or a signal comes.
///
/// # Errors
/// One sentence: the kernel refuses, or the file cannot be written. What was written before can be replayed.
pub fn record(config: &Config, output: &Path, duration: Option<Duration>) -> Result<Recorded> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let writer = Writer::create(output).with_context(|| format!("cannot create {}", output.display()))?;
    // One ring: the events of a file are in one order.
    let capture = config::Capture {
        shards: 1,
        ..config.capture.clone()
    };
    let Started {
        mut attached,
        mut readers,
        has_loop,
        ..
    } = Started::new(&capture, None)?;
    let reader = readers.pop().context("the kernel gave no ring")?;
    let stop = Arc::new(AtomicBool::new(false));
    let (hint, news) = tls::news();
    let libraries = tls::Work::new(&mut attached, has_loop, &config.capture.tls)?;
    let (processes, waiter) = past::open(&mut attached, libraries.is_some().then(|| hint.clone()))?;
    let mut helpers = Vec::new();
    if let Some(libraries) = libraries {
        let (stop, to_self) = (Arc::clone(&stop), hint.clone());
        helpers.push(spawn("apiarist-tls", move || {
            tls::run(libraries, (to_self, &news), None, &stop);
        })?);
    }
    helpers.push({
        let stop = Arc::clone(&stop);
        spawn("apiarist-past", move || past::run(&processes, waiter, &stop))?
    });
    let work = Work {
        writer,
        hint,
        scope: Scope::new(&capture.scope, own_address(&config.control.socket), None),
        clock: Clock::start(),
        excluded: HashSet::default(),
        bytes: 0,
    };
    let (ended, end) = oneshot::channel::<()>();
    let recorder = {
        let stop = Arc::clone(&stop);
        spawn("apiarist-recorder", move || {
            let result = work.run(reader, &stop);
            // Nobody waits any more if the stop came from there.
            ended.send(()).unwrap_or(());
            result
        })?
    };
    let waited = runtime.block_on(async {
        tokio::select! {
            result = stopped(duration) => result,
            // A recorder that ends by itself has failed, and says why below.
            _ = end => Ok(()),
        }
    });
    stop.store(true, Ordering::Release);
    let (events, bytes) = join(recorder, "the recorder")?
        .with_context(|| format!("cannot write {}: what is in it can be replayed", output.display()))?;
    for helper in helpers {
        join(helper, "a helping")?;
    }
    waited?;
    let counters = attached.counter_map().read();
    let lost = counters
        .iter()
        .filter(|(_, kind, count)| *kind == Kind::Loss && *count > 0);
    Ok(Recorded {
        events,
        bytes,
        lost: lost.map(|(reason, _, count)| (reason, count)).collect(),
    })
}

/// What is done with each record of the ring.
struct Work {
    writer: Writer<BufWriter<File>>,
    /// Processes that may use TLS.
    hint: SyncSender<News>,
    scope: Scope,
    clock: Clock,
    excluded: HashSet<SocketId, FixedState>,
    bytes: u64,
}

impl Work {
    /// Records until told to stop, then empties the ring; returns how many events and payload bytes it wrote.
    fn run(mut self, mut reader: RingReader, stop: &AtomicBool) -> io::Result<(u64, u64)> {
        loop {
            // Read before the ring is emptied: what was written before the stop is not left behind.
            let stopping = stop.load(Ordering::Acquire);
            let mut result = Ok(());
            let drained = reader.drain(DRAIN, |record| {
                if result.is_ok() {
                    result = self.record(record);
                }
            });
            result?;
            if drained == 0 {
                // A recording that is killed is good up to here.
                self.writer.flush()?;
                if stopping {
                    break;
                }
            }
            if drained < DRAIN && !stopping {
                reader.wait(IDLE);
            }
        }
        let events = self.writer.events();
        self.writer.finish()?;
        Ok((events, self.bytes))
    }

    fn record(&mut self, record: &[u8]) -> io::Result<()> {
        // A record that does not decode is of another version of the programs, which loading rules out.
        let Ok(event) = decode(record, &self.clock) else {
            return Ok(());
        };
        match &event {
            SocketEvent::Open(open) if !self.scope.admits(open) => {
                if self.excluded.len() >= MAX_EXCLUDED {
                    self.excluded.clear();
                }
                self.excluded.insert(open.socket);
                return Ok(());
            }
            // A full queue has news enough.
            SocketEvent::Open(open) => {
                let news = News::Connected(open.process.pid);
                self.hint.try_send(news).unwrap_or(());
            }
            SocketEvent::Data(data) => {
                if self.excluded.contains(&data.socket) {
                    return Ok(());
                }
                self.bytes += data.bytes.len() as u64;
            }
            SocketEvent::Count(count) => {
                if self.excluded.contains(&count.socket) {
                    return Ok(());
                }
            }
            SocketEvent::Close(close) => {
                if self.excluded.remove(&close.socket) {
                    return Ok(());
                }
            }
        }
        self.writer.write(&event)
    }
}
