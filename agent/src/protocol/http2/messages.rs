//! What messages mean for the exchanges of their streams: beginnings, bodies, ends, resets.

use super::{
    Http2,
    fields::Fields,
    frame::Header,
    stream::{Phase, Stream},
};
use crate::{
    clock::Timestamp,
    exchange::Facts,
    protocol::session::{Context, Way},
};

/// Streams that a client resets on one connection before its resets count as rapid (CVE-2023-44487), if they are
/// also at least half of its streams.
const RAPID_RESETS: u64 = 100;

/// Streams that the client has reset and whose response may be on its way. Overflow policy: the oldest is told
/// without it.
const MAX_RESET_STREAMS: usize = 32;

impl Http2 {
    pub(super) fn request_fields(&mut self, id: u32, fields: Fields, at: Timestamp, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.has_request()
        {
            stream.set_trailers(Way::Request, &fields);
            return;
        }
        let is_new = id > self.newest || self.streams.contains(&id);
        // Requests come on odd streams. A stream that is over may still get trailers.
        if id.is_multiple_of(2) || !is_new || !fields.is_request {
            return;
        }
        self.newest = self.newest.max(id);
        self.stream(id, at, cx).set_request(fields, at, cx);
        self.count_head(id);
    }

    pub(super) fn response_fields(
        &mut self,
        id: u32,
        fields: Fields,
        at: Timestamp,
        ends_stream: bool,
        cx: &mut Context<'_>,
    ) {
        // RFC 9113 §8.1: interim responses precede the final one, and do not end the stream.
        let is_interim = fields.status.is_some_and(|status| status < 200);
        if is_interim && !ends_stream {
            return;
        }
        match self
            .streams
            .get_mut(&id)
            .map(|stream| stream.phase(Way::Response))
        {
            Some(Phase::None) => {
                // Fields of unknown names that end the stream may as well be trailers of a response that was lost.
                let losses = self.responses.losses;
                if let Some(stream) = self.streams.get_mut(&id) {
                    if fields.status.is_none() && ends_stream && stream.is_doubtful(Way::Response, losses) {
                        stream.set_trailers(Way::Response, &fields);
                    } else {
                        stream.set_response(fields, at, cx);
                    }
                }
                self.count_head(id);
                self.note_tunnel(id);
            }
            Some(_) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.set_trailers(Way::Response, &fields);
                }
            }
            None => {
                // The request was lost, or is about to be told: its event may come second.
                let could_be_lost = self.requests.losses > 0;
                let is_news = id > self.newest || could_be_lost;
                if fields.status.is_some() && !is_interim && is_news && !id.is_multiple_of(2) {
                    cx.stats.orphan_responses += u64::from(could_be_lost);
                    self.stream(id, at, cx).set_response(fields, at, cx);
                    self.count_head(id);
                }
            }
        }
    }

    /// RFC 9110 §9.3.6: a 2xx response makes the stream a tunnel.
    fn note_tunnel(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(&id)
            && stream.method() == Some("CONNECT")
        {
            stream.add(Facts::UPGRADED);
        }
    }

    /// The server announces a response nobody asked for (RFC 9113 §8.4).
    pub(super) fn promise(&mut self, id: u32, fields: Fields, at: Timestamp, cx: &mut Context<'_>) {
        if !id.is_multiple_of(2) || id <= self.newest_promised || !fields.is_request {
            return;
        }
        self.newest_promised = id;
        let stream = self.stream(id, at, cx);
        stream.set_request(fields, at, cx);
        stream.add(Facts::PUSHED);
        self.count_head(id);
        self.end(Way::Request, id, at, cx);
    }

    /// The stream with this id, made if needed.
    fn stream(&mut self, id: u32, at: Timestamp, cx: &mut Context<'_>) -> &mut Stream {
        if !self.streams.contains(&id) && self.streams.len() >= cx.limits.pending_requests {
            cx.stats.pending_full += 1;
            if let Some(oldest) = self.streams.peek_lru().map(|(id, _)| *id) {
                if let Some(stream) = self.streams.peek_mut(&oldest) {
                    stream.lose();
                }
                self.stop(oldest, true, cx);
            }
        }
        let losses = self.losses();
        let number = &mut self.number;
        self.streams.get_or_insert_mut(id, || {
            *number += 1;
            Box::new(Stream::new(id, *number - 1, at, losses, cx))
        })
    }

    fn count_head(&mut self, id: u32) {
        let stream = self.streams.peek_mut(&id);
        self.held += stream.map_or(0, |stream| stream.take_new_head_bytes());
    }

    pub(super) fn data(
        &mut self,
        way: Way,
        header: Header,
        bytes: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let room = self.body_room(cx);
        if let Some(stream) = self.streams.get_mut(&header.stream) {
            self.held += stream.data(way, bytes, at, room);
        }
    }

    /// One way of a stream has ended.
    pub(super) fn end(&mut self, way: Way, id: u32, at: Timestamp, cx: &mut Context<'_>) {
        let [request_losses, response_losses] = self.losses();
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        match way {
            Way::Request => stream.end(way, at, request_losses),
            Way::Response => {
                stream.end(way, at, response_losses);
                // The end of the request may have been lost.
                if stream.is_doubtful(Way::Request, request_losses) {
                    stream.end(Way::Request, at, request_losses);
                }
            }
        }
        let has_ended = |way| stream.phase(way) == Phase::Done;
        let is_over = has_ended(Way::Response) && (has_ended(Way::Request) || stream.is_reset);
        if is_over {
            self.emit(id, cx);
        }
    }

    pub(super) fn reset(&mut self, way: Way, id: u32, payload: &[u8], cx: &mut Context<'_>) {
        let has_news = self.streams.contains(&id);
        if way == Way::Request && (has_news || id <= self.newest) {
            self.resets += 1;
            cx.stats.http2_resets += 1;
        }
        let is_rapid = self.resets >= RAPID_RESETS && self.resets >= self.number / 2;
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        // RFC 9113 §8.1: after its whole response, a server stops the rest of the request without an error.
        let is_error = payload != [0; 4] || stream.phase(Way::Response) != Phase::Done;
        if is_error {
            stream.add(match way {
                Way::Request => Facts::RESET_BY_CLIENT,
                Way::Response => Facts::RESET_BY_SERVER,
            });
        }
        if way == Way::Response || stream.phase(Way::Response) == Phase::Done {
            self.stop(id, true, cx);
            return;
        }
        // The response may have been sent by now.
        if is_rapid {
            stream.add(Facts::RAPID_RESETS);
        }
        if stream.phase(Way::Request) == Phase::None || std::mem::replace(&mut stream.is_reset, true) {
            return;
        }
        self.reset.push_back(id);
        if self.reset.len() > MAX_RESET_STREAMS
            && let Some(oldest) = self.reset.pop_front()
        {
            self.stop(oldest, true, cx);
        }
    }

    /// RFC 9113 §6.8: streams beyond the last one named were not looked at and never will be.
    pub(super) fn go_away(&mut self, payload: &[u8], cx: &mut Context<'_>) {
        let Some(last) = payload.first_chunk::<4>() else {
            return;
        };
        let last = u32::from_be_bytes(*last) & 0x7fff_ffff;
        let beyond: Vec<u32> = self
            .streams
            .iter()
            .filter(|(id, stream)| **id > last && **id % 2 == 1 && stream.phase(Way::Response) == Phase::None)
            .map(|(id, _)| *id)
            .collect();
        for id in beyond.into_iter().rev() {
            self.stop(id, true, cx);
        }
    }

    /// Gives up a stream. Without `now` it is over in all likelihood, but its connection goes on.
    pub(super) fn stop(&mut self, id: u32, now: bool, cx: &mut Context<'_>) {
        let losses = self.losses();
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.stop(losses, now);
        }
        self.emit(id, cx);
    }

    fn emit(&mut self, id: u32, cx: &mut Context<'_>) {
        if let Some(stream) = self.streams.pop(&id) {
            self.held = self.held.saturating_sub(stream.held());
            cx.out.push(stream.finish());
        }
    }
}
