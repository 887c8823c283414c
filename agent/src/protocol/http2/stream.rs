//! One stream: an exchange under way, built in place.

use super::fields::Fields;
use crate::{
    clock::Timestamp,
    exchange::{Completeness, Exchange, Facts, Protocol},
    protocol::{
        body::Sample,
        grpc,
        operation::{Detail, GrpcCall, Operation},
        session::{Context, Way},
    },
};

/// How far a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing of it was seen.
    None,
    /// It has begun.
    Open,
    /// It has ended.
    Done,
}

/// One way of a stream.
#[derive(Debug)]
struct Message {
    phase: Phase,
    body: Sample,
    /// When its first and its last known byte passed.
    start: Timestamp,
    end: Timestamp,
    /// Losses that its direction had seen when the stream began.
    losses: u64,
    calls: grpc::Counter,
}

/// One exchange under way.
#[derive(Debug)]
pub(super) struct Stream {
    exchange: Exchange,
    messages: [Message; 2],
    /// Bytes of it were lost.
    loss: bool,
    /// It ended before its messages did.
    truncated: bool,
    is_grpc: bool,
    grpc_status: Option<u32>,
    /// The response goes on without an end in sight, by its type.
    pub(super) is_event_stream: bool,
    /// The client has given it up.
    pub(super) is_reset: bool,
    head_bytes: usize,
    new_head_bytes: usize,
}

impl Stream {
    /// Without request or response; `losses` of both directions so far.
    pub(super) fn new(id: u32, number: u64, at: Timestamp, losses: [u64; 2], cx: &Context<'_>) -> Self {
        let exchange = Exchange {
            connection: cx.connection.clone(),
            number,
            stream: Some(id),
            protocol: Protocol::Http2,
            started: at,
            latency: None,
            duration: None,
            request: None,
            response: None,
            completeness: Completeness::Complete,
            facts: Facts::default(),
            operation: None,
        };
        Self::of(exchange, losses)
    }

    /// With the request of HTTP/1.1 that made the connection HTTP/2.
    pub(super) fn upgraded(exchange: Exchange) -> Self {
        let end = exchange.started.after(exchange.latency.unwrap_or_default());
        let mut request = exchange.request;
        let body = request.as_mut().map(|request| std::mem::take(&mut request.body));
        let mut this = Self::of(
            Exchange {
                stream: Some(1),
                protocol: Protocol::Http2,
                request,
                response: None,
                latency: None,
                duration: None,
                operation: None,
                ..exchange
            },
            [0; 2],
        );
        this.loss = exchange.completeness != Completeness::Complete;
        let message = this.message(Way::Request);
        message.phase = Phase::Done;
        message.end = end;
        message.body = Sample::of(body.unwrap_or_default());
        this
    }

    fn of(exchange: Exchange, losses: [u64; 2]) -> Self {
        let at = exchange.started;
        let message = |losses| Message {
            phase: Phase::None,
            body: Sample::default(),
            start: at,
            end: at,
            losses,
            calls: grpc::Counter::default(),
        };
        Self {
            exchange,
            messages: losses.map(message),
            loss: false,
            truncated: false,
            is_grpc: false,
            grpc_status: None,
            is_event_stream: false,
            is_reset: false,
            head_bytes: 0,
            new_head_bytes: 0,
        }
    }

    fn message(&mut self, way: Way) -> &mut Message {
        let [request, response] = &mut self.messages;
        match way {
            Way::Request => request,
            Way::Response => response,
        }
    }

    /// How far one way is.
    pub(super) fn phase(&self, way: Way) -> Phase {
        let [request, response] = &self.messages;
        match way {
            Way::Request => request.phase,
            Way::Response => response.phase,
        }
    }

    /// Begins one way.
    fn begin(&mut self, way: Way, at: Timestamp) {
        let message = self.message(way);
        message.phase = Phase::Open;
        message.start = at;
        message.end = at;
    }

    fn hold(&mut self, fields: &Fields) {
        self.new_head_bytes += fields.held();
        self.head_bytes += fields.held();
    }

    /// Takes the fields of a request that began at `at`.
    pub(super) fn set_request(&mut self, fields: Fields, at: Timestamp, cx: &Context<'_>) {
        self.hold(&fields);
        self.is_grpc |= fields.is_grpc;
        let (request, is_known) = fields.into_request(cx);
        self.loss |= !is_known;
        self.exchange.request = Some(request);
        self.exchange.started = at;
        self.begin(Way::Request, at);
    }

    /// Takes the fields of a response. Without a known status there is no response to tell of.
    pub(super) fn set_response(&mut self, fields: Fields, at: Timestamp, cx: &Context<'_>) {
        self.is_grpc |= fields.is_grpc;
        self.grpc_status = fields.grpc_status;
        self.is_event_stream = fields.is_event_stream;
        match fields.status {
            Some(status) => {
                self.hold(&fields);
                self.exchange.response = Some(fields.into_response(status, cx));
            }
            None => self.loss = true,
        }
        self.begin(Way::Response, at);
    }

