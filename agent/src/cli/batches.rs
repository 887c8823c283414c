//! The rows of a list, some at a time: nobody holds more of a long list than is asked for.
//!
//! In: lines, one by one. Out: batches of them, larger and larger, until whoever takes them has enough.

use std::ops::ControlFlow;

use super::Failure;
use crate::risk::EndpointKey;

/// One row: a JSON object in one line.
pub(super) type Line = String;

/// Rows of the first batch: what fills a screen is soon there.
const FIRST: usize = 512;

/// Rows of the largest batch: worth more than one thread, and little memory.
const LARGEST: usize = 8192;

/// Who takes batches: told to go on or to stop.
pub(super) type Take<'a> = &'a mut dyn FnMut(Vec<Line>) -> Result<ControlFlow<()>, Failure>;

/// What of a list is of use.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    /// So many of the first rows are enough.
    pub(super) most: Option<usize>,
    /// Which endpoints: rows of others may be left out.
    pub(super) endpoints: Option<&'a dyn Fn(&EndpointKey<'_>) -> bool>,
}

/// Gathers rows and passes them on.
pub(super) struct Batches<'a> {
    take: Take<'a>,
    batch: Vec<Line>,
    size: usize,
    /// Rows that are still wanted.
    wanted: usize,
    failure: Option<Failure>,
}

impl<'a> Batches<'a> {
    /// Passes on to `take`, at most so many rows in all.
    pub(super) fn to(take: Take<'a>, most: Option<usize>) -> Self {
        Self {
            take,
            batch: Vec::new(),
            size: FIRST,
            wanted: most.unwrap_or(usize::MAX),
            failure: None,
        }
    }

    /// One more row; whether there is a use for another.
    pub(super) fn push(&mut self, line: Line) -> ControlFlow<()> {
        if self.wanted > 0 {
            self.wanted -= 1;
            self.batch.push(line);
        }
        if self.batch.len() >= self.size {
            self.pass_on();
        }
        match self.wanted {
            0 => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    /// More rows, as far as there is a use for them.
    pub(super) fn extend(&mut self, lines: impl Iterator<Item = Line>) {
        for line in lines {
            if self.push(line).is_break() {
                break;
            }
        }
    }

    /// These were the last.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        if !self.batch.is_empty() {
            self.pass_on();
        }
        self.failure.map_or(Ok(()), Err)
    }

    fn pass_on(&mut self) {
        self.size = (self.size * 2).min(LARGEST);
        match (self.take)(std::mem::take(&mut self.batch)) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => self.wanted = 0,
            Err(failure) => {
                self.wanted = 0;
                self.failure = Some(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sizes of the batches of so many rows when no more than `enough` are taken.
    fn sizes(rows: usize, most: Option<usize>, enough: usize) -> Vec<usize> {
        let mut sizes: Vec<usize> = Vec::new();
        let mut take = |batch: Vec<Line>| {
            sizes.push(batch.len());
            Ok(match sizes.iter().sum::<usize>() < enough {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })
        };
        let mut batches = Batches::to(&mut take, most);
        for number in 0..rows {
            if batches.push(number.to_string()).is_break() {
                break;
            }
        }
        batches.end().unwrap();
        sizes
    }

    #[test]
    fn batches_grow_and_end_when_there_are_enough() {
        assert_eq!(sizes(0, None, 10), [0; 0]);
        assert_eq!(sizes(3, None, 10), [3]);
        assert_eq!(sizes(2000, None, usize::MAX), [512, 1024, 464]);
        assert_eq!(sizes(2000, None, 600), [512, 1024]);
        assert_eq!(sizes(2000, Some(50), usize::MAX), [50]);
        assert!(
            sizes(100_000, None, usize::MAX)
                .iter()
                .all(|size| *size <= LARGEST)
        );
    }

    #[test]
    fn a_failure_of_who_takes_them_is_the_end() {
        let mut take = |_: Vec<Line>| Err(Failure::usage("it is wrong"));
        let mut batches = Batches::to(&mut take, None);
        let pushed = (0..9999)
            .take_while(|_| batches.push(String::new()).is_continue())
            .count();
        assert_eq!(pushed, FIRST - 1);
        assert_eq!(batches.end().unwrap_err().sentence(), Some("it is wrong"));
    }
}
