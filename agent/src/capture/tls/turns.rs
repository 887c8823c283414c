//! When processes are looked at: so many each second, and again a while after they have started a program.
//!
//! In: processes that started, and the passing of time. Out: whose turn it is, and whether there is time for a look.
//! Processes that live on have a share of each second for themselves: however many come and go, none of those is left
//! out, up to the bound below (`MAX_WAITING` for each delay; further ones are looked at once, when they start, if there
//! is time for it then). Refuses to look.

use std::collections::VecDeque;

/// Looks per second at the most; each takes some 0.1 ms. Overflow policy: further ones are left out, and counted by who
/// asks; a process that uses TLS is named again with its next connection.
const LOOKS_PER_SECOND: u32 = 200;

/// Of those, for processes whose turn has come: they were there a while ago, and are still. Overflow policy: they wait for
/// the next second.
const LOOKS_IN_TURN: u32 = 50;

/// When a process that started a program is looked at again: its libraries are mapped after the program, and those of
/// one that starts slowly much later.
const AFTER_START_NS: [u64; 3] = [50_000_000, 1_000_000_000, 10_000_000_000];

/// Processes that wait for that, each delay. Overflow policy: further ones do without that turn.
const MAX_WAITING: usize = 1024;

const SECOND_NS: u64 = 1_000_000_000;

/// Who waits, and what is left of the present second.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// When processes that started are to be looked at again, in order for each delay.
    waiting: [VecDeque<(u64, u32)>; AFTER_START_NS.len()],
    /// The present second, since whenever the clock began.
    second: u64,
    /// Looks in it.
    looks: u32,
}

impl Turns {
    /// A process has started a program: its turns come.
    pub(super) fn started(&mut self, pid: u32, now_ns: u64) {
        for (queue, delay) in self.waiting.iter_mut().zip(AFTER_START_NS) {
            if queue.len() < MAX_WAITING {
                queue.push_back((now_ns + delay, pid));
            }
        }
    }

    /// Takes the time for a look that was not waited for; false when there is none.
    pub(super) fn take(&mut self, now_ns: u64) -> bool {
        self.take_of(now_ns, LOOKS_PER_SECOND - LOOKS_IN_TURN)
    }

    /// Takes the time for a look at the process whose turn it is; `None` when nobody's has come, or there is no time. Who
    /// does not live any more takes none.
    pub(super) fn due(&mut self, now_ns: u64, lives: impl Fn(u32) -> bool) -> Option<u32> {
        for number in 0..AFTER_START_NS.len() {
            while let Some((_, pid)) = self.first(number).filter(|(due_ns, _)| *due_ns <= now_ns) {
                let is_alive = lives(pid);
                if is_alive && !self.take_of(now_ns, LOOKS_PER_SECOND) {
                    // Its turn comes later.
                    return None;
                }
                if let Some(queue) = self.waiting.get_mut(number) {
                    queue.pop_front();
                }
                if is_alive {
                    return Some(pid);
                }
            }
        }
        None
    }

    /// Nanoseconds until somebody's turn comes and there is time for it, `None` when nobody waits.
    pub(super) fn next_ns(&self, now_ns: u64) -> Option<u64> {
        let first = (0..AFTER_START_NS.len()).filter_map(|number| self.first(number));
        let due_ns = first.map(|(due_ns, _)| due_ns.saturating_sub(now_ns)).min()?;
        let is_spent = self.second == now_ns / SECOND_NS && self.looks >= LOOKS_PER_SECOND;
        Some(match is_spent {
            true => due_ns.max(SECOND_NS - now_ns % SECOND_NS),
            false => due_ns,
        })
    }

    /// Counts from nothing again: who asks limits itself.
    pub(super) fn renew(&mut self) {
        self.looks = 0;
    }

    fn first(&self, number: usize) -> Option<(u64, u32)> {
        self.waiting.get(number)?.front().copied()
    }

    fn take_of(&mut self, now_ns: u64, most: u32) -> bool {
        let second = now_ns / SECOND_NS;
        if self.second != second {
            (self.second, self.looks) = (second, 0);
        }
        let has_time = self.looks < most;
        self.looks += u32::from(has_time);
        has_time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn who_starts_has_three_turns() {
        let mut turns = Turns::default();
        assert_eq!(turns.next_ns(0), None);
        turns.started(7, 0);
        assert_eq!(turns.next_ns(0), Some(50 * MS));
        assert_eq!(turns.due(49 * MS, |_| true), None);
        assert_eq!(turns.due(50 * MS, |_| true), Some(7));
        assert_eq!(turns.due(999 * MS, |_| true), None);
        assert_eq!(turns.due(1_000 * MS, |_| true), Some(7));
        assert_eq!(turns.next_ns(1_000 * MS), Some(9_000 * MS));
        assert_eq!(turns.due(10_000 * MS, |_| true), Some(7));
        assert_eq!(turns.next_ns(10_000 * MS), None);
    }

    #[test]
    fn a_storm_leaves_nobody_out_who_lives_on() {
        let mut turns = Turns::default();
        let (mut looks, mut seen) = (0, Vec::new());
        // A thousand a second, of which one in fifty lives on.
        let lives = |pid: u32| pid.is_multiple_of(50);
        for pid in 0..10_000_u32 {
            let now_ns = u64::from(pid) * MS;
            turns.started(pid, now_ns);
            looks += u32::from(turns.take(now_ns));
            while let Some(pid) = turns.due(now_ns, lives) {
                seen.push(pid);
                looks += 1;
            }
        }
        assert!(looks <= 10 * LOOKS_PER_SECOND, "{looks}");
        // Those of the last second and of the second before wait for a turn.
        for pid in (0..8_000).step_by(50) {
            assert_eq!(seen.iter().filter(|seen| **seen == pid).count(), 2, "{pid}");
        }
    }

    #[test]
    fn who_finds_no_time_waits_for_the_next_second() {
        let mut turns = Turns::default();
        (0..500).for_each(|pid| turns.started(pid, 0));
        let now_ns = 100 * MS;
        let mut count = |now_ns| {
            let seen = std::iter::from_fn(|| turns.due(now_ns, |_| true)).count();
            (seen, turns.next_ns(now_ns), turns.take(now_ns))
        };
        assert_eq!(count(now_ns), (200, Some(900 * MS), false));
        assert_eq!(count(1_000 * MS), (200, Some(1_000 * MS), false));
    }

    #[test]
    fn looks_are_bounded() {
        let mut turns = Turns::default();
        assert_eq!((0..1_000).filter(|_| turns.take(0)).count(), 150);
        (0..5_000).for_each(|pid| turns.started(pid, 0));
        assert!(turns.waiting.iter().all(|queue| queue.len() == MAX_WAITING));
        turns.renew();
        assert!(turns.take(0));
    }
}
