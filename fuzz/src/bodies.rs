//! Bodies of messages, with the fields that make parsers look at them.

use crate::wire::exchange;

/// Both bodies are the input, of this content type.
fn both(content_type: &str, data: &[u8]) {
    let fields = format!("Content-Type: {content_type}\r\n");
    exchange("POST /api/items", &fields, data, &fields, data);
}

pub(crate) fn json(data: &[u8]) {
    both("application/json", data);
}

pub(crate) fn jsonrpc(data: &[u8]) {
    let call = [
        &br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"#[..],
        data,
    ]
    .concat();
    both("application/json", &call);
    both("application/json", data);
}

pub(crate) fn graphql(data: &[u8]) {
    both("application/graphql", data);
    let text = String::from_utf8_lossy(data);
    let body = serde_json::json!({ "query": text }).to_string();
    both("application/json", body.as_bytes());
}

pub(crate) fn soap(data: &[u8]) {
    both("application/soap+xml; action=\"a\"", data);
    both("text/xml", data);
}

pub(crate) fn form(data: &[u8]) {
    both("application/x-www-form-urlencoded", data);
}

pub(crate) fn multipart(data: &[u8]) {
    both("multipart/form-data; boundary=b", data);
}

pub(crate) fn grpc(data: &[u8]) {
    both("application/grpc-web+proto", data);
    both("application/grpc-web-text", data);
}

pub(crate) fn coding(data: &[u8]) {
    for coding in ["gzip", "deflate", "br", "zstd"] {
        let fields = format!("Content-Type: application/json\r\nContent-Encoding: {coding}\r\n");
        exchange("POST /coded", &fields, data, &fields, data);
    }
}

/// A request target.
pub(crate) fn target(data: &[u8]) {
    let target: String = String::from_utf8_lossy(data)
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    exchange(
        &format!("GET /{target}"),
        "Authorization: Bearer abc\r\nCookie: a=b\r\n",
        b"",
        "",
        b"{}",
    );
}
