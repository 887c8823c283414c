//! The agent looks after itself: do its programs still see, and how much is lost.
//!
//! In: a look at the counters once a second. Out: [`AgentEvent`]s. Every few seconds the agent sends itself one byte
//! over a socket: programs that do not count it have been detached, whoever did it and however. Bytes of its own are
//! muted in the kernel, so nothing of them shows elsewhere. Not covered: probes of TLS libraries, which own traffic does
//! not pass.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::net::UnixStream,
    time::Duration,
};

use super::governor::Second;
use crate::{
    analysis::{AgentEvent, BLIND_SHARE},
    capture::counters::Operations,
    clock::Timestamp,
};

/// Time between two messages to itself.
const EVERY: Duration = Duration::from_secs(5);

/// Messages in a row that must go unseen. One may: the kernel leaves a program out that is at work already.
const PATIENCE: u32 = 2;

/// Time over which losses are added up.
const MINUTE: Duration = Duration::from_secs(60);

/// Fewer lost events than this are no blindness, whatever their share.
const FEW: u64 = 1000;

/// What the agent knows of its own sight.
#[derive(Debug)]
pub(super) struct Watch {
    pair: Option<(UnixStream, UnixStream)>,
    next_message: Timestamp,
    before: Operations,
    /// Messages that were seen once: sent, received. A kernel that lets no program see them is no work of an attacker.
    worked: [bool; 2],
    /// Messages in a row that were not seen since.
    missed: [u32; 2],
    /// Messages that were not seen, in all.
    unseen: u64,
    minute_ends: Timestamp,
    lost: u64,
    seen_before: u64,
}

impl Watch {
    /// Sends the first message at the first look.
    pub(super) fn new(now: Timestamp) -> Self {
        // Without a descriptor to spare there is no message, and no verdict.
        let pair = UnixStream::pair().ok();
        Self {
            pair,
            next_message: now,
            before: Operations::default(),
            worked: [false; 2],
            missed: [0; 2],
            unseen: 0,
            minute_ends: now.after(MINUTE),
            lost: 0,
            seen_before: 0,
        }
    }

    /// Messages to itself that were not seen.
    pub(super) fn unseen(&self) -> u64 {
        self.unseen
    }

    /// Looks, once a second: what was lost in it, and events seen so far. `count` reads the programs' counters.
    pub(super) fn second(
        &mut self,
        now: Timestamp,
        second: Second,
        seen: u64,
        count: impl Fn() -> Operations,
    ) -> Vec<AgentEvent> {
        let mut events = Vec::new();
        if now >= self.next_message || self.next_message > now.after(EVERY) {
            self.next_message = now.after(EVERY);
            self.before = count();
            if self.send().is_ok() {
                events.extend(self.judge(count()));
            }
        }
        self.lost = self.lost.saturating_add(second.lost);
        if now >= self.minute_ends || self.minute_ends > now.after(MINUTE) {
            self.minute_ends = now.after(MINUTE);
            let seen_now = seen.saturating_sub(std::mem::replace(&mut self.seen_before, seen));
            let lost = std::mem::take(&mut self.lost);
            let all = lost.saturating_add(seen_now);
            if lost >= FEW && lost as f64 > all as f64 * BLIND_SHARE {
                events.push(AgentEvent::Blind { lost, seen: seen_now });
            }
        }
        events
    }

    /// One byte to itself.
    fn send(&mut self) -> io::Result<()> {
        let (near, far) = self.pair.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        near.write_all(&[0])?;
        far.read_exact(&mut [0])
    }

    fn judge(&mut self, after: Operations) -> Option<AgentEvent> {
        let counted = [
            (self.before.sends, after.sends),
            (self.before.receives, after.receives),
        ];
        let known = self.missed.iter_mut().zip(&mut self.worked);
        for ((missed, worked), (before, after)) in known.zip(counted) {
            let is_seen = before != after;
            *worked |= is_seen;
            *missed = if is_seen || !*worked { 0 } else { *missed + 1 };
        }
        self.unseen += u64::from(self.missed.iter().any(|missed| *missed > 0));
        let gone = self.missed.iter().filter(|missed| **missed >= PATIENCE).count();
        (gone > 0).then_some(AgentEvent::ProbesDetached {
            programs: u32::try_from(gone).unwrap_or(u32::MAX),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const QUIET: Second = Second { cpu: 0.0, lost: 0 };

    fn at(seconds: u64) -> Timestamp {
        Timestamp(seconds * 1_000_000_000)
    }

    /// Looks for some seconds; at each, a program that works counts what passes. After `good` seconds only those of
    /// `works` do.
    fn look(seconds: u64, good: u64, works: [bool; 2], lost: u64) -> (Vec<AgentEvent>, u64) {
        let mut watch = Watch::new(at(0));
        let operations = Cell::new(Operations::default());
        let mut events = Vec::new();
        for second in 0..seconds {
            let counts = works.map(|works| u64::from(works || second < good));
            events.extend(
                watch.second(at(second), Second { lost, ..QUIET }, second * 1000, || {
                    let Operations { sends, receives } = operations.get();
                    let next = Operations {
                        sends: sends + counts[0],
                        receives: receives + counts[1],
                    };
                    operations.replace(next)
                }),
            );
        }
        (events, watch.unseen())
    }

    #[test]
    fn programs_that_count_their_own_message_are_there() {
        assert_eq!(look(120, 0, [true, true], 0), (Vec::new(), 0));
    }

    #[test]
    fn programs_that_count_it_no_more_are_gone() {
        let (events, unseen) = look(12, 1, [false, true], 0);
        assert_eq!(events, [AgentEvent::ProbesDetached { programs: 1 }]);
        assert_eq!(unseen, 2);
        let (events, _) = look(12, 1, [false, false], 0);
        assert_eq!(events, [AgentEvent::ProbesDetached { programs: 2 }]);
    }

    #[test]
    fn programs_that_never_counted_it_accuse_nobody() {
        assert_eq!(look(120, 0, [false, false], 0), (Vec::new(), 0));
    }

    #[test]
    fn much_loss_in_a_minute_is_told_once() {
        let (events, _) = look(61, 0, [true, true], 100);
        assert_eq!(
            events,
            [AgentEvent::Blind {
                lost: 6100,
                seen: 60_000
            }]
        );
        assert!(look(61, 0, [true, true], 10).0.is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_stops_nothing() {
        let mut watch = Watch::new(at(1_000_000));
        let asked = Cell::new(0);
        for second in 0..30 {
            watch.second(at(second), QUIET, 0, || {
                asked.set(asked.get() + 1);
                Operations::default()
            });
        }
        assert!(asked.get() > 2, "looked {} times", asked.get());
    }
}
