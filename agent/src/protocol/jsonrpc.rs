//! JSON-RPC 2.0, and the Model Context Protocol on top of it.
//!
//! In: bodies of a request and its response. Out: a [`JsonRpcCall`] and a name for it. Parameters are not looked at,
//! but for the name of an MCP tool or prompt. Sources: the JSON-RPC 2.0 specification, MCP 2025-06-18.

use super::{
    json::{self, Value},
    operation::JsonRpcCall,
};

/// Methods and error codes kept. Overflow policy: later ones are left out.
const MAX_CALLS: usize = 32;

/// Longest method name, in bytes. Overflow policy: the call has no name.
const MAX_METHOD_BYTES: usize = 128;

/// The error code of a method that does not exist.
const NO_METHOD: i64 = -32601;

/// Families of methods that only MCP has.
const MCP_FAMILIES: [&str; 7] = [
    "tools/",
    "resources/",
    "prompts/",
    "notifications/",
    "sampling/",
    "elicitation/",
    "roots/",
];

/// What a request in JSON asks for, if it is JSON-RPC; `answer` is the body of the response.
pub(super) fn of_json(body: &[u8], answer: &[u8]) -> Option<(Option<String>, JsonRpcCall, IsMcp)> {
    let mut call = JsonRpcCall::default();
    let mut name = None;
    let mut is_mcp = IsMcp(false);
    let mut each = |object: &[u8]| {
        let message = Message::of(object);
        if !message.is_rpc || message.method.is_none() {
            return false;
        }
        call.batch += 1;
        is_mcp.0 |= message.is_mcp();
        let own = message.name();
        match (call.batch, &name) {
            (1, _) => name = own,
            (_, known) if *known == own => {}
            _ => name = Some("batch".to_owned()),
        }
        if let Some(method) = message.method.filter(|method| is_method(method))
            && call.methods.len() < MAX_CALLS
        {
            call.methods.push(method.into());
        }
        true
    };
    if body.trim_ascii_start().starts_with(b"[") {
        for element in json::elements(body) {
            let Value::Object(object) = element else {
                return None;
            };
            if !each(object) {
                return None;
            }
        }
    } else {
        each(body);
    }
    if call.batch == 0 {
        return None;
    }
    call.errors = errors(answer);
    if call.errors.contains(&NO_METHOD) {
        // Names that callers make up are not the interface's.
        name = None;
    }
    Some((name, call, is_mcp))
}

/// Whether what was said can only be MCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IsMcp(pub(super) bool);

#[derive(Debug, Default)]
struct Message<'a> {
    is_rpc: bool,
    method: Option<&'a str>,
    /// The name among the parameters.
    target: Option<&'a str>,
    has_protocol_version: bool,
}

impl<'a> Message<'a> {
    fn of(object: &'a [u8]) -> Self {
        let mut message = Self::default();
        for (key, value) in json::members(object) {
            match (key, value) {
                (b"jsonrpc", value) => message.is_rpc = value.text() == Some("2.0"),
                (b"method", value) => message.method = value.text(),
                (b"params", Value::Object(params)) => {
                    for (key, value) in json::members(params).take(MAX_CALLS) {
                        match key {
                            b"name" => message.target = value.text(),
                            b"protocolVersion" => message.has_protocol_version = true,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        message
    }

    fn is_mcp(&self) -> bool {
        let method = self.method.unwrap_or_default();
        let has_family = MCP_FAMILIES.iter().any(|family| method.starts_with(family));
        has_family || (method == "initialize" && self.has_protocol_version)
    }

    fn name(&self) -> Option<String> {
        let method = self.method.filter(|method| is_method(method))?;
        match self.target.filter(|target| is_method(target)) {
            Some(target) if matches!(method, "tools/call" | "prompts/get") => {
                Some(format!("{method} {target}"))
            }
            _ => Some(method.to_owned()),
        }
    }
}

/// Methods are words of an interface.
fn is_method(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'/' | b':' | b'$');
    !text.is_empty() && text.len() <= MAX_METHOD_BYTES && text.bytes().all(is_word)
}

/// Error codes of an answer, which may be a stream of events.
fn errors(answer: &[u8]) -> Vec<i64> {
    let answer = match memchr::memmem::find(answer, b"data:") {
        Some(place) if !answer.trim_ascii_start().starts_with(b"{") => {
            answer.get(place + 5..).unwrap_or_default()
        }
        _ => answer,
    };
    let code = |object: &[u8]| {
        let error = json::members(object).find(|(key, _)| *key == b"error")?;
        let Value::Object(error) = error.1 else {
            return None;
        };
        let code = json::members(error).find(|(key, _)| *key == b"code")?;
        let Value::Other(digits) = code.1 else { return None };
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    if answer.trim_ascii_start().starts_with(b"[") {
        let objects = json::elements(answer).filter_map(|element| match element {
            Value::Object(object) => code(object),
            _ => None,
        });
        objects.take(MAX_CALLS).collect()
    } else {
        code(answer).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(body: &str, answer: &str) -> (Option<String>, bool) {
        let (name, _, is_mcp) = of_json(body.as_bytes(), answer.as_bytes()).unwrap();
        (name, is_mcp.0)
    }

    #[test]
    fn calls_have_names() {
        let body = r#"{"jsonrpc":"2.0","method":"eth_call","params":[1],"id":1}"#;
        assert_eq!(name(body, ""), (Some("eth_call".to_owned()), false));
        let body = r#"[{"jsonrpc":"2.0","method":"a","id":1},{"jsonrpc":"2.0","method":"b"}]"#;
        let (found, call, _) = of_json(body.as_bytes(), b"").unwrap();
        assert_eq!((found.as_deref(), call.batch), (Some("batch"), 2));
        assert_eq!(call.methods, ["a".into(), "b".into()]);
    }

    #[test]
    fn tools_are_part_of_the_name() {
        let body = r#"{"method":"tools/call","params":{"arguments":{"q":"secret"},"name":"search"},"jsonrpc":"2.0","id":3}"#;
        assert_eq!(name(body, ""), (Some("tools/call search".to_owned()), true));
        let body =
            r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}"#;
        assert_eq!(name(body, ""), (Some("initialize".to_owned()), true));
    }

    #[test]
    fn errors_are_kept_and_unknown_methods_have_no_name() {
        let body = r#"{"jsonrpc":"2.0","method":"made.up","id":1}"#;
        let answer = r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"no"},"id":1}"#;
        assert_eq!(name(body, answer).0, None);
        let events = "event: message\ndata: {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32000},\"id\":1}\n\n";
        let (_, call, _) = of_json(body.as_bytes(), events.as_bytes()).unwrap();
        assert_eq!(call.errors, [-32000]);
    }

    #[test]
    fn other_bodies_are_not_rpc() {
        for body in [
            r#"{"method":"a"}"#,
            r#"{"jsonrpc":"1.0","method":"a"}"#,
            "[]",
            "[1]",
            "x",
        ] {
            assert_eq!(of_json(body.as_bytes(), b""), None, "{body}");
        }
    }
}
