//! The thread that finds TLS libraries and probes them.
//!
//! In: ids of processes, from whoever notices one. Out: probes in force until the thread is told to stop. It is never
//! waited for: a hint that finds the queue full is dropped, the process is named again with its next connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use anyhow::Result;

use crate::{
    capture::{
        load::Attached,
        tls::{
            discovery::{Discovery, Exclusions},
            probe::Uprobes,
        },
    },
    clock, config,
    confine::{Needs, confine},
};

/// Hints that may wait. Overflow policy: further ones are dropped.
pub(super) const MAX_HINTS: usize = 1024;

/// Longest wait for a program to start, so that hints and a stop are noticed.
const PAUSE: Duration = Duration::from_millis(100);

/// Starts that are handled before hints are.
const DRAIN: usize = 64;

/// Time between two looks for processes that are gone.
const SWEEP_NS: u64 = 5_000_000_000;

/// The discovery of libraries, ready to work; `None` when there is nothing to attach.
///
/// # Errors
/// When the kernel has no uprobes.
pub(super) fn discovery(
    attached: &mut Attached,
    has_loop: bool,
    settings: &config::Tls,
) -> Result<Option<Discovery>> {
    let programs = attached.take_tls_programs();
    if programs.is_empty() {
        return Ok(None);
    }
    let exclusions = Exclusions {
        comms: settings.exclude_comms.clone(),
        paths: settings.exclude_paths.clone(),
        cgroups: settings.exclude_cgroups.clone(),
    };
    let excluded = Some(attached.take_excluded()?);
    let probes = Uprobes::of_running_kernel()?;
    Ok(Some(Discovery::new(
        probes, programs, has_loop, exclusions, excluded,
    )))
}

/// Works until told to stop; the probes go with it. What this thread does not need, it gives up first.
pub(super) fn run(
    mut discovery: Discovery,
    starts: &Receiver<u32>,
    needs: Option<&Needs>,
    hints: &Receiver<u32>,
    stop: &Arc<AtomicBool>,
) {
    for kept in needs.map(confine).unwrap_or_default() {
        tracing::warn!("not confined as far as it should be: {kept}");
    }
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
        }
    }
}
