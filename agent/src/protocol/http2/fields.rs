//! The fields of one message, from a header block (RFC 9113 §8).
//!
//! In: fields as the decoder tells them. Out: a [`Head`], with method, target and status taken from the
//! pseudo-fields. A field whose name is unknown is left out and the head says so.

use std::ops::Range;

use bytes::Bytes;

use super::hpack::Field;
use crate::{
    exchange::{Head, Request, Response},
    protocol::{grpc, session::Context, text},
};

/// Most bytes of the fields of one message, counted as RFC 9113 §6.5.2 does: 32 more per field. Overflow policy:
/// later fields are left out and the head says so.
const MAX_LIST_BYTES: usize = 256 * 1024;

/// Bytes that a field counts besides its text.
const OVERHEAD: usize = 32;

/// The fields so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    buffer: Vec<u8>,
    head: Head,
    size: usize,
    method: Option<Range<u32>>,
    path: Option<Range<u32>>,
    authority: Option<Range<u32>>,
    /// Pseudo-fields of a request were there.
    pub(super) is_request: bool,
    /// The status, if it was there and is known.
    pub(super) status: Option<u16>,
    /// The content type is one of gRPC.
    pub(super) is_grpc: bool,
    pub(super) grpc_status: Option<u32>,
    /// Events follow (`text/event-stream`), without an end in sight.
    pub(super) is_event_stream: bool,
}

impl Fields {
    /// Takes a field.
    pub(super) fn push(&mut self, field: Field<'_>) {
        let Field {
            name: Some(name),
            value: Some(value),
        } = field
        else {
            self.head.cut = true;
            return;
        };
        self.size += name.len() + value.len() + OVERHEAD;
        if self.size > MAX_LIST_BYTES {
            self.head.cut = true;
            return;
        }
        let name_range = self.append(name);
        let value_range = self.append(value);
        match name {
            b":status" => {
                self.status = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok())
                    .filter(|status| (100..1000).contains(status));
                return;
            }
            b":method" => {
                self.method = Some(value_range);
                self.is_request = true;
                return;
            }
            b":path" => {
                self.path = Some(value_range);
                self.is_request = true;
                return;
            }
            b":authority" => {
                self.authority = Some(value_range.clone());
                self.is_request = true;
            }
            b":scheme" | b":protocol" => self.is_request = true,
            b"content-type" => {
                self.is_grpc |= grpc::is_web(value) == Some(false);
                self.is_event_stream |= value.starts_with(b"text/event-stream");
            }
            b"grpc-status" => self.grpc_status = grpc::status(value),
            _ => {}
        }
        self.head.fields.push((name_range, value_range));
    }

    fn append(&mut self, text: &[u8]) -> Range<u32> {
        let start = self.buffer.len() as u32;
        self.buffer.extend_from_slice(text);
        start..self.buffer.len() as u32
    }

    /// Fields are missing.
    pub(super) fn cut(&mut self) {
        self.head.cut = true;
    }

    /// Bytes of memory that the head will hold.
    pub(super) fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Keeps the pseudo-fields alone, for want of room.
    pub(super) fn drop_fields(&mut self) {
        self.head.fields.clear();
        self.head.cut = true;
        let ranges = [&mut self.method, &mut self.path, &mut self.authority];
        let mut kept = Vec::new();
        for range in ranges.into_iter().flatten() {
            let text = self.buffer.get(range.start as usize..range.end as usize);
            let start = kept.len() as u32;
            kept.extend_from_slice(text.unwrap_or_default());
            *range = start..kept.len() as u32;
        }
        self.buffer = kept;
    }

    /// As a request, credentials masked. Method or target are empty where they are not known; the second is whether
    /// both are.
    pub(super) fn into_request(mut self, cx: &Context<'_>) -> (Request, bool) {
        // RFC 9113 §8.5: CONNECT has an authority instead of a path.
        let target = self.path.take().or(self.authority.take());
        let is_known = self.method.is_some() && target.is_some();
        let target = target.unwrap_or_default();
        let sent_target = cx.redactor.sent_target(&self.buffer, &target);
        let credentials = cx.redactor.request(&mut self.buffer, &target, &self.head.fields);
        let slice = |range: &Range<u32>| {
            let bytes = self.buffer.get(range.start as usize..range.end as usize);
            bytes.unwrap_or_default()
        };
        let target = text::lossy(slice(&target));
        let request = Request {
            method: text::method(slice(&self.method.unwrap_or_default())),
            sent_target: sent_target.filter(|sent| *sent != target),
            target,
            head: Head {
                buffer: Bytes::from(self.buffer),
                ..self.head
            },
            body: Default::default(),
            credentials,
        };
        (request, is_known)
    }

    /// As a response, secrets masked.
    pub(super) fn into_response(mut self, status: u16, cx: &Context<'_>) -> Response {
        cx.redactor.response(&mut self.buffer, &self.head.fields);
        Response {
            status,
            head: Head {
                buffer: Bytes::from(self.buffer),
                ..self.head
            },
            body: Default::default(),
        }
    }
}
