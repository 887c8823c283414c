//! The way of requests: new exchanges, their bodies, and what gaps do to them.

use super::{
    Current, Http1, PAUSE,
    head::{Kind, MAX_HEAD_BYTES},
    incoming::Incoming,
    lengths::Rule,
    lenient,
    pairing::Hole,
    pending::{Pending, Phase},
    reader::{Framing, Skipped, Step},
};
use crate::{
    clock::Timestamp,
    exchange::Facts,
    protocol::session::{Chunk, Context, Gap, Way},
};

impl Http1 {
    pub(super) fn request_bytes(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        self.confirm(cx);
        let mut input = chunk.bytes;
        loop {
            match self.requests.next(&mut input, chunk, &cx.reuse.heads) {
                Step::More => break,
                Step::Head(head) if head.len() > self.room(cx) => {
                    cx.stats.buffer_full += 1;
                    self.requests.lose();
                    self.pairing.requests = Hole::Between;
                }
                Step::Head(head) => self.request_head(head, chunk.at, cx),
                Step::Body(bytes, expected) => {
                    let room = self.body_room(cx);
                    if let Some(pending) = self.pairing.arriving() {
                        pending.touch(false, chunk.at);
                        self.held += pending.body(false).push(bytes, expected, room);
                    }
                    if expected == Some(bytes.len() as u64) {
                        self.requests.frame(Framing::Length(0));
                        self.request_end(chunk.at, cx);
                    }
                }
                Step::End => {
                    let trailers = self.requests.take_trailers();
                    if !trailers.is_empty()
                        && let Some(pending) = self.pairing.arriving()
                    {
                        self.held += pending.add_trailers(false, trailers, cx);
                    }
                    self.request_end(chunk.at, cx);
                }
                Step::LikelyEnd => self.request_end(chunk.at, cx),
                Step::Resync => {
                    cx.stats.resyncs += 1;
                    self.request_unfinished(cx);
                }
                Step::Malformed(head) => self.request_malformed(head, chunk.at, cx),
                Step::Tunnel(bytes) => self.tunnel(Way::Request, bytes, chunk, cx),
            }
        }
    }

    fn request_head(&mut self, head: Incoming<'_>, at: Timestamp, cx: &mut Context<'_>) {
        let lengths = &head.parsed().lengths;
        let (rule, ambiguous) = (lengths.rule(), lengths.ambiguous());
        self.request_starts(head, at, cx);
        let method = self.pairing.arriving().and_then(|pending| pending.method());
        let framing = match rule {
            // RFC 9110 §9.3.6: what follows it belongs to the tunnel.
            _ if method == Some("CONNECT") => Framing::Length(0),
            Rule::Length(length) => Framing::Length(length),
            Rule::Chunked => Framing::Chunked,
            // RFC 9112 §6.3: a request without a length has no body.
            Rule::Unsaid => Framing::Length(0),
        };
        self.ambiguous = ambiguous;
        if self.requests.frame(framing) {
            self.request_end(at, cx);
        }
    }

    /// Puts a new exchange into the queue.
    fn request_starts(&mut self, head: Incoming<'_>, at: Timestamp, cx: &mut Context<'_>) {
        if self.pairing.queue.len() >= cx.limits.pending_requests {
            // The order is not certain any more once one is given up.
            cx.stats.pending_full += 1;
            self.settle(0, cx);
            self.pairing.responses_lost = true;
        }
        let started = self.requests.started;
        let paused = started.since(self.last) >= PAUSE;
        let place = self.pairing.place(self.requests.turn, paused);
        if place.settles {
            self.settle(0, cx);
        }
        let mut pending = Pending::new(started, head.parsed().minor, cx);
        pending.set_request(head, cx);
        pending.touch(false, at);
        pending.quiet = place.quiet;
        pending.sure = place.sure;
        pending.doubt = place.doubt;
        self.held += pending.held();
        self.pairing.push(pending);
    }

    fn request_end(&mut self, at: Timestamp, cx: &mut Context<'_>) {
        if std::mem::take(&mut self.ambiguous) {
            // Where the next request starts is the server's opinion.
            self.pairing.requests = Hole::Inside;
        }
        if let Some(pending) = self.pairing.arriving() {
            pending.touch(false, at);
            pending.request = Phase::Done;
            if pending.response == Phase::Done && !pending.provisional {
                self.emit_front(cx);
            }
        }
    }

