//! HTTP/2 on one connection (RFC 9113).
//!
//! In: chunks, gaps and ends of both ways. Out: an exchange per stream, when both of its messages have ended or one
//! end gave it up. One [`Reader`] per way finds frames, one [`Decoder`] per way fields; both can join in the middle.
//! Refuses to guess: what a gap made uncertain is told as lost.

mod block;
mod fields;
mod frame;
mod hpack;
mod joined;
mod reader;
mod stream;

#[cfg(test)]
mod tests;

use lru::LruCache;

use block::Block;
use fields::Fields;
use frame::{Header, flag, kind};
use hpack::Decoder;
use reader::{Reader, Step};
use stream::{Phase, Stream};

pub(crate) use frame::could_be_server_start;
pub(crate) use joined::side;

use super::session::{Chunk, Context, Gap, Way};
use crate::{clock::Timestamp, exchange::Facts};

/// Streams that a client resets on one connection before its resets count as rapid (CVE-2023-44487), if they are
/// also at least half of its streams.
const RAPID_RESETS: u64 = 100;

/// One direction.
#[derive(Debug)]
struct Half {
    reader: Reader,
    decoder: Decoder,
    /// A block of fields whose end was not seen yet.
    block: Option<Block>,
    /// Times that framing was lost.
    losses: u64,
}

impl Half {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            decoder: Decoder::new(),
            block: None,
            losses: 0,
        }
    }

    /// Frames may have passed unseen.
    fn lose(&mut self) {
        self.losses += 1;
        self.decoder.lose();
    }

    fn held(&self) -> usize {
        self.reader.held() + self.block.as_ref().map_or(0, Block::held)
    }
}

/// What is known of a connection before its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Join {
    /// It is seen from the start.
    Start,
    /// The server's first bytes, which cannot hold fields, were not seen.
    WithoutServerStart,
    /// It is joined in the middle.
    Late,
}

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    requests: Half,
    responses: Half,
    /// Streams whose exchange is under way, by use.
    streams: LruCache<u32, Box<Stream>>,
    /// Newest stream of the client, and newest promised by the server.
    newest: u32,
    newest_promised: u32,
    number: u64,
    /// Streams that the client has reset.
    resets: u64,
    /// Bytes that streams hold.
    held: usize,
    last: Timestamp,
}

impl Http2 {
    pub(crate) fn new(join: Join) -> Self {
        let (client, server) = match join {
            Join::Start => (Reader::client(), Reader::server()),
            Join::WithoutServerStart => (Reader::client(), Reader::lost()),
            Join::Late => (Reader::lost(), Reader::lost()),
        };
        let mut this = Self {
            requests: Half::new(client),
            responses: Half::new(server),
            streams: LruCache::unbounded(),
            newest: 0,
            newest_promised: 0,
            number: 0,
            resets: 0,
            held: 0,
            last: Timestamp::default(),
        };
        if join == Join::Late {
            this.requests.lose();
            this.responses.lose();
        }
        this
    }

    fn half(&mut self, way: Way) -> &mut Half {
        match way {
            Way::Request => &mut self.requests,
            Way::Response => &mut self.responses,
        }
    }

    fn losses(&self) -> [u64; 2] {
        [self.requests.losses, self.responses.losses]
    }

    pub(crate) fn bytes(&mut self, way: Way, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        self.last = chunk.at;
        let mut input = chunk.bytes;
        loop {
            let newest = self.newest.max(self.newest_promised);
            match self.half(way).reader.next(&mut input, chunk, newest) {
                Step::More => break,
                Step::Frame(header, payload) => self.frame(way, header, &payload, chunk.at, cx),
                Step::Data(header, bytes) => self.data(way, header, bytes, chunk.at, cx),
                Step::DataEnd(header) => {
                    if header.has(flag::END_STREAM) {
                        self.end(way, header.stream, chunk.at, cx);
                    }
                }
                Step::TooLong(header) => {
                    cx.stats.buffer_full += 1;
                    self.broken(way, header, &[], true, chunk.at, cx);
                }
                Step::Resync => cx.stats.resyncs += 1,
                Step::Malformed => {
                    cx.stats.malformed += 1;
                    self.lost(way, chunk.at, cx);
                }
            }
        }
    }

