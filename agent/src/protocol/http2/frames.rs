//! What frames mean: blocks of fields put together, streams reset, and what is left of frames that were hit by a gap.

use super::{
    Http2,
    block::Block,
    fields::Fields,
    frame::{Header, flag, kind},
    hpack,
};
use crate::{
    clock::Timestamp,
    protocol::session::{Context, Way},
};

impl Http2 {
    /// A whole frame other than DATA.
    pub(super) fn frame(
        &mut self,
        way: Way,
        header: Header,
        payload: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
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
    pub(super) fn broken(
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
    pub(super) fn lost(&mut self, way: Way, at: Timestamp, cx: &mut Context<'_>) {
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
}
