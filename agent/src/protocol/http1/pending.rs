//! An exchange under way: what is known of it, built in place.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    head::{self, Kind, Line},
    incoming::Incoming,
};
use crate::{
    clock::Timestamp,
    exchange::{Completeness, Exchange, Facts, Protocol, Request, Response},
    protocol::{body::Sample, redact::Credentials, session::Context, text},
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
    asked: Option<Request>,
    answered: Option<Response>,
    protocol: Protocol,
    started: Timestamp,
    facts: Facts,
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
    /// Without request or response, in a block that another exchange has left, if there is one.
    pub(super) fn new(at: Timestamp, minor: u8, cx: &mut Context<'_>) -> Box<Self> {
        let fresh = Self {
            asked: None,
            answered: None,
            protocol: match minor {
                0 => Protocol::Http10,
                _ => Protocol::Http11,
            },
            started: at,
            facts: Facts::default(),
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
        };
        match cx.reuse.take_block() {
            Some(mut block) => {
                *block = fresh;
                block
            }
            None => Box::new(fresh),
        }
    }

    /// Takes the request head.
    pub(super) fn set_request(&mut self, head: Incoming<'_>, cx: &mut Context<'_>) {
        let parsed = head.parsed();
        let Line::Request(method, target) = &parsed.line else {
            return;
        };
        let mut credentials = Credentials::new();
        let mut sent_target = None;
        self.facts = self.facts.with(parsed.facts);
        self.request_bytes = head.len();
        let (method, target) = (method.clone(), target.clone());
        let head = head.mask(Kind::Request, &mut cx.reuse.heads, |bytes, fields| {
            sent_target = cx.redactor.sent_target(bytes, &target);
            credentials = cx.redactor.request(bytes, &target, fields);
            credentials.is_empty()
        });
        let target = text::lossy(head.slice(&target));
        if !target.starts_with('/') && target.contains("://") {
            self.add(Facts::ABSOLUTE_FORM);
        }
        self.asked = Some(Request {
            method: text::method(head.slice(&method)),
            sent_target: sent_target.filter(|sent| *sent != target),
            target,
            head,
            body: Default::default(),
            credentials,
        });
        self.request = Phase::Open;
    }

    /// Takes the response head.
    pub(super) fn set_response(
        &mut self,
        status: u16,
        head: Incoming<'_>,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        self.facts = self.facts.with(head.parsed().facts);
        self.response_bytes = head.len();
        let head = head.mask(Kind::Response, &mut cx.reuse.heads, |bytes, fields| {
            cx.redactor.response(bytes, fields);
            true
        });
        self.answered = Some(Response {
            status,
            head,
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
        let (head, held) = match (response, &mut self.asked, &mut self.answered) {
            (true, _, Some(response)) => (&mut response.head, &mut self.response_bytes),
            (false, Some(request), _) => (&mut request.head, &mut self.request_bytes),
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
        self.asked.as_ref().map(|request| &*request.method)
    }

    pub(super) fn add(&mut self, facts: Facts) {
        self.facts = self.facts.with(facts);
    }

    /// Takes the response away into an exchange of its own, whose request is not known.
    pub(super) fn split(&mut self, cx: &mut Context<'_>) -> Box<Self> {
        let mut orphan = Self::new(self.response_start, 1, cx);
        orphan.protocol = self.protocol;
        orphan.answered = self.answered.take();
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

    /// The exchange, with what is known, which is appended to the context's; the block is left to another one.
    pub(super) fn finish(mut self: Box<Self>, number: u64, cx: &mut Context<'_>) {
        let (mut request, mut response) = (self.asked.take(), self.answered.take());
        let completeness = match (&request, &response) {
            (None, _) => Completeness::Lost,
            _ if self.loss => Completeness::Lost,
            _ if self.truncated => Completeness::Truncated,
            (_, None) => Completeness::NoResponse,
            _ => Completeness::Complete,
        };
        let (mut latency, mut duration) = (None, None);
        if let Some(request) = &mut request {
            request.body = std::mem::take(&mut self.request_body).finish();
        }
        if let Some(response) = &mut response {
            response.body = std::mem::take(&mut self.response_body).finish();
            duration = Some(self.response_end.since(self.started));
            latency = request
                .is_some()
                .then(|| self.response_start.since(self.request_end));
        }
        cx.out.push(Exchange {
            connection: Arc::clone(cx.connection),
            number,
            stream: None,
            protocol: self.protocol,
            started: self.started,
            latency,
            duration,
            request,
            response,
            completeness,
            facts: self.facts,
            operation: None,
        });
        cx.reuse.leave_block(self);
    }
}
