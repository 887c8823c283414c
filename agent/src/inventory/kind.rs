//! What an exchange is, beyond HTTP: gRPC, SOAP, a WebSocket, a stream of events.
//!
//! In: an exchange. Out: an [`EndpointKind`], and the operation when the protocol names it in its fields. Refuses
//! to read bodies: operations inside them (GraphQL, JSON-RPC, MCP) are not told apart here.

use serde::{Deserialize, Serialize};

use crate::{
    exchange::{Exchange, Head, Request},
    protocol::operation::Detail,
};

/// What kind of API an endpoint belongs to. Later ones tell more: an endpoint has the last of its exchanges'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointKind {
    /// Plain HTTP.
    #[default]
    Rest,
    /// Server-sent events.
    Sse,
    /// WebSocket (RFC 6455, RFC 8441).
    WebSocket,
    /// SOAP 1.1 or 1.2.
    Soap,
    /// JSON-RPC 2.0.
    JsonRpc,
    /// Model Context Protocol.
    Mcp,
    /// GraphQL.
    GraphQl,
    /// gRPC or gRPC-Web.
    Grpc,
}

impl EndpointKind {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            EndpointKind::Rest => "rest",
            EndpointKind::Sse => "sse",
            EndpointKind::WebSocket => "websocket",
            EndpointKind::Soap => "soap",
            EndpointKind::JsonRpc => "jsonrpc",
            EndpointKind::Mcp => "mcp",
            EndpointKind::GraphQl => "graphql",
            EndpointKind::Grpc => "grpc",
        }
    }
}

/// Longest operation name, in bytes. Overflow policy: the exchange is filed under its path alone.
const MAX_OPERATION_BYTES: usize = 256;

/// What one exchange is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Nature {
    /// Kind.
    pub(super) kind: EndpointKind,
    /// The operation, for a protocol that names its own.
    pub(super) operation: Option<String>,
}

/// Tells what an exchange is from its fields.
pub(super) fn nature(exchange: &Exchange, request: &Request) -> Nature {
    if let Some(operation) = &exchange.operation {
        return Nature {
            kind: kind(&operation.detail),
            operation: operation.name.as_deref().map(str::to_owned),
        };
    }
    let of = |kind| Nature {
        kind,
        operation: None,
    };
    let fields = Fields::of(&request.head);
    if starts_with(fields.content_type, b"application/grpc") {
        return Nature {
            kind: EndpointKind::Grpc,
            operation: grpc_operation(&request.target),
        };
    }
    if fields.soap_action.is_some() || starts_with(fields.content_type, b"application/soap+xml") {
        return Nature {
            kind: EndpointKind::Soap,
            operation: fields.soap_action.and_then(operation),
        };
    }
    if fields
        .upgrade
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
    {
        return of(EndpointKind::WebSocket);
    }
    let streams_events = exchange
        .response
        .as_ref()
        .is_some_and(|response| starts_with(response.head.first("content-type"), b"text/event-stream"));
    of(if streams_events {
        EndpointKind::Sse
    } else {
        EndpointKind::Rest
    })
}

fn kind(detail: &Detail) -> EndpointKind {
    match detail {
        Detail::Grpc(_) => EndpointKind::Grpc,
        Detail::GraphQl(_) => EndpointKind::GraphQl,
        Detail::JsonRpc(_) => EndpointKind::JsonRpc,
        Detail::Mcp(_) => EndpointKind::Mcp,
        Detail::Soap => EndpointKind::Soap,
        Detail::WebSocket(_) => EndpointKind::WebSocket,
        Detail::Sse => EndpointKind::Sse,
    }
}

/// The fields that decide, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    content_type: Option<&'a [u8]>,
    soap_action: Option<&'a [u8]>,
    upgrade: Option<&'a [u8]>,
}

impl<'a> Fields<'a> {
    fn of(head: &'a Head) -> Self {
        let mut fields = Self::default();
        for (name, value) in head.iter() {
            // Few names have these lengths: most fields cost one comparison.
            let (slot, wanted) = match name.len() {
                12 => (&mut fields.content_type, "content-type"),
                10 => (&mut fields.soap_action, "soapaction"),
                7 => (&mut fields.upgrade, "upgrade"),
                // RFC 8441 §4.
                9 => (&mut fields.upgrade, ":protocol"),
                _ => continue,
            };
            if slot.is_none() && name.eq_ignore_ascii_case(wanted.as_bytes()) {
                *slot = Some(value);
            }
        }
        fields
    }
}

fn starts_with(value: Option<&[u8]>, prefix: &[u8]) -> bool {
    value
        .and_then(|value| value.get(..prefix.len()))
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

/// `pkg.Service/Method` of a target `/pkg.Service/Method`.
fn grpc_operation(target: &str) -> Option<String> {
    let path = super::path::without_query(target).strip_prefix('/')?;
    let (service, method) = path.rsplit_once('/')?;
    let is_name = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'/' | b'-'))
    };
    (is_name(service) && is_name(method) && path.len() <= MAX_OPERATION_BYTES).then(|| path.to_owned())
}

/// A SOAP action without its quotes.
fn operation(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim().trim_matches('"');
    let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    (!text.is_empty() && text.len() <= MAX_OPERATION_BYTES && is_printable).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::{Call, call};

    #[track_caller]
    fn assert_nature(call: Call, kind: EndpointKind, operation: Option<&str>) {
        let exchange = call.exchange();
        let request = exchange.request.as_ref().expect("request");
        let nature = nature(&exchange, request);
        assert_eq!((nature.kind, nature.operation.as_deref()), (kind, operation));
    }

    #[test]
    fn kinds() {
        assert_nature(call("GET", "/users"), EndpointKind::Rest, None);
        assert_nature(
            call("POST", "/shop.v1.Cart/Add").field("Content-Type", "application/grpc+proto"),
            EndpointKind::Grpc,
            Some("shop.v1.Cart/Add"),
        );
        assert_nature(
            call("POST", "/{x}").field("content-type", "application/grpc"),
            EndpointKind::Grpc,
            None,
        );
        assert_nature(
            call("POST", "/soap").field("SOAPAction", "\"urn:GetPrice\""),
            EndpointKind::Soap,
            Some("urn:GetPrice"),
        );
        assert_nature(
            call("POST", "/soap").field("content-type", "application/soap+xml; charset=utf-8"),
            EndpointKind::Soap,
            None,
        );
        assert_nature(
            call("GET", "/chat").field("Upgrade", "WebSocket"),
            EndpointKind::WebSocket,
            None,
        );
        assert_nature(
            call("CONNECT", "/chat").field(":protocol", "websocket"),
            EndpointKind::WebSocket,
            None,
        );
        assert_nature(
            call("GET", "/events").answer_field("content-type", "text/event-stream;charset=utf-8"),
            EndpointKind::Sse,
            None,
        );
    }
}