    pub(crate) fn gap(&mut self, way: Way, gap: Gap, cx: &mut Context<'_>) {
        self.last = gap.at;
        let hole = self.half(way).reader.gap(gap.length);
        if let Some((header, bytes)) = hole.data
            && let Some(stream) = self.streams.get_mut(&header.stream)
        {
            stream.skip(way, bytes, gap.at);
            if hole.with_padding {
                stream.lose_length(way);
            }
            if gap.loss && bytes > 0 {
                stream.lose();
            }
        }
        if let Some((header, _)) = hole.data
            && hole.data_ended
            && header.has(flag::END_STREAM)
        {
            self.end(way, header.stream, gap.at, cx);
        }
        if let Some((header, bytes)) = hole.broken {
            self.broken(way, header, &bytes, gap.loss, gap.at, cx);
        }
        if hole.lost {
            self.lost(way, gap.at, cx);
        }
    }

    pub(crate) fn eof(&mut self, _way: Way, _at: Timestamp, _cx: &mut Context<'_>) {
        // Streams may go on in the other direction; the end of the connection settles them.
    }

    /// Nothing has happened for a while: streams whose end was lost are over, as are those that the server has
    /// answered without waiting for the end of the request. Streams of events are told once, now.
    pub(crate) fn idle(&mut self, _silent: [bool; 2], cx: &mut Context<'_>) {
        let losses = self.losses();
        let [_, response_losses] = losses;
        let over: Vec<u32> = self
            .streams
            .iter()
            .filter(|(_, stream)| {
                stream.phase(Way::Response) == Phase::Done
                    || stream.is_doubtful(Way::Response, response_losses)
                    || stream.is_event_stream
            })
            .map(|(id, _)| *id)
            .collect();
        for id in over.into_iter().rev() {
            self.stop(id, false, cx);
        }
    }

