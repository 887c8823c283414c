//! What the messages of an endpoint look like.
//!
//! In: exchanges. Out: [`Schemas`]: the fields of queries, request bodies and answers by class of status, as paths
//! with counts. Everything adds up, so parts can be merged and the order does not matter. What a cut body does not
//! show is not counted as absent. Reads JSON, forms of both kinds and queries; other bodies have no
//! fields.

mod field;
mod multipart;
mod paths;
mod reader;
mod room;
mod shape;
mod walk;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

pub use field::{Field, Format};
pub(crate) use paths::Paths;
pub(super) use reader::Reader;
pub(super) use room::FieldRoom;
use shape::Shapes;
pub(crate) use walk::{Event, Value, walk};

use super::sensitive::{self, SensitiveType, Verdict};
use crate::exchange::{Body, Exchange, Head, Request};

/// Fields of one kind of message. Overflow policy: further ones are counted in [`Schema::overflow`].
const MAX_FIELDS: usize = 300;

/// Pairs of one query or form. Overflow policy: the first so many.
const MAX_PAIRS: usize = 64;

/// Longest path of a pair. Overflow policy: such pairs are passed over.
const MAX_PAIR_BYTES: usize = 128;

/// Longest query or form that is read. Overflow policy: the first so many bytes.
const MAX_FORM_BYTES: usize = 8 * 1024;

/// The fields of one kind of message.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schema {
    /// Messages read.
    pub messages: u32,
    /// Fields by path. Most messages have few, and a node of the map has room for eleven: they lie outside of it.
    pub fields: BTreeMap<Box<str>, Box<Field>>,
    /// Values of fields that had no room.
    #[serde(skip_serializing_if = "is_zero")]
    pub overflow: u64,
}

/// The fields of all messages of an endpoint.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Schemas {
    /// Exchanges read.
    pub exchanges: u64,
    /// What was seen so far, read or not.
    #[serde(skip)]
    shapes: Shapes,
    /// Query parameters: `query.page`.
    #[serde(skip_serializing_if = "Schema::is_empty")]
    pub query: Schema,
    /// Forms: `form.name`.
    #[serde(skip_serializing_if = "Schema::is_empty")]
    pub form: Schema,
    /// Forms with files: `form.photo`.
    #[serde(skip_serializing_if = "Schema::is_empty")]
    pub multipart: Schema,
    /// JSON bodies of requests: `$.user.name`.
    #[serde(skip_serializing_if = "Schema::is_empty")]
    pub request: Schema,
    /// JSON bodies of answers by the first digit of their status.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub responses: BTreeMap<u16, Schema>,
}

/// Where in an exchange a field is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// In the request.
    Request,
    /// In the answer.
    Response,
}

impl Direction {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::Request => "request",
            Direction::Response => "response",
        }
    }
}

impl Schema {
    /// Whether nothing was read.
    pub fn is_empty(&self) -> bool {
        self.messages == 0
    }

    fn add(&mut self, path: &str, name: &str, value: &Value<'_>, reader: &mut Reader) {
        let found = if let Some(field) = self.fields.get_mut(path) {
            field.add(name, value)
        } else if self.fields.len() < MAX_FIELDS && reader.room.take() {
            self.fields.entry(path.into()).or_default().add(name, value)
        } else {
            self.overflow += 1;
            Field::default().add(name, value)
        };
        reader.found.extend(found);
    }

    /// Whether a bound was reached.
    fn add_json(&mut self, text: &[u8], reader: &mut Reader) -> bool {
        self.messages += 1;
        reader.walk(text, |reader, event| {
            self.add(event.path, event.name, &event.value, reader)
        })
    }

    fn add_pairs(&mut self, prefix: &str, text: &[u8], reader: &mut Reader) {
        let text = text.get(..MAX_FORM_BYTES).unwrap_or(text);
        self.messages += 1;
        for (name, value) in form_urlencoded::parse(text).take(MAX_PAIRS) {
            self.add_pair((prefix, &name), Some(&value), reader);
        }
    }

