//! HTTP/1.0 and HTTP/1.1 on one connection (RFC 9112).
//!
//! In: chunks, gaps and ends of both ways. Out: exchanges. One [`Reader`] per way finds messages, [`Pairing`] finds
//! out which belong together, and each exchange is built in place in a [`Pending`]. A connection between exchanges
//! holds no buffer. Refuses to pair across what it did not see; see [`pairing`].

mod chunked;
mod head;
mod incoming;
mod known;
mod lengths;
mod lenient;
mod pairing;
mod pending;
mod reader;
mod requests;
mod responses;
mod reuse;
mod shapes;

use std::time::Duration;

use pairing::{Hole, Pairing};
use pending::{Pending, Phase};
use reader::Reader;

pub(crate) use reader::{odd_request, odd_response};
pub(crate) use reuse::Reuse;

use super::{
    session::{Chunk, Context, Gap, Session, Way},
    upgrade,
};
use crate::{clock::Timestamp, exchange::Facts};

/// After such a pause even a pipelining client has got all its responses.
const PAUSE: Duration = Duration::from_secs(1);

/// Where the response that is arriving goes to.
#[derive(Debug)]
enum Current {
    /// None is arriving.
    None,
    /// To the oldest exchange.
    Front,
    /// To one of its own: its request is not known.
    Orphan(Box<Pending>),
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Http1 {
    requests: Reader,
    responses: Reader,
    pairing: Pairing,
    current: Current,
    /// The response that is arriving has no end in sight by its type.
    event_stream: bool,
    /// The present request made servers disagree about where it ends.
    ambiguous: bool,
    number: u64,
    /// When a request byte was seen last, and when any byte was.
    last: Timestamp,
    /// Bytes that pending exchanges hold.
    held: usize,
    /// The protocol that the connection speaks from now on.
    successor: Option<Session>,
}

impl Http1 {
    /// At the start of a connection; `lost` tells of each [`Way`] that it is joined in the middle.
    pub(crate) fn new(lost: [bool; 2]) -> Self {
        let mut this = Self {
            requests: Reader::new(head::Kind::Request),
            responses: Reader::new(head::Kind::Response),
            pairing: Pairing::new(),
            current: Current::None,
            event_stream: false,
            ambiguous: false,
            number: 0,
            last: Timestamp::default(),
            held: 0,
            successor: None,
        };
        let [requests, responses] = lost;
        if requests {
            this.requests.lose();
            this.pairing.requests = Hole::Between;
        }
        if responses {
            this.responses.lose();
            this.pairing.responses_lost = true;
        }
        this
    }

    pub(crate) fn bytes(&mut self, way: Way, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        match way {
            Way::Request => self.request_bytes(chunk, cx),
            Way::Response => self.response_bytes(chunk, cx),
        }
        self.last = chunk.at;
    }

    pub(crate) fn gap(&mut self, way: Way, gap: Gap, cx: &mut Context<'_>) {
        match way {
            Way::Request => self.request_gap(gap, cx),
            Way::Response => self.response_gap(gap, cx),
        }
        self.last = gap.at;
    }

    pub(crate) fn eof(&mut self, way: Way, at: Timestamp, cx: &mut Context<'_>) {
        match way {
            Way::Request => self.confirm(cx),
            Way::Response if self.responses.is_until_close() => {
                self.responses.lose();
                self.response_end(at, cx);
            }
            Way::Response => {}
        }
    }

    pub(crate) fn idle(&mut self, silent: [bool; 2], cx: &mut Context<'_>) {
        let [request_silent, response_silent] = silent;
        let over = match &self.current {
            Current::None => false,
            Current::Front | Current::Orphan(_) => {
                self.event_stream
                    || self.responses.is_until_close()
                    || self.responses.is_lost()
                    || (response_silent && self.responses.remaining().is_some())
            }
        };
        if over {
            let at = self.last;
            let remaining = self.responses.remaining().unwrap_or(0);
            let unbounded = remaining == 0;
            if let Some(pending) = self.current() {
                pending.body(true).skip(remaining);
                if unbounded {
                    pending.body(true).lose_framing();
                }
            }
            self.response_done(at, false, cx);
        }
        self.deny(cx);
        let answered = self
            .pairing
            .queue
            .front()
            .is_some_and(|front| front.response == Phase::Done);
        if answered {
            let remaining = self.requests.remaining().unwrap_or(0);
            if let Some(front) = self.pairing.queue.front_mut() {
                if request_silent {
                    front.body(false).skip(remaining);
                } else {
                    front.truncated = true;
                    front.body(false).lose_framing();
                }
            }
            self.emit_front(cx);
        }
    }

