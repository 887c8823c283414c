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
    Counters, Event,
    deliver::{Deliver, open},
    spool::{Reader, Spool},
    target::{Events, Target},
};

/// First and longest pause after a failure; it doubles in between.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a thread sleeps at the most when there is nothing to do.
const IDLE: Duration = Duration::from_secs(1);

/// A running sink.
#[derive(Debug)]
pub(super) struct Worker {
    name: String,
    events: Events,
    counters: Arc<Counters>,
    stop: Arc<AtomicBool>,
    spool: Arc<Spool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(target: Target, spool: &Arc<Spool>) -> Result<Self> {
        let counters = Arc::new(Counters::default());
        let stop = Arc::new(AtomicBool::new(false));
        let name = target.name.clone();
        let events = target.events;
        let work = Work {
            reader: Reader::new(Arc::clone(spool), &target.name),
            deliver: open(&target),
            target,
            counters: Arc::clone(&counters),
            stop: Arc::clone(&stop),
            failing: false,
        };
        let thread = std::thread::Builder::new()
            .name("apiarist-sink".to_owned())
            .spawn(move || work.run())
            .with_context(|| format!("cannot start the thread of the sink {name}"))?;
        Ok(Self {
            name,
            events,
            counters,
            stop,
            spool: Arc::clone(spool),
            thread: Some(thread),
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn events(&self) -> Events {
        self.events
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.spool.wake();
        // A thread that panicked has said so.
        self.thread.take().map(JoinHandle::join).transpose().ok();
    }
}

struct Work {
    reader: Reader,
    deliver: Box<dyn Deliver>,
    target: Target,
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
                            sink = self.target.name,
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
                sink = self.target.name,
                events = batch.dropped,
                "the spool was full: the oldest events were dropped"
            );
        }
        if batch.lines.is_empty() {
            return Ok(false);
        }
        let events: Vec<Event> = batch
            .lines
            .iter()
            // A line of a newer version that this one cannot read is nobody's loss to repeat for ever.
            .filter_map(|line| serde_json::from_slice(line).ok())
            .filter(|event: &Event| event.is_among(self.target.events))
            .collect();
        if !events.is_empty() {
            self.deliver.deliver(&events)?;
        }
        if std::mem::replace(&mut self.failing, false) {
            tracing::info!(sink = self.target.name, "the sink is reached again");
        }
        self.counters
            .sent
            .fetch_add(events.len() as u64, Ordering::Relaxed);
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
