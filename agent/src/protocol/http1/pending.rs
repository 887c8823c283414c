//! An exchange under way: what is known of it, built in place.

use std::ops::Range;

use bytes::Bytes;

use super::head::{self, Line, Parsed};
use crate::{
    clock::Timestamp,
    exchange::{Completeness, Exchange, Facts, Head, Protocol, Request, Response},
    protocol::{body::Sample, session::Context, text},
};

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of it was seen.
    None,
    /// Its head was seen, its end was not.
    Open,
    /// It has ended.
    Done,
}

/// One exchange under way.
#[derive(Debug)]
pub(super) struct Pending {
    exchange: Exchange,
    pub(super) request: Phase,
    pub(super) response: Phase,
    request_body: Sample,
    response_body: Sample,
    /// When the last known byte of the request passed.
    request_end: Timestamp,
    /// When the response started, and when its last known byte passed.
    response_start: Timestamp,
    response_end: Timestamp,
    /// Its number in the order of requests.
    pub(super) ordinal: u64,
    /// Its request started where nothing can have been outstanding.
    pub(super) quiet: bool,
    /// Its place in the order of requests is certain.
    pub(super) sure: bool,
    /// A request before it may be unanswered, unless responses turn out to be lost too.
    pub(super) doubt: bool,
    /// Its response was paired although responses had been lost: unless requests turn out to be lost as well.
    pub(super) provisional: bool,
    /// Bytes of it were lost.
    pub(super) loss: bool,
    /// The connection ended inside of it.
    pub(super) truncated: bool,
    /// Bytes of its heads.
    request_bytes: usize,
    response_bytes: usize,
}

impl Pending {
    /// Without request or response.
    pub(super) fn new(at: Timestamp, minor: u8, cx: &Context<'_>) -> Box<Self> {
        Box::new(Self {
            exchange: Exchange {
                connection: cx.connection.clone(),
                number: 0,
                stream: None,
                protocol: if minor == 0 {
                    Protocol::Http10
                } else {
                    Protocol::Http11
                },
                started: at,
                latency: None,
                duration: None,
                request: None,
                response: None,
                completeness: Completeness::Complete,
                facts: Facts::default(),
                operation: None,
            },
            request: Phase::None,
            response: Phase::None,
            request_body: Sample::default(),
            response_body: Sample::default(),
            request_end: at,
            response_start: at,
            response_end: at,
            ordinal: 0,
            quiet: false,
            sure: false,
            doubt: false,
            provisional: false,
            loss: false,
            truncated: false,
            request_bytes: 0,
            response_bytes: 0,
        })
    }

    /// Takes the request head.
    pub(super) fn set_request(&mut self, parsed: Box<Parsed>, mut bytes: Vec<u8>, cx: &Context<'_>) {
        let Line::Request(method, target) = &parsed.line else {
            return;
        };
        let sent_target = cx.redactor.sent_target(&bytes, target);
        let credentials = cx.redactor.request(&mut bytes, target, &parsed.fields);
        let target = part(&bytes, target);
        if !target.starts_with('/') && target.contains("://") {
            self.exchange.facts = self.exchange.facts.with(Facts::ABSOLUTE_FORM);
        }
        self.exchange.facts = self.exchange.facts.with(parsed.facts);
        self.request_bytes = bytes.len();
        self.exchange.request = Some(Request {
            method: text::method(slice(&bytes, method)),
            sent_target: sent_target.filter(|sent| *sent != target),
            target,
            head: whole_head(parsed, bytes),
            body: Default::default(),
            credentials,
        });
        self.request = Phase::Open;
    }

    /// Takes the response head.
    pub(super) fn set_response(
        &mut self,
        status: u16,
        parsed: Box<Parsed>,
        mut bytes: Vec<u8>,
        at: Timestamp,
        cx: &Context<'_>,
    ) {
        cx.redactor.response(&mut bytes, &parsed.fields);
        self.exchange.facts = self.exchange.facts.with(parsed.facts);
        self.response_bytes = bytes.len();
        self.exchange.response = Some(Response {
            status,
            head: whole_head(parsed, bytes),
            body: Default::default(),
        });
        self.response_start = at;
        self.response_end = at;
        self.response = Phase::Open;
    }

