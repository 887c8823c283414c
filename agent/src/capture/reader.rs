//! Waiting for a ring and emptying it.
//!
//! Out: each record, to a callback, in ring memory: nothing is copied here. The programs wake the reader seldom (see
//! `emit` in the kernel programs): every 25 ms at the most while the ring fills slowly, and when an eighth of it is full.
//! So after work the reader looks again a little later by itself, and only sleeps without end once it found nothing
//! for longer than the programs' interval: the last event of a burst is never left lying.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::event::epoll;

use super::ring::Ring;

/// Pause between two looks while events are coming. A wake-up by the programs costs the observed process some microseconds,
/// one by the timer costs it nothing: under load nearly all are by the timer.
const LINGER: Duration = Duration::from_millis(5);

/// Looks that found nothing before the long sleep. Together twice the programs' interval, so that no event can fall between
/// the last look and the long sleep without waking the reader.
const QUIET_LOOKS: u32 = 10;

/// A ring and what wakes its reader.
pub struct RingReader {
    ring: Ring,
    waiter: Waiter,
}

/// What wakes the reader of a ring, apart from the ring: others may empty it meanwhile.
pub struct Waiter {
    epoll: OwnedFd,
    quiet: u32,
}

impl RingReader {
    /// Prepares to wait for a ring.
    ///
    /// # Errors
    /// When the kernel refuses an epoll instance.
    pub fn new(ring: Ring) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("cannot create an epoll instance")?;
        // Edge-triggered: data that is there already must not end the pause.
        epoll::add(
            &epoll,
            ring.as_fd(),
            epoll::EventData::new_u64(0),
            epoll::EventFlags::IN | epoll::EventFlags::ET,
        )
        .context("cannot wait for the ring")?;
        let waiter = Waiter { epoll, quiet: 0 };
        Ok(Self { ring, waiter })
    }

    /// The ring and its waiter, each for itself.
    pub fn split(self) -> (Ring, Waiter) {
        (self.ring, self.waiter)
    }

    /// Hands waiting records to `record`, at most `most` so that the caller gets to its other work under constant
    /// load; returns how many there were.
    pub fn drain(&mut self, most: u64, mut record: impl FnMut(&[u8])) -> u64 {
        let count = drain(&mut self.ring, most, &mut record);
        self.waiter.found(count);
        count
    }

    /// See [`Waiter::wait`].
    pub fn wait(&mut self, longest: Duration) {
        self.waiter.wait(longest);
    }
}

/// Hands waiting records to `record`, at most `most`; returns how many there were.
pub fn drain(ring: &mut Ring, most: u64, record: &mut impl FnMut(&[u8])) -> u64 {
    let mut count = 0;
    while count < most && ring.next(record) {
        count += 1;
    }
    ring.give_back();
    count
}

/// Whether a record that is still being written hides those behind it: to be asked after [`drain`] found no more. The kernel
/// calls a ring readable by its positions alone (kernel/bpf/ringbuf.c, `ringbuf_map_poll_user`).
pub fn is_blocked(ring: &Ring) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut asked = [PollFd::new(ring, PollFlags::IN)];
    poll(&mut asked, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

impl Waiter {
    /// Takes note of how many records a look has found.
    pub fn found(&mut self, count: u64) {
        self.quiet = if count == 0 {
            self.quiet.saturating_add(1)
        } else {
            0
        };
    }

    /// Waits for a wake-up, at most `longest` (the caller's own timer), and less while events are coming.
    pub fn wait(&mut self, longest: Duration) {
        let pause = if self.quiet >= QUIET_LOOKS {
            longest
        } else {
            LINGER.min(longest)
        };
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(pause.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut events = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }];
        // An interrupted wait is a short wait.
        epoll::wait(&self.epoll, &mut events, Some(&timeout)).unwrap_or_default();
    }
}