    /// The end of the arriving request was not seen and will not be.
    fn request_unfinished(&mut self, cx: &mut Context<'_>) {
        self.ambiguous = false;
        if let Some(pending) = self.pairing.arriving() {
            pending.request = Phase::Done;
            pending.body(false).lose_framing();
            if pending.response == Phase::Done && !pending.provisional {
                self.emit_front(cx);
            }
        }
    }

    fn request_malformed(&mut self, head: Option<Vec<u8>>, at: Timestamp, cx: &mut Context<'_>) {
        cx.stats.malformed += 1;
        match head {
            // Longer than the bound, but a request all the same.
            Some(head) => self.request_cut_head(head, at, true, cx),
            None => {
                if let Some(pending) = self.pairing.arriving() {
                    pending.add(Facts::MALFORMED_CHUNK);
                    pending.loss = true;
                    pending.body(false).lose_framing();
                    self.pairing.requests = Hole::Inside;
                } else {
                    self.pairing.requests = Hole::Between;
                }
            }
        }
    }

    /// A head whose end is missing: the request line and whole fields in front are kept.
    fn request_cut_head(&mut self, mut head: Vec<u8>, at: Timestamp, loss: bool, cx: &mut Context<'_>) {
        let before = std::mem::replace(&mut self.pairing.requests, Hole::Between);
        head.truncate(MAX_HEAD_BYTES);
        let Some(end) = memchr::memrchr(b'\n', &head) else {
            return;
        };
        head.truncate(end + 1);
        let Some(mut parsed) = lenient::parse(Kind::Request, &head) else {
            return;
        };
        parsed.cut = true;
        if self.pairing.orphans > 0 {
            // Its response may have come already, before its loss was known of.
            let mut pending = Pending::new(self.requests.started, parsed.minor, cx);
            pending.set_request(Incoming::Joined(Box::new(parsed), head), cx);
            pending.body(false).lose_framing();
            pending.loss = true;
            self.emit(pending, cx);
            return;
        }
        // It is known of, as well as what came before it; what follows it is not.
        self.pairing.requests = before;
        self.request_starts(Incoming::Joined(Box::new(parsed), head), at, cx);
        if self.pairing.requests == Hole::None {
            self.pairing.requests = Hole::Inside;
        }
        if let Some(pending) = self.pairing.arriving() {
            pending.loss |= loss;
            pending.body(false).lose_framing();
        }
    }

    pub(super) fn request_gap(&mut self, gap: Gap, cx: &mut Context<'_>) {
        let skipped = self.requests.gap(gap.length);
        if !matches!(skipped, Skipped::Body { beyond: false, .. }) {
            self.deny(cx);
        }
        match skipped {
            Skipped::Body { bytes, ended, beyond } => {
                if let Some(pending) = self.pairing.arriving() {
                    pending.body(false).skip(bytes);
                    pending.loss |= gap.loss && bytes > 0;
                    pending.touch(false, gap.at);
                }
                if ended {
                    self.request_end(gap.at, cx);
                }
                if beyond {
                    self.pairing.requests = Hole::Between;
                }
            }
            Skipped::Head(bytes) => self.request_cut_head(bytes, gap.at, gap.loss, cx),
            Skipped::Between => self.pairing.requests = Hole::Between,
            Skipped::Framing => {
                if let Some(pending) = self.pairing.arriving() {
                    pending.body(false).lose_framing();
                    pending.loss |= gap.loss;
                }
                self.pairing.requests = Hole::Inside;
            }
            Skipped::Nothing => {
                if gap.loss
                    && let Some(pending) = self.pairing.arriving()
                {
                    pending.loss = true;
                }
            }
        }
    }

    /// Whether the end of the arriving request can only be inferred from its response.
    pub(super) fn request_end_unknown(&self) -> bool {
        self.requests.is_lost()
    }

    /// Whether a request waits for a response that has not begun.
    pub(super) fn awaits_response(&self) -> bool {
        let begun = usize::from(matches!(self.current, Current::Front));
        self.pairing.queue.len() > begun
    }
}