    pub(crate) fn close(&mut self, silent: [bool; 2], cx: &mut Context<'_>) {
        self.idle(silent, cx);
        if let Some(pending) = self.current() {
            pending.truncated = true;
            pending.body(true).lose_framing();
            let at = self.last;
            self.response_done(at, false, cx);
        }
        while let Some(mut pending) = self.pairing.queue.pop_front() {
            if pending.request == Phase::Open {
                pending.truncated = true;
                pending.body(false).lose_framing();
            }
            self.emit(pending, cx);
        }
        self.requests.lose();
        self.responses.lose();
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.pairing.queue.is_empty() || !matches!(self.current, Current::None)
    }

    pub(crate) fn memory(&self) -> usize {
        self.held
            + self.requests.held()
            + self.responses.held()
            + self.pairing.queue.capacity() * size_of::<Box<Pending>>()
            + self.pairing.queue.len() * size_of::<Pending>()
    }

    /// Bytes that may still be buffered.
    fn room(&self, cx: &Context<'_>) -> usize {
        cx.limits
            .connection_bytes
            .saturating_sub(self.held + self.requests.held() + self.responses.held())
    }

    /// Bytes of bodies that may still be buffered: heads have half of the buffer to themselves.
    fn body_room(&self, cx: &Context<'_>) -> usize {
        self.room(cx).saturating_sub(cx.limits.connection_bytes / 2)
    }

    /// The exchange whose response is arriving.
    fn current(&mut self) -> Option<&mut Pending> {
        match &mut self.current {
            Current::None => None,
            Current::Front => self.pairing.queue.front_mut().map(Box::as_mut),
            Current::Orphan(pending) => Some(pending),
        }
    }

    /// Gives up all exchanges but the newest `keep` that wait for a response; one whose response is arriving in exact
    /// framing stays too.
    fn settle(&mut self, keep: usize, cx: &mut Context<'_>) {
        let arriving = matches!(self.current, Current::Front);
        let mut kept = None;
        if arriving && self.responses.is_lost() {
            self.response_done(self.last, true, cx);
        } else if arriving {
            kept = self.pairing.queue.pop_front();
        }
        while self.pairing.queue.len() > keep {
            if let Some(mut pending) = self.pairing.queue.pop_front() {
                pending.loss |= pending.response == Phase::None;
                self.emit(pending, cx);
            }
        }
        if let Some(kept) = kept {
            self.pairing.queue.push_front(kept);
        }
    }

    /// No request was lost behind the newest: a pairing that depended on it holds.
    fn confirm(&mut self, cx: &mut Context<'_>) {
        let Some(front) = self.pairing.queue.front_mut().filter(|front| front.provisional) else {
            return;
        };
        front.provisional = false;
        if front.response == Phase::Done && front.request == Phase::Done {
            self.emit_front(cx);
        }
    }

    /// Requests may be lost behind the newest: a response that was paired with it may be another's.
    fn deny(&mut self, cx: &mut Context<'_>) {
        let Some(front) = self.pairing.queue.front_mut().filter(|front| front.provisional) else {
            return;
        };
        let orphan = front.split(cx);
        front.sure = false;
        front.quiet = false;
        self.pairing.responses_lost = true;
        cx.stats.orphan_responses += 1;
        if matches!(self.current, Current::Front) {
            self.current = Current::Orphan(orphan);
        } else {
            self.emit(orphan, cx);
        }
    }

    fn emit_front(&mut self, cx: &mut Context<'_>) {
        if let Some(front) = self.pairing.queue.pop_front() {
            self.emit(front, cx);
        }
        if self.pairing.queue.is_empty() && self.pairing.queue.capacity() > 16 {
            self.pairing.queue.shrink_to(4);
        }
    }

    fn emit(&mut self, pending: Box<Pending>, cx: &mut Context<'_>) {
        self.held = self.held.saturating_sub(pending.held());
        pending.finish(self.number, cx);
        self.number += 1;
    }

    /// What takes over from here, once.
    pub(crate) fn take_successor(&mut self) -> Option<Session> {
        self.successor.take()
    }

    /// Bytes behind the end of HTTP/1.
    fn tunnel(&mut self, way: Way, bytes: &[u8], chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        cx.stats.upgraded_bytes += bytes.len() as u64;
        if let Some(successor) = &mut self.successor {
            successor.bytes(way, &Chunk { bytes, ..*chunk }, cx);
        }
    }

    /// Ends HTTP/1 on this connection.
    fn upgrade(&mut self, at: Timestamp, cx: &mut Context<'_>) {
        if let Some(pending) = self.current() {
            pending.add(Facts::UPGRADED);
            pending.request = Phase::Done;
        }
        let before = cx.out.len();
        self.response_done(at, false, cx);
        if cx.out.len() > before {
            self.successor = upgrade::successor(cx.out);
        }
        self.requests.tunnel();
        self.responses.tunnel();
        cx.stats.upgraded_connections += 1;
    }
}
