//! The way of responses: whose they are, their bodies, and what gaps do to them.

use super::{
    Current, Http1,
    head::{Kind, Line, MAX_HEAD_BYTES, Parsed},
    incoming::Incoming,
    lengths::Rule,
    lenient,
    pairing::Match,
    pending::{Pending, Phase},
    reader::{self, Framing, Skipped, Step},
};
use crate::{
    clock::Timestamp,
    exchange::Facts,
    protocol::session::{Chunk, Context, Gap, Way},
};

impl Http1 {
    pub(super) fn response_bytes(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        if chunk.turn {
            self.response_turn(chunk, cx);
        }
        let mut input = chunk.bytes;
        loop {
            if self.responses.is_between() {
                self.pairing.begin_head();
            }
            match self.responses.next(&mut input, chunk, &cx.reuse.heads) {
                Step::More => break,
                Step::Head(head) if head.len() > self.room(cx) => {
                    cx.stats.buffer_full += 1;
                    self.responses.lose();
                    self.pairing.responses_lost = true;
                }
                Step::Head(head) => self.response_head(head, chunk.at, cx),
                Step::Body(bytes, expected) => {
                    let room = self.body_room(cx);
                    let kept = self.current().map_or(0, |pending| {
                        pending.touch(true, chunk.at);
                        pending.body(true).push(bytes, expected, room)
                    });
                    self.held += kept;
                    if expected == Some(bytes.len() as u64) {
                        self.responses.frame(Framing::Length(0));
                        self.response_end(chunk.at, cx);
                    }
                }
                Step::End => {
                    let trailers = self.responses.take_trailers();
                    if !trailers.is_empty() {
                        let more = self
                            .current()
                            .map_or(0, |pending| pending.add_trailers(true, trailers, cx));
                        self.held += more;
                    }
                    self.response_end(chunk.at, cx);
                }
                Step::LikelyEnd => {
                    // With nothing else outstanding, and nothing lost, it can only be the end of this response.
                    let alone = self.pairing.queue.len() <= 1 && matches!(self.current, Current::Front);
                    if alone && self.current().is_some_and(|pending| !pending.loss) {
                        self.pairing.responses_lost = false;
                    }
                    self.response_end(chunk.at, cx);
                }
                Step::Resync => {
                    cx.stats.resyncs += 1;
                    let at = self.last;
                    self.response_done(at, true, cx);
                }
                Step::Malformed(head) => self.response_malformed(head, chunk.at, cx),
                Step::Tunnel(bytes) => self.tunnel(Way::Response, bytes, chunk, cx),
            }
        }
    }

    /// A turn that looks like a new response ends two kinds of body that have no end of their own: one that only the
    /// end of the stream would end, while a further request waits; and one declared in the answer to what was a HEAD
    /// request that was not seen.
    fn response_turn(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        let until_close = self.responses.is_until_close() && self.awaits_response();
        let bodyless = self.responses.body_untouched() && matches!(self.current, Current::Orphan(_));
        if (until_close || bodyless) && reader::starts(Kind::Response, chunk.bytes, false) {
            self.responses.restart();
            self.response_end(self.last, cx);
        }
    }

    fn response_head(&mut self, head: Incoming<'_>, at: Timestamp, cx: &mut Context<'_>) {
        let parsed = head.parsed();
        let Line::Status(status) = parsed.line else {
            return;
        };
        // RFC 9110 §15.2: interim responses precede the final one. 101 is the final one of HTTP/1.
        if (100..200).contains(&status) && status != 101 {
            if self.pairing.responses_lost && self.responses.turn {
                self.response_matches(cx);
                self.unmatch();
            }
            self.responses.frame(Framing::Length(0));
            return;
        }
        let rule = parsed.lengths.rule();
        let event_stream = parsed.lengths.event_stream;
        self.pairing.note_overlap();
        self.response_starts(status, head, cx);
        self.event_stream = event_stream;
        let method = self.current().and_then(|pending| pending.method());
        let connect = method == Some("CONNECT") && (200..300).contains(&status);
        let to_head = method == Some("HEAD");
        if status == 101 || connect {
            self.upgrade(at, cx);
            return;
        }
        let framing = match rule {
            _ if to_head || status == 204 || status == 304 => Framing::Length(0),
            Rule::Length(length) => Framing::Length(length),
            Rule::Chunked => Framing::Chunked,
            Rule::Unsaid => Framing::UntilClose,
        };
        if self.responses.frame(framing) {
            self.response_end(at, cx);
        }
    }

    /// Finds the exchange of a response that begins and puts its head there.
    fn response_starts(&mut self, status: u16, head: Incoming<'_>, cx: &mut Context<'_>) {
        self.response_matches(cx);
        let started = self.responses.started;
        let held = head.len();
        if matches!(self.current, Current::None) {
            let mut orphan = Pending::new(started, head.parsed().minor, cx);
            orphan.request = Phase::Done;
            self.current = Current::Orphan(orphan);
            cx.stats.orphan_responses += 1;
        }
        if let Some(pending) = self.current() {
            pending.set_response(status, head, started, cx);
            self.held += held;
        }
    }

