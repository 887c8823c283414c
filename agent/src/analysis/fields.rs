//! The fields of a request or of an answer, read once for all detectors.
//!
//! In: target, forms and JSON bodies. Out: [`Fields`]: places, kinds and values, for as long as the exchange is looked
//! at; the buffers are used again for the next one. What a cut body does not show is not there, and not missing.

use std::{hash::BuildHasher as _, ops::Range};

use foldhash::fast::FixedState;

use super::{
    baseline::{FieldTable, Novelty},
    hash::hash,
    look::Look,
};
use crate::{
    exchange::{Body, Head},
    inventory::schema::{Value, walk},
};

/// Fields of one message. Overflow policy: the first so many.
const MAX_FIELDS: usize = 96;

/// Bytes of one value that are kept while it is looked at. Overflow policy: the first so many.
const MAX_VALUE_BYTES: usize = 256;

/// Bytes of a body that are read. Overflow policy: as if it were cut there.
const MAX_BODY_BYTES: usize = 8 * 1024;

/// Names of places that are remembered. Overflow policy: the newest takes the room of one with the same remainder.
const MAX_PLACES: usize = 256;

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Text = 1,
    Number = 1 << 1,
    Bool = 1 << 2,
    Null = 1 << 3,
    Nested = 1 << 4,
}

/// Part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Path,
    Query,
    Body,
}

/// One field.
#[derive(Debug, Clone)]
struct Item {
    part: Part,
    kind: Kind,
    place: u64,
    path: Range<usize>,
    text: Range<usize>,
}

/// The fields of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    text: String,
    items: Vec<Item>,
    /// Places and their names: the next message has much the same.
    places: Vec<(String, u64)>,
    /// Of the last comparison: which items were new, and how.
    news: Vec<(usize, Novelty)>,
    /// Of the last comparison: something can be learned from this message.
    teaches: bool,
}

/// One field as detectors see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    pub(crate) part: Part,
    pub(crate) kind: Kind,
    /// Names the place.
    pub(crate) place: u64,
    /// The place as signals name it: `query.page`, `body.$.user.name`, `path.userId`.
    pub(crate) path: &'a str,
    /// Its value, cut.
    pub(crate) text: &'a str,
}

impl<'a> Field<'a> {
    /// The last part of the place.
    pub(crate) fn name(&self) -> &'a str {
        self.path
            .rsplit_once('.')
            .map_or(self.path, |(_, name)| name)
            .trim_end_matches("[]")
    }

    /// Names the value.
    pub(crate) fn value(&self) -> u64 {
        hash(self.text.as_bytes())
    }
}

impl Fields {
    /// Reads the request of an exchange.
    pub(crate) fn read_request(&mut self, look: &Look<'_>) {
        self.clear();
        self.path(look);
        if let Some((_, query)) = look.request.target.split_once('?') {
            self.pairs(Part::Query, "query.", query.as_bytes());
        }
        self.body(&look.request.head, &look.request.body);
    }

    /// Reads the answer of an exchange.
    pub(crate) fn read_answer(&mut self, look: &Look<'_>) {
        self.clear();
        if let Some(response) = &look.exchange.response {
            self.body(&response.head, &response.body);
        }
    }