    fn add_parts(&mut self, body: &[u8], boundary: &str, reader: &mut Reader) {
        self.messages += 1;
        for part in multipart::parts(body, boundary) {
            self.add_pair(("form", part.name), part.text, reader);
        }
    }

    /// Adds a named value; without a text it is a file.
    fn add_pair(&mut self, (prefix, name): (&str, &str), value: Option<&str>, reader: &mut Reader) {
        let path = format!("{prefix}.{}", name.replace(|c: char| c.is_control(), ""));
        let value = match value {
            None => Value::File,
            Some(text) if text.len() < 12 && text.parse::<f64>().is_ok() => Value::Number(text),
            Some(text) => Value::Text(Cow::Borrowed(text)),
        };
        if path.len() <= MAX_PAIR_BYTES {
            self.add(&path, name, &value, reader);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.messages += other.messages;
        self.overflow += other.overflow;
        for (path, field) in &other.fields {
            if self.fields.contains_key(path) || self.fields.len() < MAX_FIELDS {
                self.fields.entry(path.clone()).or_default().merge(field);
            } else {
                self.overflow += u64::from(field.seen);
            }
        }
    }
}

impl Schemas {
    /// How many fields are known, of all messages.
    pub(super) fn len(&self) -> usize {
        self.by_direction().map(|(_, schema)| schema.fields.len()).sum()
    }

    /// Reads one exchange. Whether a bound of its bodies was reached.
    pub(super) fn add(&mut self, exchange: &Exchange, request: &Request, reader: &mut Reader) -> bool {
        self.exchanges += 1;
        if let Some(query) = request.query() {
            let query = query.split('#').next().unwrap_or_default();
            self.query.add_pairs("query", query.as_bytes(), reader);
        }
        let mut is_cut = false;
        match Content::of(&request.head, &request.body) {
            Content::Json => is_cut |= self.request.add_json(&request.body.sample, reader),
            Content::Form => self.form.add_pairs("form", &request.body.sample, reader),
            Content::Multipart(boundary) => self.multipart.add_parts(&request.body.sample, boundary, reader),
            Content::Other => {}
        }
        reader.found.clear();
        if let Some(response) = &exchange.response
            && Content::of(&response.head, &response.body) == Content::Json
        {
            let class = self.responses.entry((response.status / 100).min(9)).or_default();
            is_cut |= class.add_json(&response.body.sample, reader);
        }
        is_cut
    }

    /// Whether the JSON of an exchange has a field, or a kind of value, that was not seen before.
    pub(super) fn has_news(&mut self, exchange: &Exchange, request: &Request) -> bool {
        let asked = self.shapes.has_news(0, &request.body.sample);
        let answered = exchange.response.as_ref().is_some_and(|response| {
            let class = u64::from((response.status / 100).min(9));
            self.shapes.has_news(class, &response.body.sample)
        });
        asked || answered
    }

    /// Adds what another has read.
    pub(super) fn merge(&mut self, other: &Self) {
        self.exchanges += other.exchanges;
        self.shapes.merge(&other.shapes);
        self.query.merge(&other.query);
        self.form.merge(&other.form);
        self.multipart.merge(&other.multipart);
        self.request.merge(&other.request);
        for (class, schema) in &other.responses {
            self.responses.entry(*class).or_default().merge(schema);
        }
    }

    /// Prepares for writing. Whether anything is noted that was not before.
    pub(super) fn note_words(&mut self) -> bool {
        let requests = [
            &mut self.query,
            &mut self.form,
            &mut self.multipart,
            &mut self.request,
        ];
        let schemas = requests.into_iter().chain(self.responses.values_mut());
        let fields = schemas.flat_map(|schema| schema.fields.values_mut());
        // All of them, not up to the first.
        fields
            .filter_map(|field| field.note_words().then_some(()))
            .count()
            > 0
    }