    /// Makes the exchange that the response which begins belongs to the current one, if there is one.
    fn response_matches(&mut self, cx: &mut Context<'_>) {
        let at = self.last;
        self.response_done(at, true, cx);
        // Two responses to one request: the first was another's.
        self.deny(cx);
        self.current = match self.pairing.answer(self.responses.turn) {
            Match::Orphan => Current::None,
            Match::Front => Current::Front,
            Match::Back => {
                self.settle(1, cx);
                Current::Front
            }
        };
    }

    /// An interim response settles whose turn it is, and begins nothing.
    fn unmatch(&mut self) {
        if matches!(self.current, Current::None) {
            self.pairing.orphans = self.pairing.orphans.saturating_sub(1);
        }
        self.current = Current::None;
    }

    pub(super) fn response_end(&mut self, at: Timestamp, cx: &mut Context<'_>) {
        self.response_done(at, false, cx);
    }

    /// The present response is over; `unfinished` if its end was not seen.
    pub(super) fn response_done(&mut self, at: Timestamp, unfinished: bool, cx: &mut Context<'_>) {
        self.event_stream = false;
        match std::mem::replace(&mut self.current, Current::None) {
            Current::None => {}
            Current::Orphan(mut pending) => {
                pending.response = Phase::Done;
                if unfinished {
                    pending.body(true).lose_framing();
                } else {
                    pending.touch(true, at);
                }
                self.emit(pending, cx);
            }
            Current::Front => {
                let request_over = self.request_end_unknown();
                let Some(front) = self.pairing.queue.front_mut() else {
                    return;
                };
                front.response = Phase::Done;
                if unfinished {
                    front.body(true).lose_framing();
                } else {
                    front.touch(true, at);
                }
                if front.request == Phase::Open && request_over {
                    front.request = Phase::Done;
                }
                if front.request == Phase::Done && !front.provisional {
                    self.emit_front(cx);
                }
            }
        }
    }

    fn response_malformed(&mut self, head: Option<Vec<u8>>, at: Timestamp, cx: &mut Context<'_>) {
        cx.stats.malformed += 1;
        if let Some(head) = head {
            self.response_cut_head(head, at, true, cx);
            return;
        }
        self.pairing.responses_lost = true;
        if let Some(pending) = self.current() {
            pending.add(Facts::MALFORMED_CHUNK);
            pending.loss = true;
            pending.body(true).lose_framing();
        }
    }

    /// A head whose end is missing: the status and whole fields in front are kept.
    fn response_cut_head(&mut self, mut head: Vec<u8>, at: Timestamp, loss: bool, cx: &mut Context<'_>) {
        if self.pairing.responses_lost || self.pairing.front_is_newer_than_head() {
            // The request that waits came behind this head, before its loss was known of.
            self.pairing.responses_lost = true;
            return;
        }
        head.truncate(MAX_HEAD_BYTES);
        let parsed = memchr::memrchr(b'\n', &head).and_then(|end| {
            head.truncate(end + 1);
            lenient::parse(Kind::Response, &head)
        });
        let status = match &parsed {
            Some(Parsed {
                line: Line::Status(status),
                ..
            }) if *status >= 200 => *status,
            _ => {
                self.pairing.responses_lost = true;
                return;
            }
        };
        if let Some(mut parsed) = parsed {
            parsed.cut = true;
            self.response_starts(status, Incoming::Joined(Box::new(parsed), head), cx);
            if let Some(pending) = self.current() {
                pending.loss |= loss;
                pending.body(true).lose_framing();
                pending.touch(true, at);
            }
        }
        self.pairing.responses_lost = true;
    }

    pub(super) fn response_gap(&mut self, gap: Gap, cx: &mut Context<'_>) {
        match self.responses.gap(gap.length) {
            Skipped::Body { bytes, ended, beyond } => {
                if let Some(pending) = self.current() {
                    pending.body(true).skip(bytes);
                    pending.loss |= gap.loss && bytes > 0;
                    pending.touch(true, gap.at);
                }
                if ended {
                    self.response_end(gap.at, cx);
                }
                if beyond {
                    self.pairing.responses_lost = true;
                }
            }
            Skipped::Head(bytes) => self.response_cut_head(bytes, gap.at, gap.loss, cx),
            Skipped::Between => self.pairing.responses_lost = true,
            Skipped::Framing => {
                if let Some(pending) = self.current() {
                    pending.body(true).lose_framing();
                    pending.loss |= gap.loss;
                }
                self.pairing.responses_lost = true;
            }
            Skipped::Nothing => {
                if gap.loss
                    && let Some(pending) = self.current()
                {
                    pending.loss = true;
                }
            }
        }
    }
}