    /// All fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.items.iter().map(|item| self.field(item))
    }

    fn field(&self, item: &Item) -> Field<'_> {
        Field {
            part: item.part,
            kind: item.kind,
            place: item.place,
            path: self.text.get(item.path.clone()).unwrap_or_default(),
            text: self.text.get(item.text.clone()).unwrap_or_default(),
        }
    }

    /// Compares all fields but those of the path with what is usual, once for all who want to know.
    pub(crate) fn compare(&mut self, usual: Option<&FieldTable>) {
        let mut news = std::mem::take(&mut self.news);
        news.clear();
        self.teaches = usual.is_none();
        if let Some(usual) = usual {
            for (at, item) in self.items.iter().enumerate() {
                if item.part == Part::Path {
                    continue;
                }
                let (novelty, teaches) = usual.compare(&self.field(item));
                self.teaches |= teaches;
                if novelty != Novelty::Known {
                    news.push((at, novelty));
                }
            }
        }
        self.news = news;
    }

    /// Fields that were new in the last comparison.
    pub(crate) fn news(&self) -> impl Iterator<Item = (Field<'_>, Novelty)> {
        self.news
            .iter()
            .filter_map(|(at, novelty)| Some((self.field(self.items.get(*at)?), *novelty)))
    }

    /// Whether something can be learned from this message, by the last comparison.
    pub(crate) const fn teaches(&self) -> bool {
        self.teaches
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.items.clear();
        self.news.clear();
    }

    /// Parameters of the path: where the template has names.
    fn path(&mut self, look: &Look<'_>) {
        let Some(template) = look.seen.template.filter(|template| template.contains('{')) else {
            return;
        };
        let segments = |path: &'_ str| path.split('/').filter(|segment| !segment.is_empty()).count();
        if segments(template) != segments(look.path()) {
            return;
        }
        let wanted = template.split('/').filter(|segment| !segment.is_empty());
        let given = look.path().split('/').filter(|segment| !segment.is_empty());
        for (name, value) in wanted.zip(given) {
            if let Some(name) = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                self.push(Part::Path, Kind::Text, "path.", name, value);
            }
        }
    }

    fn pairs(&mut self, part: Part, prefix: &str, text: &[u8]) {
        for (name, value) in form_urlencoded::parse(text).take(MAX_FIELDS) {
            self.push(part, Kind::Text, prefix, &name, &value);
        }
    }

    fn body(&mut self, head: &Head, body: &Body) {
        let sample = body.sample.get(..MAX_BODY_BYTES).unwrap_or(&body.sample);
        let first = sample.trim_ascii_start().first();
        if matches!(first, Some(b'{' | b'[')) {
            walk(sample, |event| {
                let (kind, text) = match &event.value {
                    Value::Text(text) => (Kind::Text, text.as_ref()),
                    Value::Number(number) => (Kind::Number, *number),
                    Value::Bool(true) => (Kind::Bool, "true"),
                    Value::Bool(false) => (Kind::Bool, "false"),
                    Value::Null => (Kind::Null, ""),
                    Value::Array | Value::Object => (Kind::Nested, ""),
                    Value::ObjectEnd | Value::File => return,
                };
                self.push(Part::Body, kind, "body.", event.path, text);
            });
        } else if is_form(head) {
            self.pairs(Part::Body, "body.", sample);
        }
    }

    fn push(&mut self, part: Part, kind: Kind, prefix: &str, path: &str, text: &str) {
        if self.items.len() >= MAX_FIELDS {
            return;
        }
        let start = self.text.len();
        self.text.push_str(prefix);
        self.text.push_str(shortened(path, MAX_VALUE_BYTES));
        let middle = self.text.len();
        self.text.push_str(shortened(text, MAX_VALUE_BYTES));
        let place = named(&mut self.places, self.text.get(start..middle).unwrap_or_default());
        self.items.push(Item {
            part,
            kind,
            place,
            path: start..middle,
            text: middle..self.text.len(),
        });
    }
}

/// The name of a place, which takes longer to work out than to look up.
fn named(places: &mut Vec<(String, u64)>, path: &str) -> u64 {
    if places.is_empty() {
        places.resize_with(MAX_PLACES, Default::default);
    }
    let at = FixedState::default().hash_one(path) as usize % MAX_PLACES;
    match places.get_mut(at) {
        Some((known, name)) if known == path && !path.is_empty() => *name,
        Some((known, name)) => {
            path.clone_into(known);
            *name = hash(path.as_bytes());
            *name
        }
        None => hash(path.as_bytes()),
    }
}

fn is_form(head: &Head) -> bool {
    head.first("content-type")
        .is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"))
}

/// At most so many bytes of a text, at the boundary of a character.
fn shortened(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text.get(..end).unwrap_or_default()
}
