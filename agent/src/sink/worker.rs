//! One sink's thread: read from the spool, deliver, remember; try again later when the collector is away.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, Result};

use super::{
    Counters,
    spool::{Bounds, Reader, Spool},
};

/// First and longest pause after a failure; it doubles in between.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a thread sleeps at the most when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// What is done with a batch of lines: delivers what it wants of them, in order, and says how many that were. On an error
/// the same batch comes again.
pub(super) type Handle = Box<dyn FnMut(&[Vec<u8>]) -> Result<u64> + Send>;

/// A running sink.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    spool: Arc<Spool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts the thread of the reader with this name.
    pub(super) fn start(name: &str, spool: &Arc<Spool>, bounds: Bounds, handle: Handle) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work {
            reader: Reader::new(Arc::clone(spool), name, bounds),
            handle,
            name: name.to_owned(),
            counters: Arc::clone(&counters),
            stop: Arc::clone(&stop),
            failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("apiarist-sink".to_owned())
            .spawn(move || work.run())
            .with_context(|| format!("cannot start the thread of the sink {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            counters,
            stop,
            spool: Arc::clone(spool),
            thread: Some(thread),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lines that are not delivered yet.
    pub(super) fn waiting(&self) -> u64 {
        self.spool.waiting(&self.name)
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Tells it to end when it has delivered what there is, or cannot; does not wait for that.
    pub(super) fn dismiss(&self) {
        self.stop.store(true, Ordering::Release);
        self.spool.wake();
    }

    /// It has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.dismiss();
        // A thread that panicked has said so.
        self.thread.take().map(JoinHandle::join).transpose().ok();
    }
}

struct Work {
    reader: Reader,
    handle: Handle,
    name: String,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    /// The last try failed: said once, not at each.
    failing: bool,
}

impl Work {
    fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            let stopping = self.stop.load(Ordering::Acquire);
            match self.step() {
                Ok(true) => pause = FIRST_PAUSE,
                // Told to stop, with nothing left to deliver.
                Ok(false) if stopping => return,
                Ok(false) => self.reader.wait(IDLE),
                // The next run goes on from here.
                Err(_) if stopping => return,
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(
                            sink = self.name,
                            error = format!("{error:#}"),
                            "a sink cannot be reached; its events wait on disk"
                        );
                    }
                    self.sleep(pause);
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
    }

    /// Delivers one batch; whether there was one.
    fn step(&mut self) -> Result<bool> {
        let batch = self.reader.batch()?;
        if batch.dropped > 0 {
            self.counters.dropped.fetch_add(batch.dropped, Ordering::Relaxed);
            tracing::warn!(
                sink = self.name,
                events = batch.dropped,
                "the spool was full: the oldest events were dropped"
            );
        }
        if batch.lines.is_empty() {
            return Ok(false);
        }
        let sent = (self.handle)(&batch.lines)?;
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!(sink = self.name, "the sink is reached again");
        }
        self.counters.sent.fetch_add(sent, Ordering::Relaxed);
        self.reader.done()?;
        Ok(true)
    }

    /// Sleeps, but not past the wish to stop.
    fn sleep(&self, pause: Duration) {
        let mut left = pause;
        while left > Duration::ZERO && !self.stop.load(Ordering::Acquire) {
            let part = left.min(Duration::from_millis(200));
            std::thread::park_timeout(part);
            left = left.saturating_sub(part);
        }
    }
}
