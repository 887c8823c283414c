//! The thread that finds TLS libraries and probes them.
//!
//! In: ids of processes, from whoever notices one. Out: probes in force until the thread is told to stop. It is never
//! waited for: a hint that finds the queue full is dropped, the process is named again with its next connection. Loading
//! the programs is its first work, so that plain traffic is read meanwhile.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use anyhow::Result;

use crate::{
    capture::{
        load::{Attached, TlsPrograms},
        memory,
        tls::{
            discovery::{Discovery, Exclusions, Libraries, Totals},
            probe::Uprobes,
        },
    },
    clock, config,
    confine::{Needs, confine},
    status::TlsReading,
};

/// Hints that may wait. Overflow policy: further ones are dropped.
pub(super) const MAX_HINTS: usize = 1024;

/// Longest wait for a program to start, so that hints and a stop are noticed.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts that are handled before hints are.
const DRAIN: usize = 64;

/// Time between two looks for processes that are gone.
const SWEEP_NS: u64 = 5_000_000_000;

/// How far reading TLS is, and what was counted on the way, shared with who reports.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress(Arc<Mutex<(TlsReading, Totals)>>);

impl Progress {
    pub(super) fn get(&self) -> (TlsReading, Totals) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, reading: TlsReading) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0 = reading;
    }

    fn count(&self, totals: Totals) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = totals;
    }
}

/// What the thread works with.
pub(super) struct Work {
    programs: TlsPrograms,
    discovery: Discovery,
    progress: Progress,
}

impl Work {
    /// Nothing is loaded yet; `None` when TLS is not to be read.
    ///
    /// # Errors
    /// When the kernel has no uprobes.
    pub(super) fn new(
        attached: &mut Attached,
        has_loop: bool,
        settings: &config::Tls,
    ) -> Result<Option<Self>> {
        let Some(programs) = attached.take_tls_programs() else {
            return Ok(None);
        };
        let exclusions = Exclusions {
            comms: settings.exclude_comms.clone(),
            paths: settings.exclude_paths.clone(),
            cgroups: settings.exclude_cgroups.clone(),
        };
        let excluded = Some(attached.take_excluded()?);
        let probes = Uprobes::of_running_kernel()?;
        let progress = Progress::default();
        progress.set(TlsReading::Starting);
        Ok(Some(Self {
            programs,
            discovery: Discovery::new(probes, has_loop, exclusions, excluded),
            progress,
        }))
    }

    pub(super) fn libraries(&self) -> Libraries {
        self.discovery.libraries()
    }

    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// Works until told to stop; the probes go with it. What this thread does not need, it gives up first.
pub(super) fn run(
    work: Work,
    starts: &Receiver<u32>,
    needs: Option<&Needs>,
    hints: &Receiver<u32>,
    stop: &Arc<AtomicBool>,
) {
    let Work {
        programs,
        mut discovery,
        progress,
    } = work;
    for kept in needs.map(confine).unwrap_or_default() {
        tracing::warn!("not confined as far as it should be: {kept}");
    }
    match programs.load() {
        Ok(programs) => discovery.start(programs),
        Err(error) => {
            tracing::warn!("TLS is not read: {error:#}");
            return progress.set(TlsReading::Refused);
        }
    }
    progress.set(TlsReading::On);
    // Loading took a copy of the kernel object, and the host's libraries were read.
    memory::release();
    let mut swept_ns = clock::monotonic_ns();
    discovery.list();
    while !stop.load(Ordering::Acquire) {
        let started: Vec<u32> = starts.try_iter().take(DRAIN).collect();
        for pid in &started {
            discovery.started(*pid, clock::monotonic_ns());
        }
        let now = clock::monotonic_ns();
        discovery.tick(now);
        let hinted: Vec<u32> = hints.try_iter().take(MAX_HINTS).collect();
        for pid in hinted {
            discovery.hinted(pid, now);
        }
        if started.len() < DRAIN && !discovery.look_around(now) {
            let longest = discovery.next_tick_ns(now).map_or(PAUSE, Duration::from_nanos);
            match starts.recv_timeout(longest.min(PAUSE)) {
                Ok(pid) => discovery.started(pid, clock::monotonic_ns()),
                Err(RecvTimeoutError::Timeout) => {}
                // The end is near.
                Err(RecvTimeoutError::Disconnected) => std::thread::park_timeout(PAUSE),
            }
        }
        if now.saturating_sub(swept_ns) >= SWEEP_NS {
            swept_ns = now;
            discovery.sweep();
            progress.count(discovery.totals());
        }
    }
}
