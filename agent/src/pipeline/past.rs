//! What processes were: the thread that keeps it, and those who ask.
//!
//! In: the ring of processes. Out: answers to [`Directory`]s, and the ids of processes that became another program. Who asks
//! empties the ring first: what happened to a process was told before it used a socket, so no answer depends on how fast
//! the thread is.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use anyhow::Result;

use super::tls::News;
use crate::{
    capture::{
        load::Attached,
        process::decode,
        reader::{RingReader, Waiter, drain, is_blocked},
        ring::Ring,
    },
    clock::monotonic_ns,
    event::ProcessRef,
    workload::{Past, ProcessEvent, ProcessFacts, Remember},
};

/// Longest sleep: forks and exits do not wake the reader, and 8,000 of them fit the ring.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest wait for a record that is being written on another processor and hides those behind it, nanoseconds. A writer
/// takes microseconds, unless its processor is taken from it, as a virtual machine's can be. Overflow policy: what is known
/// by then is told.
const HIDDEN_NS: u64 = 20_000_000;

/// Records handled while others wait.
const DRAIN: u64 = 256;

/// The ring, and what was learned from it.
struct Kept {
    ring: Ring,
    past: Past,
    started: Option<SyncSender<News>>,
}

impl Kept {
    fn look(&mut self, most: u64) -> u64 {
        let Self { ring, past, started } = self;
        drain(ring, most, &mut |record| {
            let Some(event) = decode(record) else { return };
            if let (ProcessEvent::Executed { process, .. }, Some(started)) = (&event, &started) {
                // Full: the process is noticed by its first connection.
                started.try_send(News::Started(process.pid)).unwrap_or(());
            }
            past.event(event);
        })
    }
}

/// For those who ask.
#[derive(Clone)]
pub(super) struct SharedPast(Arc<Mutex<Kept>>);

impl std::fmt::Debug for SharedPast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SharedPast")
    }
}

impl Remember for SharedPast {
    fn facts(&mut self, process: &ProcessRef) -> Option<ProcessFacts> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.look(u64::MAX);
        let until = monotonic_ns() + HIDDEN_NS;
        while is_blocked(&kept.ring) && monotonic_ns() < until {
            std::thread::yield_now();
            kept.look(u64::MAX);
        }
        kept.past.facts(process)
    }
}

/// Takes the ring; ids of processes that become another program go to `started`.
///
/// # Errors
/// When the kernel object has no such ring.
pub(super) fn open(
    attached: &mut Attached,
    started: Option<SyncSender<News>>,
) -> Result<(SharedPast, Waiter)> {
    let (ring, waiter) = RingReader::new(attached.take_processes()?)?.split();
    let past = Past::new(Path::new("/proc"));
    let kept = Kept { ring, past, started };
    Ok((SharedPast(Arc::new(Mutex::new(kept))), waiter))
}

/// Keeps the ring empty until told to stop.
pub(super) fn run(shared: &SharedPast, mut waiter: Waiter, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::Acquire) {
        let found = {
            let mut kept = shared.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.look(DRAIN)
        };
        waiter.found(found);
        if found < DRAIN {
            waiter.wait(PAUSE);
        }
    }
}
