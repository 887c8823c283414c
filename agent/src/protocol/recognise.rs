//! Which protocol an exchange carries beyond HTTP, from its fields and the samples of its bodies.
//!
//! In: an exchange as HTTP has it. Out: the same exchange with content codings undone and its operation named. Refuses
//! to name what only resembles a protocol.

use std::sync::LazyLock;

use base64::{Engine, engine::general_purpose::GeneralPurpose, prelude::BASE64_STANDARD};
use memchr::memmem::Finder;

use super::{
    coding, field, graphql, grpc, jsonrpc,
    operation::{Detail, GrpcCall, JsonRpcCall, Operation},
    soap,
};
use crate::exchange::{Body, Exchange, Head, Request, Response};

/// A member that every message of JSON-RPC has.
static RPC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"jsonrpc\""));

/// Members of which every request of GraphQL has one.
static GRAPHQL: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| {
    let members: [&[u8]; 3] = [b"\"query\"", b"\"extensions\"", b"\"documentId\""];
    members.map(Finder::new)
});

/// Undoes the content codings of both bodies. How many held more than a sample.
pub(crate) fn decode(exchange: &mut Exchange) -> u64 {
    let mut cut = 0;
    let mut undo = |head: &Head, body: &mut Body| {
        if !body.sample.is_empty()
            && let Some(field) = head.first("content-encoding")
        {
            cut += u64::from(coding::decode(body, field));
        }
    };
    if let Some(Request { head, body, .. }) = &mut exchange.request {
        undo(head, body);
    }
    if let Some(Response { head, body, .. }) = &mut exchange.response {
        undo(head, body);
    }
    cut
}

/// Names the operation, unless that is known already.
pub(crate) fn name(exchange: &mut Exchange) {
    if exchange.operation.is_none() {
        exchange.operation = operation(exchange).map(Box::new);
    }
}

/// The fields of one head that tell protocols, found in one pass.
#[derive(Default)]
struct Fields<'a> {
    content_type: &'a [u8],
    has_soap_action: bool,
    is_mcp: bool,
}

impl<'a> Fields<'a> {
    fn of(head: &'a Head) -> Self {
        let mut fields = Self::default();
        for (name, value) in head.iter() {
            // Few names have these lengths: most fields cost one comparison.
            match name.len() {
                12 if field::is(name, b"content-type") => fields.content_type = value,
                10 if field::is(name, b"soapaction") => fields.has_soap_action = true,
                14 if field::is(name, b"mcp-session-id") => fields.is_mcp = true,
                20 if field::is(name, b"mcp-protocol-version") => fields.is_mcp = true,
                _ => {}
            }
        }
        fields
    }
}

fn operation(exchange: &Exchange) -> Option<Operation> {
    let request = exchange.request.as_ref()?;
    let response = exchange.response.as_ref();
    let asked = Fields::of(&request.head);
    let answered = response.map_or_else(Fields::default, |response| Fields::of(&response.head));
    if let Some(is_web) = grpc::is_web(asked.content_type) {
        return Some(grpc_call(is_web, asked.content_type, request, response));
    }
    let body = &*request.body.sample;
    if (asked.has_soap_action || contains(asked.content_type, b"xml"))
        && let Some(name) = soap::of(&request.head, body)
    {
        return Some(named(name, Detail::Soap));
    }
    let is_document = starts_with(asked.content_type, b"application/graphql");
    let first = body.trim_ascii_start().first();
    if matches!(first, Some(b'{' | b'[')) && !is_document {
        let answer = response.map_or(&[][..], |response| &response.body.sample);
        // Names of members are compared as they are written: most bodies are turned away by a search.
        if RPC.find(body).is_some()
            && let Some((name, call, is_mcp)) = jsonrpc::of_json(body, answer)
        {
            let detail = if is_mcp.0 || asked.is_mcp || answered.is_mcp {
                Detail::Mcp(call)
            } else {
                Detail::JsonRpc(call)
            };
            return Some(named(name, detail));
        }
        if GRAPHQL.iter().any(|member| member.find(body).is_some())
            && let Some((name, call)) = graphql::of_json(body)
        {
            return Some(named(name, Detail::GraphQl(call)));
        }
    }
    let by_document = is_document.then(|| graphql::of_document(body)).flatten();
    let by_query = || graphql::of_query(request.query()?);
    if let Some((name, call)) = by_document.or_else(by_query) {
        return Some(named(name, Detail::GraphQl(call)));
    }
    if !starts_with(answered.content_type, b"text/event-stream") {
        return None;
    }
    // With MCP it is the stream of messages that a server sends unasked.
    Some(named(
        None,
        if asked.is_mcp {
            Detail::Mcp(JsonRpcCall::default())
        } else {
            Detail::Sse
        },
    ))
}