    /// Sensitive data by direction and path, the classes of status taken together.
    pub fn sensitive(&self) -> Vec<(Direction, String, Verdict)> {
        let mut fields: BTreeMap<(Direction, &str), Field> = BTreeMap::new();
        for (direction, schema) in self.by_direction() {
            for (path, field) in &schema.fields {
                if !field.votes.is_empty() {
                    fields.entry((direction, path)).or_default().merge(field);
                }
            }
        }
        let verdicts = fields.iter().flat_map(|((direction, path), field)| {
            let samples = field.seen - field.null.min(field.seen);
            let row = move |verdict| (*direction, (*path).to_owned(), verdict);
            field.votes.verdicts(samples).map(row)
        });
        verdicts.collect()
    }

    /// All schemas, those of requests first.
    fn by_direction(&self) -> impl Iterator<Item = (Direction, &Schema)> {
        let requests = [&self.query, &self.form, &self.multipart, &self.request];
        let requests = requests.map(|schema| (Direction::Request, schema));
        let responses = self.responses.values();
        requests
            .into_iter()
            .chain(responses.map(|schema| (Direction::Response, schema)))
    }
}

/// A value of one exchange that is sensitive, or looks like it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SensitiveField {
    /// Where in the exchange.
    pub direction: Direction,
    /// Where in the message: `$.user.email`, `query.token`.
    pub path: String,
    /// What it is.
    pub kind: SensitiveType,
    /// Only a check digit says so, or it is published for tests.
    pub suspected: bool,
}

/// What is sensitive in one exchange, seen by itself, by direction and path.
pub fn sensitive_fields(exchange: &Exchange) -> Vec<SensitiveField> {
    let Some(request) = &exchange.request else {
        return Vec::new();
    };
    let mut schemas = Schemas::default();
    schemas.add(exchange, request, &mut Reader::of(usize::MAX));
    let mut fields = Vec::new();
    for (direction, schema) in schemas.by_direction() {
        for (path, field) in &schema.fields {
            fields.extend(field.votes.kinds().map(|(kind, suspected)| SensitiveField {
                direction,
                path: path.to_string(),
                kind,
                suspected,
            }));
        }
    }
    fields
}

/// The types of sensitive data in a JSON body, one for each value that has one; none for other bodies.
pub(crate) fn sensitive_values(head: &Head, body: &Body) -> Vec<SensitiveType> {
    let mut found = Vec::new();
    if Content::of(head, body) == Content::Json {
        walk(&body.sample, &mut Paths::default(), |event| {
            let classified = match &event.value {
                Value::Text(text) => sensitive::classify(event.name, text, false),
                Value::Number(number) => sensitive::classify(event.name, number, true),
                _ => None,
            };
            found.extend(classified.map(|classified| classified.kind));
        });
    }
    found
}

/// What a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content<'a> {
    Json,
    Form,
    /// With its boundary.
    Multipart(&'a str),
    Other,
}

