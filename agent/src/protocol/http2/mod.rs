//! HTTP/2 on one connection (RFC 9113).
//!
//! In: chunks, gaps and ends of both ways. Out: an exchange per stream, when both of its messages have ended or one
//! end gave it up. One [`Reader`] per way finds frames, one [`Decoder`] per way fields; both can join in the middle.
//! Refuses to guess: what a gap made uncertain is told as lost.

mod block;
mod fields;
mod frame;
mod frames;
mod hpack;
mod joined;
mod messages;
mod reader;
mod stream;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use lru::LruCache;

use block::Block;
use frame::flag;
use hpack::Decoder;
use reader::{Reader, Step};
use stream::{Phase, Stream};

pub(crate) use frame::{could_be_frames, could_be_server_start};
pub(crate) use joined::side;

use super::session::{Chunk, Context, Gap, Way};
use crate::{clock::Timestamp, exchange::Exchange};

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
    /// Streams that the client has reset, and those of them that may still get their response.
    resets: u64,
    reset: VecDeque<u32>,
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
            reset: VecDeque::new(),
            held: 0,
            last: Timestamp::default(),
        };
        if join == Join::Late {
            this.requests.lose();
            this.responses.lose();
        }
        this
    }

    /// After HTTP/1.1: its request is the first stream's (RFC 7540 §3.2).
    pub(crate) fn upgraded(exchange: Exchange) -> Self {
        let mut this = Self::new(Join::Start);
        this.newest = 1;
        this.number = exchange.number + 1;
        let stream = Stream::upgraded(exchange);
        this.held = stream.held();
        this.streams.put(1, Box::new(stream));
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

    /// Whether the next bytes of a way were left out, and not only told later.
    pub(crate) fn is_left_out(&mut self, way: Way, length: u64) -> bool {
        self.half(way).reader.is_left_out(length)
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
                    || stream.is_reset
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
}
