//! Positions of one direction: what is new, what was told before, what is missing.
//!
//! In: position, length and end of each event. Out: how much to skip and how much is missing in front of it. An
//! event whose operation goes on behind its bytes leaves a promise: the rest has passed, unless further events of the
//! same operation tell it.

/// Positions of one direction.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stream {
    /// Position of the next byte.
    expected: u64,
    /// End of the operation that was told last.
    promised: u64,
    /// Bytes captured since the last turn.
    captured: u64,
    /// Bytes were left out since the last turn.
    cut: bool,
    /// `expected` is known.
    started: bool,
}

/// What an event brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Advance {
    /// Bytes missing in front of it, and whether they were lost rather than left out.
    pub(super) missing: u64,
    pub(super) loss: bool,
    /// Leading bytes of it that are known already.
    pub(super) known: u64,
}

impl Stream {
    /// Begins at a position, if it has not begun.
    pub(super) fn start(&mut self, position: u64) {
        if !self.started {
            self.started = true;
            self.expected = position;
            self.promised = position;
        }
    }

    /// Moves past an event of `length` bytes at `position`, of an operation that ends at `end`. The promise of an
    /// earlier operation must have been taken before.
    pub(super) fn advance(
        &mut self,
        position: u64,
        length: u64,
        end: u64,
        turn: bool,
        budget: u64,
    ) -> Advance {
        let missing = position.saturating_sub(self.expected);
        let advance = Advance {
            missing,
            loss: !self.is_silent(budget) && self.promised < position,
            known: self.expected.saturating_sub(position).min(length),
        };
        if turn {
            self.captured = 0;
            self.cut = false;
        }
        let after = position.saturating_add(length);
        self.expected = self.expected.max(after);
        self.captured = self.captured.saturating_add(length);
        self.promised = self.promised.max(end).max(after);
        self.cut |= end > after;
        advance
    }

    /// End of the last operation.
    pub(super) fn end(&self) -> u64 {
        self.promised.max(self.expected)
    }

    /// Whether an event belongs to the operation that was told last.
    pub(super) fn continues(&self, position: u64, end: u64) -> bool {
        end == self.promised && position >= self.expected && position < end
    }

    /// Bytes that the last operation moved beyond what was told of it.
    pub(super) fn take_promise(&mut self) -> u64 {
        let missing = self.promise();
        self.expected = self.expected.max(self.promised);
        missing
    }

    /// The same, left as it is.
    pub(super) fn promise(&self) -> u64 {
        self.promised.saturating_sub(self.expected)
    }

    /// Whether bytes that have passed are still to be accounted for.
    pub(super) fn has_promise(&self) -> bool {
        self.promised > self.expected
    }

    /// The source copies no more of the present message.
    pub(super) fn spend(&mut self) {
        self.cut = true;
    }

    /// Whether the source has used up what it copies of the present message.
    pub(super) fn is_silent(&self, budget: u64) -> bool {
        self.cut || self.captured >= budget
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: u64 = 100;

    fn stream() -> Stream {
        let mut stream = Stream::default();
        stream.start(0);
        stream
    }

    #[test]
    fn positions_tell_gaps_and_overlaps() {
        let mut stream = stream();
        let in_order = Advance {
            missing: 0,
            loss: true,
            known: 0,
        };
        assert_eq!(stream.advance(0, 10, 10, true, BUDGET).missing, in_order.missing);
        assert_eq!(
            stream.advance(15, 5, 20, false, BUDGET),
            Advance {
                missing: 5,
                loss: true,
                known: 0
            }
        );
        assert_eq!(stream.advance(18, 4, 22, false, BUDGET).known, 2);
        assert_eq!(stream.advance(0, 10, 10, false, BUDGET).known, 10);
        assert_eq!(stream.expected, 22);
    }

    #[test]
    fn the_rest_of_an_operation_is_promised() {
        let mut stream = stream();
        stream.advance(0, 10, 30, true, BUDGET);
        assert!(stream.has_promise() && stream.continues(22, 30) && !stream.continues(30, 40));
        let tail = stream.advance(22, 8, 30, false, BUDGET);
        assert_eq!((tail.missing, tail.loss), (12, false));
        assert_eq!(stream.take_promise(), 0);
    }

    #[test]
    fn what_is_missing_behind_a_smaller_budget_is_not_lost_when_the_source_says_so() {
        for (spent, loss) in [(false, true), (true, false)] {
            let mut stream = stream();
            stream.advance(0, 40, 40, true, BUDGET);
            if spent {
                stream.spend();
            }
            assert_eq!(stream.advance(60, 5, 65, false, BUDGET).loss, loss);
            assert!(stream.advance(70, 5, 75, true, BUDGET).loss || spent);
            assert!(stream.advance(80, 5, 85, false, BUDGET).loss);
        }
    }

    #[test]
    fn what_is_missing_behind_the_budget_is_not_lost() {
        let mut stream = stream();
        stream.advance(0, BUDGET, BUDGET, true, BUDGET);
        let next = stream.advance(500, 10, 510, true, BUDGET);
        assert_eq!((next.missing, next.loss), (400, false));
        assert!(stream.advance(600, 1, 601, true, BUDGET).loss);
    }
}