    pub(crate) fn close(&mut self, _silent: [bool; 2], cx: &mut Context<'_>) {
        while let Some(id) = self.streams.peek_lru().map(|(id, _)| *id) {
            self.stop(id, true, cx);
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.streams.is_empty()
    }

    pub(crate) fn memory(&self) -> usize {
        self.held
            + self.requests.held()
            + self.responses.held()
            + self.requests.decoder.memory()
            + self.responses.decoder.memory()
            + self.streams.len() * (size_of::<Stream>() + 64)
    }

    /// Bytes of bodies that may still be buffered: heads have half of the buffer to themselves.
    fn body_room(&self, cx: &Context<'_>) -> usize {
        (cx.limits.connection_bytes / 2).saturating_sub(self.held)
    }

    /// A whole frame other than DATA.
    fn frame(&mut self, way: Way, header: Header, payload: &[u8], at: Timestamp, cx: &mut Context<'_>) {
        if let Some(block) = self.half(way).block.take() {
            let is_next = header.kind == kind::CONTINUATION && header.stream == block.stream();
            if is_next {
                self.continuation(way, block, header, payload, at, cx);
                return;
            }
            // RFC 9113 §6.10: nothing else may come in between. The fields so far are all there will be.
            cx.stats.malformed += 1;
            self.fields(way, &block, block.bytes(), true, at, cx);
        }
        match header.kind {
            kind::HEADERS | kind::PUSH_PROMISE => match Block::new(header, payload, at) {
                Some((block, fragment)) if header.has(flag::END_HEADERS) => {
                    self.fields(way, &block, fragment, false, at, cx);
                }
                Some((mut block, fragment)) => {
                    if block.push(fragment) {
                        self.half(way).block = Some(block);
                    } else {
                        self.half(way).decoder.lose();
                    }
                }
                None => {
                    cx.stats.malformed += 1;
                    self.half(way).decoder.lose();
                }
            },
            // Without its beginning it tells nothing, and the table may have changed.
            kind::CONTINUATION => self.half(way).decoder.lose(),
            kind::RST_STREAM => self.reset(way, header.stream, payload, cx),
            kind::GOAWAY if way == Way::Response => self.go_away(payload, cx),
            _ => {}
        }
    }

    fn continuation(
        &mut self,
        way: Way,
        mut block: Block,
        header: Header,
        payload: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        if !block.push(payload) {
            cx.stats.buffer_full += 1;
            self.fields(way, &block, block.bytes(), true, at, cx);
        } else if header.has(flag::END_HEADERS) {
            self.fields(way, &block, block.bytes(), false, at, cx);
        } else {
            self.half(way).block = Some(block);
        }
    }

    /// A frame that was not seen whole; `bytes` is its beginning.
    fn broken(
        &mut self,
        way: Way,
        header: Header,
        bytes: &[u8],
        loss: bool,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let pending = self.half(way).block.take();
        match header.kind {
            kind::HEADERS | kind::PUSH_PROMISE => match Block::beginning(header, bytes, at) {
                Some((block, fragment)) => self.fields(way, &block, fragment, true, at, cx),
                None => {
                    self.half(way).decoder.lose();
                    if header.kind == kind::HEADERS && header.has(flag::END_STREAM) {
                        self.end(way, header.stream, at, cx);
                    }
                }
            },
            kind::CONTINUATION => {
                if let Some(mut block) = pending {
                    cx.stats.buffer_full += u64::from(!block.push(bytes));
                    self.fields(way, &block, block.bytes(), true, at, cx);
                }
                self.half(way).decoder.lose();
            }
            _ => {}
        }
        if loss && let Some(stream) = self.streams.get_mut(&header.stream) {
            stream.lose();
        }
    }

    /// Framing was lost: any frame may have passed.
    fn lost(&mut self, way: Way, at: Timestamp, cx: &mut Context<'_>) {
        if let Some(block) = self.half(way).block.take() {
            self.fields(way, &block, block.bytes(), true, at, cx);
        }
        self.half(way).lose();
    }

    /// A block of fields; `is_cut` if its end is missing.
    fn fields(
        &mut self,
        way: Way,
        block: &Block,
        bytes: &[u8],
        is_cut: bool,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let mut fields = Fields::default();
        let decoder = &mut self.half(way).decoder;
        let result = decoder.decode(bytes, |field| fields.push(field));
        if is_cut {
            decoder.lose();
        }
        if is_cut || result.is_err() {
            fields.cut();
        }
        cx.stats.malformed += u64::from(result == Err(hpack::Error::Malformed));
        if self.held + fields.held() > cx.limits.connection_bytes {
            cx.stats.buffer_full += 1;
            fields.drop_fields();
        }
        let id = block.stream();
        match (block.promised(), way) {
            (Some(promised), Way::Response) => self.promise(promised, fields, block.at(), cx),
            (Some(_), Way::Request) => {}
            (None, Way::Request) => self.request_fields(id, fields, block.at(), cx),
            (None, Way::Response) => self.response_fields(id, fields, block.at(), block.ends_stream(), cx),
        }
        if block.ends_stream() {
            self.end(way, id, at, cx);
        }
    }

    fn request_fields(&mut self, id: u32, fields: Fields, at: Timestamp, cx: &mut Context<'_>) {
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

    fn response_fields(
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
    fn promise(&mut self, id: u32, fields: Fields, at: Timestamp, cx: &mut Context<'_>) {
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
        let stream = self.streams.peek(&id);
        self.held += stream.map_or(0, |stream| stream.newest_head_bytes());
    }

    fn data(&mut self, way: Way, header: Header, bytes: &[u8], at: Timestamp, cx: &mut Context<'_>) {
        let room = self.body_room(cx);
        if let Some(stream) = self.streams.get_mut(&header.stream) {
            self.held += stream.data(way, bytes, at, room);
        }
    }

    /// One way of a stream has ended.
    fn end(&mut self, way: Way, id: u32, at: Timestamp, cx: &mut Context<'_>) {
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
        let is_over = [Way::Request, Way::Response]
            .iter()
            .all(|way| stream.phase(*way) == Phase::Done);
        if is_over {
            self.emit(id, cx);
        }
    }

    fn reset(&mut self, way: Way, id: u32, payload: &[u8], cx: &mut Context<'_>) {
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
        if is_rapid && way == Way::Request {
            stream.add(Facts::RAPID_RESETS);
        }
        self.stop(id, true, cx);
    }

    /// RFC 9113 §6.8: streams beyond the last one named were not looked at and never will be.
    fn go_away(&mut self, payload: &[u8], cx: &mut Context<'_>) {
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
    fn stop(&mut self, id: u32, now: bool, cx: &mut Context<'_>) {
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
