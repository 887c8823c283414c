//! Fuzz targets: any bytes, to every parser that takes bytes from elsewhere.
//!
//! In: bytes. Out: nothing, if all is well. What carries traffic goes through the whole replay (flow, protocols, inventory,
//! detectors), because that is what hostile bytes meet in the agent. Promised and checked here: no panic, an end, bounded memory, no
//! more exchanges than bytes.

mod bodies;
mod wire;

use apiarist::{
    capture::file,
    cli, config,
    inventory::path,
    openapi,
    replay::{Options, Replay},
};

/// One target.
#[derive(Debug)]
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Folders of a seed collection whose files suit it.
    pub seeds: &'static [&'static str],
    /// Takes one input.
    pub run: fn(&[u8]),
}

const HTTP1: &str = "h2o/fuzz/http1-corpus";
const HTTP2: &str = "h2o/fuzz/http2-corpus";
const NGHTTP2: &str = "nghttp2/fuzz/corpus";
const URL: &str = "h2o/fuzz/url-corpus";
const WEBSOCKET: &str = "tungstenite-rs/fuzz/seeds";

const fn target(name: &'static str, seeds: &'static [&'static str], run: fn(&[u8])) -> Target {
    Target { name, seeds, run }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("chunked", &[HTTP1], wire::chunked),
    target("coding", &[], bodies::coding),
    target("config", &[], configuration),
    target(
        "conversation",
        &[HTTP1, HTTP2, NGHTTP2, WEBSOCKET],
        wire::conversation,
    ),
    target("exchanges", &[], exchanges),
    target("filter", &[], filter),
    target("form", &[URL], bodies::form),
    target("graphql", &[], bodies::graphql),
    target("grpc", &[], bodies::grpc),
    target("har", &[], har),
    target("hpack", &[NGHTTP2], wire::hpack),
    target("http1", &[HTTP1], wire::http1),
    target("http2", &[HTTP2, NGHTTP2], wire::http2),
    target("json", &[], bodies::json),
    target("jsonrpc", &[], bodies::jsonrpc),
    target("multipart", &[], bodies::multipart),
    target("openapi", &[], openapi_document),
    target("path", &[URL], canonical_path),
    target("pcap", &[], pcap),
    target("pcapng", &[], pcapng),
    target("recording", &[], recording),
    target("redact", &[URL], bodies::target),
    target("soap", &[], bodies::soap),
    target("websocket", &[WEBSOCKET], wire::websocket),
];

/// A file of any kind; a beginning that tells the format is put in front unless it is there.
fn read(beginning: &[u8], data: &[u8]) {
    let mut bytes = Vec::with_capacity(beginning.len() + data.len());
    if !data.starts_with(beginning) {
        bytes.extend_from_slice(beginning);
    }
    bytes.extend_from_slice(data);
    let mut replay = Replay::new(&Options::default());
    if file::read(&*bytes, &Replay::redactor(), &mut replay).is_ok() {
        replay.end_of_file();
    }
}

fn pcap(data: &[u8]) {
    // Little-endian, microseconds, raw IP.
    read(
        b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x65\0\0\0",
        data,
    );
}

fn pcapng(data: &[u8]) {
    let section =
        b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0";
    read(section, data);
}

fn har(data: &[u8]) {
    read(br#"{"log":{"version":"1.2","entries":["#, data);
}

fn exchanges(data: &[u8]) {
    read(br#"{"method":"GET","target":"/"}"#, data);
}

fn recording(data: &[u8]) {
    read(&file::recording::MAGIC, data);
}

fn canonical_path(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    if let Ok(canonical) = path::canonical(&text) {
        let again = path::canonical(canonical.as_str());
        assert_eq!(
            again.as_ref().map(path::CanonicalPath::as_str),
            Ok(canonical.as_str())
        );
    }
    path::authority(&text);
}

fn configuration(data: &[u8]) {
    config::check(&String::from_utf8_lossy(data)).ok();
}

fn filter(data: &[u8]) {
    let row = serde_json::json!({"hits": 3, "method": "GET", "hosts": ["a"], "auth": {"verdict": "none"}});
    cli::accepts(&String::from_utf8_lossy(data), &row);
}

fn openapi_document(data: &[u8]) {
    openapi::read::read(data).ok();
}