fn starts_with(value: &[u8], prefix: &[u8]) -> bool {
    value
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

fn contains(value: &[u8], word: &[u8]) -> bool {
    value
        .windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

fn named(name: Option<String>, detail: Detail) -> Operation {
    Operation {
        name: name.map(String::into_boxed_str),
        detail,
    }
}

/// A call whose messages are known from samples alone: gRPC-Web over HTTP/1.
fn grpc_call(is_web: bool, content_type: &[u8], request: &Request, response: Option<&Response>) -> Operation {
    let is_text = content_type
        .to_ascii_lowercase()
        .starts_with(b"application/grpc-web-text");
    let plain = |body: &Body| -> Vec<u8> {
        if is_text {
            from_base64(&body.sample)
        } else {
            body.sample.to_vec()
        }
    };
    let count = |body: &Body| {
        let mut counter = grpc::Counter::default();
        counter.bytes(&plain(body));
        if body.cut {
            counter.lose();
        }
        counter.messages()
    };
    let status = response.and_then(|response| {
        let in_head = response.head.first("grpc-status").and_then(grpc::status);
        in_head.or_else(|| grpc::status_in_body(&plain(&response.body)))
    });
    Operation {
        name: grpc::name(&request.target),
        detail: Detail::Grpc(GrpcCall {
            is_web,
            status,
            requests: count(&request.body),
            responses: response.map(|response| count(&response.body)).unwrap_or_default(),
        }),
    }
}

/// Base64 that may be put together of several padded parts and cut at the end.
fn from_base64(text: &[u8]) -> Vec<u8> {
    const ENGINE: &GeneralPurpose = &BASE64_STANDARD;
    let mut out = Vec::with_capacity(text.len());
    for four in text.chunks_exact(4) {
        let mut bytes = [0; 3];
        match ENGINE.decode_slice(four, &mut bytes) {
            Ok(count) => out.extend(bytes.iter().take(count)),
            Err(_) => break,
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::{Call, call};

    #[track_caller]
    fn check(call: Call, body: &[u8], answer: &[u8], kind: &str, operation: Option<&str>) -> Operation {
        let mut exchange = call.exchange();
        if let Some(request) = &mut exchange.request {
            request.body.sample = body.to_vec().into();
        }
        if let Some(response) = &mut exchange.response {
            response.body.sample = answer.to_vec().into();
        }
        exchange.operation = None;
        name(&mut exchange);
        let found = *exchange.operation.unwrap();
        assert!(format!("{:?}", found.detail).starts_with(kind), "{found:?}");
        assert_eq!(found.name.as_deref(), operation);
        found
    }

    #[test]
    fn operations_are_recognised() {
        let post = || call("POST", "/api").field("content-type", "application/json");
        check(
            post(),
            br#"{"query":"{ me { id } }"}"#,
            b"",
            "GraphQl",
            Some("query me"),
        );
        check(
            call("GET", "/graphql?query=%7Bme%7D"),
            b"",
            b"",
            "GraphQl",
            Some("query me"),
        );
        let rpc = br#"{"jsonrpc":"2.0","method":"sum","id":1}"#;
        check(post(), rpc, b"", "JsonRpc", Some("sum"));
        check(post().field("Mcp-Session-Id", "x"), rpc, b"", "Mcp", Some("sum"));
        check(
            call("POST", "/s").field("SOAPAction", "a"),
            b"",
            b"",
            "Soap",
            Some("a"),
        );
        check(
            call("GET", "/events").answer_field("content-type", "text/event-stream"),
            b"",
            b"",
            "Sse",
            None,
        );
        let mut plain = call("POST", "/orders").exchange();
        name(&mut plain);
        assert_eq!(plain.operation, None);
    }

    #[test]
    fn grpc_web_has_its_status_in_the_body() {
        let answer = b"\0\0\0\0\x02ok\x80\0\0\0\x0fgrpc-status:5\r\n";
        let web = |kind: &str| call("POST", "/s.S/M").field("content-type", kind);
        let found = check(
            web("application/grpc-web+proto"),
            b"\0\0\0\0\0",
            answer,
            "Grpc",
            Some("s.S/M"),
        );
        let Detail::Grpc(found) = found.detail else {
            panic!()
        };
        assert_eq!(
            (found.status, found.responses.count, found.is_web),
            (Some(5), 1, true)
        );
        let text = [
            BASE64_STANDARD.encode(&answer[..7]),
            BASE64_STANDARD.encode(&answer[7..]),
        ]
        .concat();
        let found = check(
            web("application/grpc-web-text"),
            b"",
            text.as_bytes(),
            "Grpc",
            Some("s.S/M"),
        );
        let Detail::Grpc(found) = found.detail else {
            panic!()
        };
        assert_eq!((found.status, found.responses.count), (Some(5), 1));
    }
}