impl<'a> Content<'a> {
    fn of(head: &'a Head, body: &Body) -> Self {
        let first = body.sample.trim_ascii_start().first();
        let kind = head.first("content-type").unwrap_or_default();
        let is_form = kind
            .get(..33)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded"));
        match first {
            Some(b'{' | b'[') => Content::Json,
            Some(_) if is_form => Content::Form,
            Some(b'-') => multipart::boundary(kind).map_or(Content::Other, Content::Multipart),
            _ => Content::Other,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::fixture::{Call, call};

    fn schemas(calls: &[Call]) -> Schemas {
        let mut schemas = Schemas::default();
        for call in calls {
            let exchange = call.clone().exchange();
            let request = exchange.request.as_ref().expect("request");
            schemas.add(&exchange, request, &mut Reader::of(usize::MAX));
        }
        schemas
    }

    #[test]
    fn fields_are_counted_by_place_and_status() {
        let calls = [
            call("GET", "/a?page=1&q=x").answer(r#"{"id":1,"tags":["a","b"]}"#),
            call("GET", "/a?page=2").answer(r#"{"id":2,"tags":[],"note":null}"#),
            call("GET", "/a").status(404).answer(r#"{"error":"gone"}"#),
        ];
        let schemas = schemas(&calls);
        assert_eq!(schemas.query.fields["query.page"].integer, 2);
        let ok = &schemas.responses[&2];
        assert_eq!(
            (ok.messages, ok.fields["$"].whole, ok.fields["$.id"].integer),
            (2, 2, 2)
        );
        assert_eq!((ok.fields["$.tags[]"].text, ok.fields["$.note"].null), (2, 1));
        assert!(schemas.responses[&4].fields.contains_key("$.error"));
    }

    #[test]
    fn order_and_parts_do_not_matter() {
        let calls = [
            call("GET", "/a?x=1").answer(r#"{"id":1,"mail":"a@b.test"}"#),
            call("GET", "/a?x=y").answer(r#"{"id":"z"}"#),
            call("GET", "/a").answer("[1,2"),
        ];
        let whole = schemas(&calls);
        let reversed: Vec<Call> = calls.iter().rev().cloned().collect();
        assert_eq!(schemas(&reversed), whole);
        let mut parts = schemas(&calls[..1]);
        parts.merge(&schemas(&calls[1..]));
        assert_eq!(parts, whole);
    }

    #[test]
    fn sensitive_fields_of_all_classes() {
        let answer = r#"{"user":{"mail":"ann@example.test"}}"#;
        let calls: Vec<Call> = (0..24)
            .map(|number| call("GET", "/a").status([200, 500][number % 2]).answer(answer))
            .collect();
        let found = schemas(&calls).sensitive();
        assert_eq!(found.len(), 1);
        let (direction, path, verdict) = &found[0];
        assert_eq!((direction.as_str(), path.as_str()), ("response", "$.user.mail"));
        assert!(!verdict.suspected && verdict.count == 24);
    }

    #[test]
    fn forms_with_files() {
        let body = "--b\r\nContent-Disposition: form-data; name=\"age\"\r\n\r\n42\r\n\
            --b\r\nContent-Disposition: form-data; name=\"scan\"; filename=\"p.pdf\"\r\n\r\n%PDF\r\n--b--\r\n";
        let schemas = schemas(&[call("POST", "/a").body("multipart/form-data; boundary=b", body)]);
        assert_eq!(schemas.multipart.fields["form.age"].integer, 1);
        assert_eq!(schemas.multipart.fields["form.scan"].file, 1);
    }

    #[test]
    fn what_one_exchange_has() {
        let body = r#"{"card":"4539148803436467","other":"234123412346"}"#;
        let exchange = call("POST", "/a?mail=ann@example.test")
            .body("application/json", body)
            .exchange();
        let found: Vec<_> = sensitive_fields(&exchange)
            .into_iter()
            .map(|field| (field.path, field.kind, field.suspected))
            .collect();
        let expected = [
            ("query.mail", SensitiveType::Email, false),
            ("$.card", SensitiveType::CardPan, false),
            ("$.other", SensitiveType::Aadhaar, true),
        ];
        assert_eq!(
            found,
            expected.map(|(path, kind, suspected)| (path.to_owned(), kind, suspected))
        );
    }

    #[test]
    fn bounded() {
        let body = |from: usize| {
            let members: Vec<_> = (from..from + 200)
                .map(|at| format!("\"field_{at}x\":1"))
                .collect();
            format!("{{{}}}", members.join(","))
        };
        let schemas = schemas(&[
            call("GET", "/").answer(&body(0)),
            call("GET", "/").answer(&body(200)),
        ]);
        let schema = &schemas.responses[&2];
        assert_eq!((schema.fields.len(), schema.overflow), (MAX_FIELDS, 101));
    }

    #[test]
    fn without_room_known_fields_are_counted_and_new_ones_are_not_kept() {
        let mut schemas = Schemas::default();
        let mut reader = Reader::of(2);
        for body in [r#"{"a":1}"#, r#"{"a":2,"b":3}"#] {
            let exchange = call("GET", "/").answer(body).exchange();
            schemas.add(
                &exchange,
                exchange.request.as_ref().expect("request"),
                &mut reader,
            );
        }
        let answer = &schemas.responses[&2];
        assert_eq!((schemas.len(), answer.fields["$.a"].integer), (2, 2));
        assert_eq!((reader.room.refused, answer.overflow), (1, 1));
    }
}