    /// Takes trailers.
    pub(super) fn set_trailers(&mut self, way: Way, fields: &Fields) {
        if way == Way::Response {
            self.grpc_status = fields.grpc_status.or(self.grpc_status);
        }
    }

    /// Takes bytes of a body; keeps at most `room` of them. Returns how many it kept.
    pub(super) fn data(&mut self, way: Way, bytes: &[u8], at: Timestamp, room: usize) -> usize {
        let is_grpc = self.is_grpc;
        let message = self.message(way);
        message.end = at;
        if is_grpc {
            message.calls.bytes(bytes);
        }
        message.body.push(bytes, None, room)
    }

    /// Bytes of a body were not seen.
    pub(super) fn skip(&mut self, way: Way, count: u64, at: Timestamp) {
        let message = self.message(way);
        message.end = at;
        message.calls.skip(count);
        message.body.skip(count);
    }

    /// The length of a body is not known any more.
    pub(super) fn lose_length(&mut self, way: Way) {
        let message = self.message(way);
        message.calls.lose();
        message.body.lose_framing();
    }

    /// Ends one way; `losses` of its direction so far.
    pub(super) fn end(&mut self, way: Way, at: Timestamp, losses: u64) {
        let message = self.message(way);
        if message.phase == Phase::Done {
            return;
        }
        message.phase = Phase::Done;
        message.end = at;
        if message.losses != losses {
            message.body.lose_framing();
            message.calls.lose();
            self.loss = true;
        }
    }

    /// Whether bytes of one way may be missing from the stream.
    pub(super) fn is_doubtful(&self, way: Way, losses: u64) -> bool {
        let [request, response] = &self.messages;
        let message = match way {
            Way::Request => request,
            Way::Response => response,
        };
        message.phase != Phase::Done && message.losses != losses
    }

    /// Bytes were lost.
    pub(super) fn lose(&mut self) {
        self.loss = true;
    }

    pub(super) fn add(&mut self, facts: Facts) {
        self.exchange.facts = self.exchange.facts.with(facts);
    }

    pub(super) fn has_request(&self) -> bool {
        self.exchange.request.is_some()
    }

    pub(super) fn method(&self) -> Option<&str> {
        self.exchange.request.as_ref().map(|request| &*request.method)
    }

    /// Ends the stream before its messages end.
    /// `now` says that it is told to end; else the end of its messages only was not seen.
    pub(super) fn stop(&mut self, losses: [u64; 2], now: bool) {
        for (way, losses) in [Way::Request, Way::Response].into_iter().zip(losses) {
            self.loss |= self.is_doubtful(way, losses);
            let message = self.message(way);
            if message.phase == Phase::Open {
                message.body.lose_framing();
                message.calls.lose();
                self.truncated |= now && way == Way::Response;
            }
        }
        let [request, response] = &self.messages;
        // A server may answer in full before it has read the request (RFC 9113 §8.1).
        self.truncated |= now && request.phase == Phase::Open && response.phase != Phase::Done;
    }

    /// Bytes of fields that it got since the last call.
    pub(super) fn take_new_head_bytes(&mut self) -> usize {
        std::mem::take(&mut self.new_head_bytes)
    }

    /// Bytes it holds.
    pub(super) fn held(&self) -> usize {
        let [request, response] = &self.messages;
        self.head_bytes + request.body.held() + response.body.held()
    }

    /// The exchange, with what is known.
    pub(super) fn finish(self: Box<Self>) -> Exchange {
        let this = *self;
        let mut exchange = this.exchange;
        let [request_way, response_way] = this.messages;
        exchange.completeness = match (&exchange.request, &exchange.response) {
            (None, _) => Completeness::Lost,
            _ if this.loss => Completeness::Lost,
            (_, None) => Completeness::NoResponse,
            _ if this.truncated => Completeness::Truncated,
            _ => Completeness::Complete,
        };
        if this.is_grpc {
            let name = exchange
                .request
                .as_ref()
                .and_then(|request| grpc::name(&request.target));
            exchange.operation = Some(Box::new(Operation {
                name,
                detail: Detail::Grpc(GrpcCall {
                    is_web: false,
                    status: this.grpc_status,
                    requests: request_way.calls.messages(),
                    responses: response_way.calls.messages(),
                }),
            }));
        }
        if let Some(request) = &mut exchange.request {
            request.body = request_way.body.finish();
        }
        if let Some(response) = &mut exchange.response {
            response.body = response_way.body.finish();
            exchange.duration = Some(response_way.end.since(exchange.started));
            if exchange.request.is_some() {
                exchange.latency = Some(response_way.start.since(request_way.end));
            }
        }
        exchange
    }
}