    /// Puts the trailer section of a message behind its fields, secrets masked. Returns the bytes it holds more.
    pub(super) fn add_trailers(&mut self, response: bool, mut bytes: Vec<u8>, cx: &Context<'_>) -> usize {
        // The section as it is kept ends without the empty line.
        bytes.extend_from_slice(b"\r\n");
        let fields = head::trailers(&bytes);
        let (head, held) = match (response, &mut self.exchange) {
            (
                true,
                Exchange {
                    response: Some(response),
                    ..
                },
            ) => (&mut response.head, &mut self.response_bytes),
            (
                false,
                Exchange {
                    request: Some(request),
                    ..
                },
            ) => (&mut request.head, &mut self.request_bytes),
            _ => return 0,
        };
        if fields.is_empty() {
            head.cut = true;
            return 0;
        }
        if response {
            cx.redactor.response(&mut bytes, &fields);
        } else {
            // Credentials that come last authenticate nothing (RFC 9110 §6.5.1): they are masked, not told.
            drop(cx.redactor.request(&mut bytes, &(0..0), &fields));
        }
        let start = head.buffer.len() as u32;
        let more = bytes.len();
        let mut buffer = Vec::with_capacity(head.buffer.len() + more);
        buffer.extend_from_slice(&head.buffer);
        buffer.extend_from_slice(&bytes);
        head.buffer = Bytes::from(buffer);
        let behind = |range: Range<u32>| start + range.start..start + range.end;
        let moved = fields
            .into_iter()
            .map(|(name, value)| (behind(name), behind(value)));
        head.fields.extend(moved);
        *held += more;
        more
    }

    /// The body of a message, to add to.
    pub(super) fn body(&mut self, response: bool) -> &mut Sample {
        if response {
            &mut self.response_body
        } else {
            &mut self.request_body
        }
    }

    /// Notes when bytes of a message passed.
    pub(super) fn touch(&mut self, response: bool, at: Timestamp) {
        if response {
            self.response_end = at;
        } else {
            self.request_end = at;
        }
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.exchange.request.as_ref().map(|request| &*request.method)
    }

    pub(super) fn add(&mut self, facts: Facts) {
        self.exchange.facts = self.exchange.facts.with(facts);
    }

    /// Takes the response away into an exchange of its own, whose request is not known.
    pub(super) fn split(&mut self, cx: &Context<'_>) -> Box<Self> {
        let mut orphan = Self::new(self.response_start, 1, cx);
        orphan.exchange.protocol = self.exchange.protocol;
        orphan.exchange.response = self.exchange.response.take();
        orphan.response_body = std::mem::take(&mut self.response_body);
        orphan.response_start = self.response_start;
        orphan.response_end = self.response_end;
        orphan.response_bytes = std::mem::take(&mut self.response_bytes);
        orphan.request = Phase::Done;
        orphan.response = std::mem::replace(&mut self.response, Phase::None);
        self.provisional = false;
        self.loss = true;
        orphan
    }

    /// Bytes it holds.
    pub(super) fn held(&self) -> usize {
        self.request_bytes + self.response_bytes + self.request_body.held() + self.response_body.held()
    }

    /// The exchange, with what is known.
    pub(super) fn finish(mut self: Box<Self>, number: u64) -> Exchange {
        // Finished where it is, and moved once: it is large.
        let Self {
            exchange,
            request_body,
            response_body,
            request_end,
            response_start,
            response_end,
            loss,
            truncated,
            ..
        } = &mut *self;
        exchange.number = number;
        exchange.completeness = match (&exchange.request, &exchange.response) {
            (None, _) => Completeness::Lost,
            _ if *loss => Completeness::Lost,
            _ if *truncated => Completeness::Truncated,
            (_, None) => Completeness::NoResponse,
            _ => Completeness::Complete,
        };
        if let Some(request) = &mut exchange.request {
            request.body = std::mem::take(request_body).finish();
        }
        if let Some(response) = &mut exchange.response {
            response.body = std::mem::take(response_body).finish();
            exchange.duration = Some(response_end.since(exchange.started));
            if exchange.request.is_some() {
                exchange.latency = Some(response_start.since(*request_end));
            }
        }
        self.exchange
    }
}

fn whole_head(parsed: Box<Parsed>, bytes: Vec<u8>) -> Head {
    Head {
        buffer: Bytes::from(bytes),
        fields: parsed.fields,
        cut: parsed.cut,
    }
}

fn part(bytes: &[u8], range: &Range<u32>) -> Box<str> {
    text::lossy(slice(bytes, range))
}

fn slice<'a>(bytes: &'a [u8], range: &Range<u32>) -> &'a [u8] {
    bytes
        .get(range.start as usize..range.end as usize)
        .unwrap_or_default()
}
