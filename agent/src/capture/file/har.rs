//! HTTP archives (HAR 1.2), as browsers and proxies save them.
//!
//! In: `log.entries`, read one at a time whatever the size of the file; unknown members are ignored. Out: one
//! [`FileExchange`](super::FileExchange) an entry, in the order of the file. Bodies in an archive are decoded,
//! so `content-encoding` is left out.
//! Source: <http://www.softwareishard.com/blog/har-12-spec/>.

use std::{
    cell::Cell,
    fmt,
    io::{self, BufReader, Read},
    rc::Rc,
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

use super::{
    Problems, Sink,
    made_up::{Draft, Maker, Message},
};
use crate::{clock::Timestamp, exchange::Protocol, protocol::redact::Redactor};

/// Bytes of one entry, and of anything else that is read at once. Overflow policy: the archive is read up to
/// there.
const MAX_ENTRY_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    started_date_time: Option<String>,
    time: Option<f64>,
    request: EntryRequest,
    #[serde(default)]
    response: EntryResponse,
    #[serde(default)]
    timings: Timings,
    #[serde(rename = "serverIPAddress")]
    server_ip_address: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EntryRequest {
    method: String,
    url: String,
    http_version: Option<String>,
    #[serde(default)]
    headers: Vec<Pair>,
    post_data: Option<PostData>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct EntryResponse {
    status: i64,
    headers: Vec<Pair>,
    content: Content,
}

#[derive(Deserialize)]
struct Pair {
    name: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    text: Option<String>,
    #[serde(default)]
    params: Vec<Pair>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    size: Option<i64>,
    text: Option<String>,
    encoding: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Timings {
    wait: Option<f64>,
}

/// Reads an archive to its end.
pub(super) fn read(input: impl Read, redactor: &Redactor, sink: &mut dyn Sink, problems: &mut Problems) {
    let budget = Rc::new(Cell::new(MAX_ENTRY_BYTES));
    let input = BufReader::new(Metered {
        input: BufReader::with_capacity(256 * 1024, input),
        budget: Rc::clone(&budget),
    });
    let mut input = SkipMark {
        input,
        at_start: true,
    };
    let mut entries = Entries {
        sink,
        problems,
        budget,
        maker: Maker::new(redactor),
        number: 0,
    };
    let mut document = serde_json::Deserializer::from_reader(&mut input);
    if let Err(error) = (Object {
        member: "log",
        inner: Log(&mut entries),
    })
    .deserialize(&mut document)
    {
        let text = format!("{error}; the entries before it were read");
        entries.problems.add(text);
    }
}

/// Where entries go.
struct Entries<'a> {
    sink: &'a mut dyn Sink,
    problems: &'a mut Problems,
    budget: Rc<Cell<u64>>,
    maker: Maker<'a>,
    number: u64,
}

impl Entries<'_> {
    fn entry(&mut self, value: Value) {
        self.number += 1;
        self.budget.set(MAX_ENTRY_BYTES);
        let number = self.number;
        let exchange = serde_json::from_value(value)
            .map_err(|error| error.to_string())
            .and_then(|entry| draft(entry, number))
            .and_then(|draft| self.maker.make(draft));
        match exchange {
            Ok(exchange) => self.sink.exchange(exchange),
            Err(reason) => self.problems.add(format!("entry {number}: {reason}")),
        }
    }
}

/// An object of which one member is of interest.
struct Object<T> {
    member: &'static str,
    inner: T,
}

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Object<T> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: DeserializeSeed<'de>> Visitor<'de> for Object<T> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}`", self.member)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut inner = Some(self.inner);
        while let Some(name) = map.next_key::<String>()? {
            match inner.take_if(|_| name == self.member) {
                Some(inner) => {
                    map.next_value_seed(inner)?;
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// The member `log`.
struct Log<'a, 'b>(&'a mut Entries<'b>);

impl<'de> DeserializeSeed<'de> for Log<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        Object {
            member: "entries",
            inner: List(self.0),
        }
        .deserialize(deserializer)
    }
}

/// The member `entries`.
struct List<'a, 'b>(&'a mut Entries<'b>);

impl<'de> DeserializeSeed<'de> for List<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_, '_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of entries")
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(entry) = list.next_element::<Value>()? {
            self.0.entry(entry);
        }
        Ok(())
    }
}

fn draft(entry: Entry, number: u64) -> Result<Draft, String> {
    let Entry {
        started_date_time,
        time,
        request,
        response,
        timings,
        server_ip_address,
    } = entry;
    let at = started_date_time.and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (tls, host, target) = split_url(&request.url);
    let ms = |ms: Option<f64>| ms.and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok());
    let status = u16::try_from(response.status).ok().filter(|status| *status != 0);
    Ok(Draft {
        id: number.to_string(),
        at: at.map(|at| Timestamp(u64::try_from(at.as_nanosecond()).unwrap_or(0))),
        workload: None,
        client: None,
        server: server_ip_address.filter(|address| !address.is_empty()),
        host,
        tls,
        tls_version: None,
        protocol: match request.http_version.as_deref() {
            Some("HTTP/1.0" | "http/1.0") => Protocol::Http10,
            Some("HTTP/2" | "http/2" | "HTTP/2.0" | "http/2.0" | "h2") => Protocol::Http2,
            _ => Protocol::Http11,
        },
        method: request.method,
        target,
        request: Message {
            headers: headers(request.headers),
            body: Some(request.post_data.map(form).unwrap_or_default()),
            length: None,
        },
        status,
        response: Message {
            headers: headers(response.headers),
            ..content(response.content)?
        },
        latency: ms(timings.wait),
        duration: ms(time),
    })
}

/// Scheme, authority, and path with query. A fragment was never sent.
fn split_url(url: &str) -> (bool, Option<String>, String) {
    let url = url.split('#').next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return (false, None, url.to_owned());
    };
    let at = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at_checked(at).unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default().to_owned();
    let target = if target.starts_with('/') {
        target.to_owned()
    } else {
        format!("/{target}")
    };
    let tls = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss");
    (tls, Some(host), target)
}

/// Fields without HTTP/2's own (RFC 9113 §8.3), which browsers save among them.
fn headers(pairs: Vec<Pair>) -> Vec<(String, String)> {
    pairs
        .into_iter()
        .filter(|pair| !pair.name.starts_with(':') && !pair.name.eq_ignore_ascii_case("content-encoding"))
        .map(|pair| (pair.name, pair.value))
        .collect()
}

fn form(data: PostData) -> Vec<u8> {
    data.text
        .unwrap_or_else(|| {
            let pairs = data.params.iter().map(|pair| (&pair.name, &pair.value));
            form_urlencoded::Serializer::new(String::new())
                .extend_pairs(pairs)
                .finish()
        })
        .into_bytes()
}

fn content(content: Content) -> Result<Message, String> {
    let length = content.size.and_then(|size| u64::try_from(size).ok());
    let body = match (content.text, content.encoding.as_deref()) {
        (Some(text), Some("base64")) => {
            let bytes = STANDARD.decode(text.trim().as_bytes());
            Some(bytes.map_err(|error| format!("the body is not base64: {error}"))?)
        }
        (text, _) => text.map(String::into_bytes),
    };
    // `size` counts bytes before the text was decoded to characters; what is there is there.
    let length = match &body {
        Some(body) => Some(length.unwrap_or(0).max(body.len() as u64)),
        None => length,
    };
    Ok(Message {
        headers: Vec::new(),
        body,
        length,
    })
}

/// Fails when more is read at once than an entry may have.
struct Metered<R> {
    input: R,
    budget: Rc<Cell<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        let left = self.budget.get().checked_sub(read as u64);
        self.budget.set(
            left.ok_or_else(|| io::Error::other(format!("an entry is larger than {MAX_ENTRY_BYTES} bytes")))?,
        );
        Ok(read)
    }
}

/// Leaves out a byte order mark at the start.
struct SkipMark<R> {
    input: R,
    at_start: bool,
}

impl<R: io::BufRead> Read for SkipMark<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.at_start) && self.input.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
            self.input.consume(3);
        }
        self.input.read(buffer)
    }
}
