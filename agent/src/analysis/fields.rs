//! The fields of a request or of an answer, read once for all detectors.
//!
//! In: target, forms and JSON bodies. Out: [`Fields`]: places, kinds and values, for as long as the exchange is looked
//! at; the buffers are used again for the next one. What a cut body does not show is not there, and not missing.

mod places;
mod strings;

use std::ops::Range;

use places::{Before, Places};
use strings::Noted;
pub(super) use strings::{Quoted, Strings};

use super::{
    baseline::{FieldTable, Novelty},
    hash::hash,
    look::Look,
};
use crate::{
    exchange::{Body, Head, Request},
    inventory::schema::{Value, walk},
};

/// Fields of one message. Overflow policy: the first so many.
const MAX_FIELDS: usize = 96;

/// Bytes of one value that are kept while it is looked at. Overflow policy: the first so many.
const MAX_VALUE_BYTES: usize = 256;

/// Bytes of a body that are read. Overflow policy: as if it were cut there.
const MAX_BODY_BYTES: usize = 8 * 1024;

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
    /// Number of its place.
    place: u32,
    text: Range<usize>,
}

/// The fields of a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    text: String,
    items: Vec<Item>,
    /// Fields from which on there are no more.
    most: usize,
    /// Names and strings of the body that are worth a look.
    noted: Noted,
    places: Places,
    /// Of the last comparison: which items were new, and how.
    news: Vec<(usize, Novelty)>,
    /// Of the last comparison: something can be learned from this message.
    teaches: bool,
    /// Number of the last comparison.
    comparison: u64,
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
        let mut name = self.path.rsplit_once('.').map_or(self.path, |(_, name)| name);
        // Setting up a search would cost more.
        while let Some(list) = name.strip_suffix("[]") {
            name = list;
        }
        name
    }

    /// Names the value.
    pub(crate) fn value(&self) -> u64 {
        match self.kind {
            // Of these there are so few that their names are known.
            Kind::Null | Kind::Nested if self.text.is_empty() => NOTHING,
            Kind::Bool if self.text == "true" => TRUE,
            Kind::Bool if self.text == "false" => FALSE,
            _ => hash(self.text.as_bytes()),
        }
    }
}

impl Fields {
    /// Reads the body of a request: the first half of reading one.
    pub(crate) fn read_body(&mut self, request: &Request) {
        self.clear();
        self.body(&request.head, &request.body);
    }

    /// Reads the path and the query of a request whose body was read; their fields go before those of the body.
    pub(crate) fn read_target(&mut self, look: &Look<'_>) {
        let of_body = self.items.len();
        self.most = of_body + MAX_FIELDS;
        self.path(look);
        if let Some(query) = look.request.query() {
            self.pairs(Part::Query, "query.", query.as_bytes());
        }
        self.items.rotate_left(of_body);
        self.items.truncate(MAX_FIELDS);
    }

    /// Reads the answer of an exchange.
    pub(crate) fn read_answer(&mut self, look: &Look<'_>) {
        self.clear();
        if let Some(response) = &look.exchange.response {
            self.body(&response.head, &response.body);
        }
    }

    /// Names and strings of the body that are worth a look, where it is JSON that was read whole.
    pub(crate) fn strings(&self) -> Option<Strings<'_>> {
        self.noted.strings(&self.places.paths)
    }

    /// All fields, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.items.iter().map(|item| self.field(item))
    }

    fn field(&self, item: &Item) -> Field<'_> {
        let (place, path) = self
            .places
            .get(item.place)
            .map_or((0, ""), |place| (place.name, &*place.path));
        Field {
            part: item.part,
            kind: item.kind,
            place,
            path,
            text: self.text.get(item.text.clone()).unwrap_or_default(),
        }
    }

    /// Compares all fields but those of the path with what is usual, once for all who want to know.
    pub(crate) fn compare(&mut self, usual: Option<&FieldTable>) {
        let mut news = std::mem::take(&mut self.news);
        news.clear();
        self.teaches = usual.is_none();
        if let Some(usual) = usual {
            self.comparison += 1;
            for (at, item) in self.items.iter().enumerate() {
                if item.part == Part::Path {
                    continue;
                }
                // In a list, a place comes once for each element.
                let is_repeated = match self.places.compared(item.place, self.comparison, item.kind) {
                    None => false,
                    Some(Before::AnyValue) => true,
                    Some(Before::Value(last)) => {
                        let text = self.text.as_bytes();
                        text.get(last.clone()) == text.get(item.text.clone())
                    }
                };
                if is_repeated {
                    continue;
                }
                let compared = usual.compare(&self.field(item));
                self.teaches |= compared.teaches;
                if compared.novelty != Novelty::Known {
                    news.push((at, compared.novelty));
                } else {
                    let before = match compared.is_any_value {
                        true => Before::AnyValue,
                        false => Before::Value(item.text.clone()),
                    };
                    self.places.keep(item.place, self.comparison, item.kind, before);
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
        self.most = MAX_FIELDS;
        self.noted.clear();
        if self.places.begin() {
            self.noted.forget();
        }
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
            let mut paths = std::mem::take(&mut self.places.paths);
            let outline = walk(sample, &mut paths, |event| {
                if event.value != Value::ObjectEnd {
                    self.noted.see(&event, sample);
                }
                let (kind, text) = match &event.value {
                    Value::Text(text) => (Kind::Text, text.as_ref()),
                    Value::Number(number) => (Kind::Number, *number),
                    Value::Bool(true) => (Kind::Bool, "true"),
                    Value::Bool(false) => (Kind::Bool, "false"),
                    Value::Null => (Kind::Null, ""),
                    Value::Array | Value::Object => (Kind::Nested, ""),
                    Value::ObjectEnd | Value::File => return,
                };
                if self.items.len() < self.most {
                    let place = self.places.walked(event.place, "body.", event.path);
                    self.add(Part::Body, kind, place, text);
                }
            });
            self.places.paths = paths;
            self.noted
                .end(outline.is_whole && sample.len() == body.sample.len());
        } else if is_form(head) {
            self.pairs(Part::Body, "body.", sample);
        }
    }

    fn push(&mut self, part: Part, kind: Kind, prefix: &str, path: &str, text: &str) {
        if self.items.len() < self.most {
            let place = self.places.named(prefix, shortened(path, MAX_VALUE_BYTES));
            self.add(part, kind, place, text);
        }
    }

    fn add(&mut self, part: Part, kind: Kind, place: u32, text: &str) {
        let start = self.text.len();
        self.text.push_str(shortened(text, MAX_VALUE_BYTES));
        self.items.push(Item {
            part,
            kind,
            place,
            text: start..self.text.len(),
        });
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

/// Names of the values that [`Field::value`] does not work out.
const NOTHING: u64 = 0xd1fb_a762_150c_532c;
const TRUE: u64 = 0xc6ec_d912_100d_0c22;
const FALSE: u64 = 0xd245_f344_4193_a9f1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_are_those_that_would_be_worked_out() {
        for (kind, text) in [
            (Kind::Nested, ""),
            (Kind::Null, ""),
            (Kind::Bool, "true"),
            (Kind::Bool, "false"),
        ] {
            let field = Field {
                part: Part::Body,
                kind,
                place: 0,
                path: "",
                text,
            };
            assert_eq!(field.value(), hash(text.as_bytes()), "{text}");
        }
    }
}
