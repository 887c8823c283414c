//! Exchanges files: JSON Lines, one exchange a line.
//!
//! In: lines with at least `method` and `target`; unknown members are ignored, blank lines too. Out: one
//! [`FileExchange`](super::FileExchange) a line. A bad line is skipped, counted, and named by its number.
//! Bodies are taken as decoded text: a `content-encoding` beside a text body is about bytes that the file does
//! not have, and is left out.

use std::{
    io::{BufRead, BufReader, Read},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::Value;

use super::{
    Problems, Sink,
    made_up::{Draft, Maker, Message},
};
use crate::{
    clock::Timestamp,
    exchange::{Protocol, TlsVersion},
    protocol::redact::Redactor,
};

/// Longest line. Overflow policy: the line is skipped and counted.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

#[derive(Deserialize)]
struct Line {
    id: Option<Id>,
    ts: Option<f64>,
    workload: Option<String>,
    client: Option<String>,
    server: Option<String>,
    scheme: Option<String>,
    tls_version: Option<String>,
    host: Option<String>,
    method: String,
    target: String,
    #[serde(default)]
    request: Part,
    status: Option<u16>,
    #[serde(default)]
    response: Option<Part>,
    duration_ms: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Id {
    Text(String),
    Number(serde_json::Number),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Part {
    headers: Vec<(String, String)>,
    body: Option<Value>,
    body_base64: Option<String>,
}

/// Reads an exchanges file to its end.
pub(super) fn read(input: impl Read, redactor: &Redactor, sink: &mut dyn Sink, problems: &mut Problems) {
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let mut maker = Maker::new(redactor);
    let mut line = Vec::new();
    let mut number = 0_u64;
    loop {
        number += 1;
        line.clear();
        match (&mut input)
            .take(MAX_LINE_BYTES as u64)
            .read_until(b'\n', &mut line)
        {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                return problems.add(format!("line {number}: the file cannot be read on: {error}"));
            }
        }
        if line.len() >= MAX_LINE_BYTES && !line.ends_with(b"\n") {
            problems.add(format!("line {number} is longer than {MAX_LINE_BYTES} bytes"));
            if input.skip_until(b'\n').is_err() {
                return;
            }
            continue;
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&line).trim_ascii();
        if text.is_empty() {
            continue;
        }
        let exchange = parse(text, number).and_then(|draft| maker.make(draft));
        match exchange {
            Ok(exchange) => sink.exchange(exchange),
            Err(reason) => problems.add(format!("line {number}: {reason}")),
        }
    }
}

fn parse(text: &[u8], number: u64) -> Result<Draft, String> {
    let line: Line = serde_json::from_slice(text).map_err(|error| {
        // serde_json counts lines from the start of its input, which is this one.
        let text = error.to_string();
        match text.rsplit_once(" at line ") {
            Some((reason, _)) if error.column() > 0 => format!("{reason} (column {})", error.column()),
            _ => text,
        }
    })?;
    let duration = line
        .duration_ms
        .and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    Ok(Draft {
        id: match line.id {
            Some(Id::Text(id)) => id,
            Some(Id::Number(id)) => id.to_string(),
            None => number.to_string(),
        },
        at: line.ts.map(Timestamp::from_secs_f64),
        workload: line.workload,
        client: line.client,
        server: line.server,
        host: line.host,
        tls: line
            .scheme
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")),
        tls_version: line.tls_version.as_deref().and_then(TlsVersion::parse),
        protocol: Protocol::Http11,
        method: line.method,
        target: line.target,
        request: message(line.request)?,
        status: line.status,
        response: line.response.map(message).transpose()?.unwrap_or_default(),
        latency: duration,
        duration,
    })
}

fn message(part: Part) -> Result<Message, String> {
    let Part {
        mut headers,
        body,
        body_base64,
    } = part;
    let body = match (body, body_base64) {
        (_, Some(encoded)) => {
            let bytes = STANDARD.decode(encoded.trim().as_bytes());
            Some(bytes.map_err(|error| format!("`body_base64` is not base64: {error}"))?)
        }
        (Some(body), None) => {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-encoding"));
            Some(match body {
                Value::Null => Vec::new(),
                Value::String(text) => text.into_bytes(),
                // JSON given as such instead of as text.
                other => other.to_string().into_bytes(),
            })
        }
        (None, None) => Some(Vec::new()),
    };
    Ok(Message {
        headers,
        body,
        length: None,
    })
}
