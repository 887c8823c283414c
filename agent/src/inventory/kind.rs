//! What an exchange is for the inventory, beyond HTTP.
//!
//! In: an exchange whose operation is named, if it has one. Out: an [`EndpointKind`], and the operation. Refuses to
//! read bodies: [`crate::protocol`] has.

use serde::{Deserialize, Serialize};

use crate::{
    exchange::{Exchange, Request},
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

/// What one exchange is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Recognised {
    /// Kind.
    pub(super) kind: EndpointKind,
    /// The operation, for a protocol that names its own.
    pub(super) operation: Option<String>,
}

/// Tells what an exchange is from its fields.
pub(super) fn recognised(exchange: &Exchange, request: &Request) -> Recognised {
    if let Some(operation) = &exchange.operation {
        return Recognised {
            kind: kind(&operation.detail),
            operation: operation.name.as_deref().map(str::to_owned),
        };
    }
    let is_websocket = request
        .head
        .first("upgrade")
        // RFC 8441 §4.
        .or_else(|| request.head.first(":protocol"))
        .is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"));
    Recognised {
        kind: if is_websocket {
            EndpointKind::WebSocket
        } else {
            EndpointKind::Rest
        },
        operation: None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::{Call, call};

    #[track_caller]
    fn assert_recognised(call: Call, kind: EndpointKind, operation: Option<&str>) {
        let exchange = call.exchange();
        let request = exchange.request.as_ref().expect("request");
        let found = recognised(&exchange, request);
        assert_eq!((found.kind, found.operation.as_deref()), (kind, operation));
    }

    #[test]
    fn kinds() {
        assert_recognised(call("GET", "/users"), EndpointKind::Rest, None);
        assert_recognised(
            call("POST", "/shop.v1.Cart/Add").field("Content-Type", "application/grpc+proto"),
            EndpointKind::Grpc,
            Some("shop.v1.Cart/Add"),
        );
        assert_recognised(
            call("POST", "/{x}").field("content-type", "application/grpc"),
            EndpointKind::Grpc,
            None,
        );
        assert_recognised(
            call("POST", "/soap").field("SOAPAction", "\"urn:GetPrice\""),
            EndpointKind::Soap,
            Some("urn:GetPrice"),
        );
        assert_recognised(
            call("POST", "/soap").field("content-type", "application/soap+xml; charset=utf-8"),
            EndpointKind::Soap,
            None,
        );
        assert_recognised(
            call("GET", "/chat").field("Upgrade", "WebSocket"),
            EndpointKind::WebSocket,
            None,
        );
        assert_recognised(
            call("CONNECT", "/chat").field(":protocol", "websocket"),
            EndpointKind::WebSocket,
            None,
        );
        assert_recognised(
            call("GET", "/events").answer_field("content-type", "text/event-stream;charset=utf-8"),
            EndpointKind::Sse,
            None,
        );
    }
}
