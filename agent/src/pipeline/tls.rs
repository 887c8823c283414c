//! The thread that finds TLS libraries and probes them.
//!
//! In: ids of processes, from whoever notices one. Out: probes in force until the thread is told to stop. It is never
//! waited for: news that finds the queue full is dropped, the process is named again with its next connection. Loading
//! the programs is its first work, so that plain traffic is read meanwhile. Executables are read by a second thread, which
//! may do nothing else.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};

use crate::{
    capture::{
        load::{Attached, TlsPrograms},
        memory,
        tls::{
            discovery::{Discovery, Totals},
            examine::{self, Examined, Job},
            exclusions::{Exclusions, Named},
            libraries::Libraries,
            probe::Uprobes,
        },
    },
    clock, config,
    confine::{Needs, confine},
    status::TlsReading,
};

/// News that may wait. Overflow policy: further ones are dropped, and the process is noticed by its next connection.
const MAX_NEWS: usize = 4096;

/// Longest wait for news, so that a stop is noticed.
const PAUSE: Duration = Duration::from_millis(100);

/// News that are handled in one round.
const DRAIN: usize = 256;

/// Pause after a round of connections only, so that thousands of them in a second are not as many rounds: shorter than what a
/// process does with its first one.
const LINGER: Duration = Duration::from_millis(2);

/// Time between two looks for processes that are gone.
const SWEEP_NS: u64 = 5_000_000_000;

/// What the thread is told.
#[derive(Debug)]
pub(super) enum News {
    /// A process has become another program.
    Started(u32),
    /// A process has a connection, and may use TLS.
    Connected(u32),
    /// An executable was read.
    Examined(Box<Examined>),
}

/// A queue of news, empty.
pub(super) fn news() -> (SyncSender<News>, Receiver<News>) {
    sync_channel(MAX_NEWS)
}

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
        let named = Named {
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
            discovery: Discovery::new(probes, has_loop, Exclusions::new(named, excluded)),
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
    (to_self, news): (SyncSender<News>, &Receiver<News>),
    needs: Option<&Needs>,
    stop: &Arc<AtomicBool>,
) {
    let Work {
        programs,
        mut discovery,
        progress,
    } = work;
    let examiner = examiner(to_self, needs.is_some());
    give_up(needs);
    match examiner.and_then(|examiner| Ok((programs.load()?, examiner))) {
        Ok((programs, examiner)) => discovery.start(programs, examiner),
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
    let mut next = None;
    while !stop.load(Ordering::Acquire) {
        let mut round: Vec<News> = next
            .take()
            .into_iter()
            .chain(news.try_iter().take(DRAIN))
            .collect();
        let is_quick = round.iter().all(|news| matches!(news, News::Connected(_))) && !round.is_empty();
        // What starts cannot wait: its functions are to be probed before it calls them.
        round.sort_by_key(|news| !matches!(news, News::Started(_)));
        for news in round {
            let now = clock::monotonic_ns();
            match news {
                News::Started(pid) => discovery.started(pid, now),
                News::Connected(pid) => discovery.hinted(pid, now),
                News::Examined(examined) => discovery.examined(*examined),
            }
        }
        let now = clock::monotonic_ns();
        discovery.tick(now);
        if is_quick {
            std::thread::park_timeout(LINGER);
        } else if !discovery.look_around(now) {
            let longest = discovery.next_tick_ns(now).map_or(PAUSE, Duration::from_nanos);
            match news.recv_timeout(longest.min(PAUSE)) {
                Ok(news) => next = Some(news),
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

/// Gives up what a thread does not need, if anything is to be given up.
fn give_up(needs: Option<&Needs>) {
    for kept in needs.map(confine).unwrap_or_default() {
        tracing::warn!("not confined as far as it should be: {kept}");
    }
}

/// Starts the thread that reads executables: it gets them open, and needs nothing. It ends by itself when nobody asks any more,
/// and is not waited for: a large file may take it seconds. To be called by a thread that may still give up everything: the
/// bounding set takes a right of its own.
fn examiner(to_discovery: SyncSender<News>, is_confined: bool) -> Result<SyncSender<Job>> {
    const NEEDS: Needs = Needs {
        programs: false,
        processes: false,
        probes: false,
    };
    let (jobs, asked) = sync_channel(examine::MAX_WAITING);
    let (ready, is_ready) = sync_channel(1);
    std::thread::Builder::new()
        .name("apiarist-elf".to_owned())
        .spawn(move || {
            give_up(is_confined.then_some(&NEEDS));
            // Whoever does not wait any more has gone.
            ready.send(()).unwrap_or(());
            examine::run(&asked, |examined| {
                to_discovery.send(News::Examined(Box::new(examined))).is_ok()
            });
        })
        .context("cannot start the thread that reads executables")?;
    is_ready
        .recv()
        .context("the thread that reads executables has ended")?;
    Ok(jobs)
}
