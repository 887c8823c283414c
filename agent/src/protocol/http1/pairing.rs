//! Which request a response answers.
//!
//! HTTP/1 answers in order, so as long as every message boundary of both ways was seen, the oldest unanswered request
//! is the one. When unknown messages were lost, pairing starts anew at a *quiet* request: the first of a turn, on a
//! connection whose client was never seen to pipeline, so that nothing can be outstanding before it. Until then
//! responses stay without a request: unknown beats wrong.

use std::collections::VecDeque;

use super::pending::{Pending, Phase};

/// What was lost of the requests, since the order was certain last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hole {
    /// Nothing.
    None,
    /// The end of a request whose start was seen, and maybe requests behind it.
    Inside,
    /// Whole requests, at least one.
    Between,
}

/// The exchanges under way, oldest first, and what is certain about their order.
#[derive(Debug)]
pub(super) struct Pairing {
    pub(super) queue: VecDeque<Box<Pending>>,
    /// Requests that were lost.
    pub(super) requests: Hole,
    /// Responses may have been lost.
    pub(super) responses_lost: bool,
    /// Responses without a request since the last request in certain order.
    pub(super) orphans: u32,
    /// Requests queued so far.
    asked: u64,
    /// … and how many when the head of the present response began.
    asked_before_head: u64,
    /// The client was seen to send a request before the response to the one before had begun.
    pipelined: bool,
}

/// What a new request means for those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// All unanswered requests before it are given up.
    pub(super) settles: bool,
    pub(super) quiet: bool,
    pub(super) sure: bool,
    pub(super) doubt: bool,
}

/// Which exchange a response belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Match {
    /// The oldest.
    Front,
    /// The newest, after those before it were given up.
    Back,
    /// None that is known.
    Orphan,
}

impl Pairing {
    pub(super) const fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            requests: Hole::None,
            responses_lost: false,
            orphans: 0,
            asked: 0,
            asked_before_head: 0,
            pipelined: false,
        }
    }

    /// A request has arrived, at the start of a turn or not; `paused` if nothing had happened for long enough that
    /// even a pipelining client has got all its responses.
    pub(super) fn place(&mut self, turn: bool, paused: bool) -> Place {
        let quiet = turn && (!self.pipelined || paused);
        let certain = self.requests == Hole::None
            && !self.responses_lost
            && self.queue.back().is_none_or(|pending| pending.sure);
        // Earlier requests whose responses were not seen, though no response is missing, are unanswered still.
        let unanswered = (self.requests == Hole::Between && self.orphans == 0)
            || self.queue.iter().any(|pending| pending.response == Phase::None);
        let doubt = !certain && !self.responses_lost && unanswered;
        let settles = !certain && quiet;
        let place = Place {
            settles,
            quiet,
            sure: certain || (settles && !doubt),
            doubt,
        };
        if settles {
            self.requests = Hole::None;
        }
        if place.sure {
            self.orphans = 0;
        }
        place
    }

    /// Queues a request.
    pub(super) fn push(&mut self, mut pending: Box<Pending>) {
        pending.ordinal = self.asked;
        self.asked += 1;
        self.queue.push_back(pending);
    }

    /// The head of a response begins.
    pub(super) fn begin_head(&mut self) {
        self.asked_before_head = self.asked;
    }

    /// Whether the oldest request came after the head of the present response had begun.
    pub(super) fn front_is_newer_than_head(&self) -> bool {
        self.queue
            .front()
            .is_some_and(|front| front.ordinal >= self.asked_before_head)
    }

    /// A response is beginning just now: with two requests waiting, the client does not wait for responses.
    pub(super) fn note_overlap(&mut self) {
        self.pipelined |= !self.responses_lost && self.queue.len() > 1;
    }

    /// A response has begun, at the start of a turn or not.
    pub(super) fn answer(&mut self, turn: bool) -> Match {
        if self.responses_lost {
            let newest = self.queue.back().is_some_and(|pending| pending.quiet);
            if !turn || !newest || self.requests != Hole::None {
                return self.orphan();
            }
            self.responses_lost = false;
            if let Some(back) = self.queue.back_mut() {
                back.sure = true;
                back.doubt = false;
                back.provisional = true;
            }
            return Match::Back;
        }
        match self.queue.front() {
            Some(front) if front.sure && front.response == Phase::None => Match::Front,
            Some(front) => {
                self.pipelined |= front.doubt;
                self.orphan()
            }
            None => self.orphan(),
        }
    }

    fn orphan(&mut self) -> Match {
        self.orphans = self.orphans.saturating_add(1);
        Match::Orphan
    }

    /// The request that is still arriving, if one is: only the newest can be.
    pub(super) fn arriving(&mut self) -> Option<&mut Pending> {
        self.queue
            .back_mut()
            .map(Box::as_mut)
            .filter(|pending| pending.request == Phase::Open)
    }
}
