//! What is known of one field.
//!
//! In: its values. Out: how often it had which type and form, which few values it is restricted to, and which
//! sensitive data it carries. Sums only, so that the order of values does not matter. Values are kept only while
//! they may turn out to be a small set of words, and never written to the store before they have.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::walk::Value;
use crate::inventory::{
    sensitive::{self, SensitiveType, Votes},
    template::segment::{SegmentType, classify},
};

/// Values of an enumeration. Overflow policy: with more, the field is none.
const MAX_VALUES: usize = 8;

/// Longest value of an enumeration. Overflow policy: with a longer one, the field is none.
const MAX_VALUE_BYTES: usize = 32;

/// Values seen before a field can be an enumeration, and how often each must have come on average.
const MIN_SAMPLES: u32 = 20;

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// RFC 9562.
    Uuid,
    /// RFC 3339 date and time.
    DateTime,
    /// RFC 3339 date.
    Date,
    /// E-mail address.
    Email,
    /// RFC 3986, with a scheme.
    Uri,
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// Nothing of these.
    Plain,
}

impl Format {
    /// The name that JSON Schema has for it.
    pub const fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Format::Uuid => "uuid",
            Format::DateTime => "date-time",
            Format::Date => "date",
            Format::Email => "email",
            Format::Uri => "uri",
            Format::Ipv4 => "ipv4",
            Format::Ipv6 => "ipv6",
            Format::Plain => return None,
        })
    }

    fn of(text: &str) -> Self {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Format::Uri;
        }
        if text.len() > 64 {
            return Format::Plain;
        }
        match classify(text) {
            SegmentType::Uuid => Format::Uuid,
            SegmentType::Date if text.len() == 10 => Format::Date,
            // A time without a zone is no RFC 3339.
            SegmentType::Date if text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10) => {
                Format::DateTime
            }
            SegmentType::Email => Format::Email,
            SegmentType::Ip if text.contains(':') => Format::Ipv6,
            SegmentType::Ip => Format::Ipv4,
            _ => Format::Plain,
        }
    }
}

/// Counts of values of one field.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Field {
    /// Values, null included.
    pub seen: u32,
    /// Of these null.
    pub null: u32,
    /// Truth values.
    pub boolean: u32,
    /// Whole numbers.
    pub integer: u32,
    /// Other numbers.
    pub number: u32,
    /// Texts.
    pub text: u32,
    /// Lists.
    pub array: u32,
    /// Objects.
    pub object: u32,
    /// Objects that were seen whole.
    pub whole: u32,
    /// Files.
    #[serde(skip_serializing_if = "is_zero")]
    pub file: u32,
    /// Texts by their form.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub formats: BTreeMap<Format, u32>,
    /// Sensitive data.
    #[serde(skip_serializing_if = "Votes::is_empty")]
    pub votes: Votes,
    /// Words that the field may be restricted to.
    #[serde(skip)]
    words: Words,
    /// Words that it is restricted to, as far as that was certain when it was written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known_words: Vec<Box<str>>,
}

/// Different texts of a field, until there are too many.
#[derive(Debug, Clone, PartialEq, Default)]
enum Words {
    #[default]
    None,
    Some(BTreeMap<Box<str>, u32>),
    TooMany,
}

impl Words {
    fn add(&mut self, word: &str, count: u32) {
        let is_word = (1..=MAX_VALUE_BYTES).contains(&word.len())
            && word
                .bytes()
                .all(|b| b.is_ascii_alphabetic() || b == b'_' || b == b'-');
        match self {
            Words::TooMany => {}
            _ if !is_word => *self = Words::TooMany,
            Words::None => *self = Words::Some(BTreeMap::from([(word.into(), count)])),
            Words::Some(words) => {
                *words.entry(word.into()).or_default() += count;
                if words.len() > MAX_VALUES {
                    *self = Words::TooMany;
                }
            }
        }
    }
}

impl Field {
    /// Counts one value. The type of sensitive data that it is.
    pub(super) fn add(&mut self, name: &str, value: &Value<'_>) -> Option<SensitiveType> {
        let (text, is_number) = self.count(value)?;
        let found = sensitive::classify(name, text, is_number);
        match found {
            Some(finding) => {
                self.votes.add(finding);
                self.words = Words::TooMany;
            }
            None if !is_number => self.words.add(text, 1),
            None => {}
        }
        found.map(|found| found.kind)
    }

    /// Counts one value by its type. Its text, if it has one, and whether it is a number.
    fn count<'v>(&mut self, value: &'v Value<'_>) -> Option<(&'v str, bool)> {
        self.seen += u32::from(*value != Value::ObjectEnd);
        match value {
            Value::ObjectEnd => self.whole += 1,
            Value::Object => self.object += 1,
            Value::Array => self.array += 1,
            Value::Null => self.null += 1,
            Value::Bool(_) => self.boolean += 1,
            Value::File => self.file += 1,
            Value::Number(number) => {
                if number.bytes().all(|b| b.is_ascii_digit() || b == b'-') {
                    self.integer += 1;
                } else {
                    self.number += 1;
                }
                return Some((number, true));
            }
            Value::Text(text) => {
                self.text += 1;
                *self.formats.entry(Format::of(text)).or_default() += 1;
                return Some((text, false));
            }
        }
        None
    }

    /// Adds the values of another.
    pub(super) fn merge(&mut self, other: &Self) {
        self.seen += other.seen;
        self.null += other.null;
        self.boolean += other.boolean;
        self.integer += other.integer;
        self.number += other.number;
        self.text += other.text;
        self.array += other.array;
        self.object += other.object;
        self.whole += other.whole;
        self.file += other.file;
        for (format, count) in &other.formats {
            *self.formats.entry(*format).or_default() += count;
        }
        self.votes.merge(&other.votes);
        match &other.words {
            Words::None => {}
            Words::TooMany => self.words = Words::TooMany,
            Words::Some(words) => words
                .iter()
                .for_each(|(word, count)| self.words.add(word, *count)),
        }
        self.known_words.extend(other.known_words.iter().cloned());
        self.known_words.sort();
        self.known_words.dedup();
        self.known_words.truncate(MAX_VALUES);
    }

    /// The words the field is restricted to, if it is.
    pub fn enumeration(&self) -> Vec<&str> {
        let Words::Some(words) = &self.words else {
            return Vec::new();
        };
        let count: u32 = words.values().sum();
        // Texts that came before a restart were not kept: then the words may not be all.
        let is_complete = count == self.text || !self.known_words.is_empty();
        let is_small = self.text >= MIN_SAMPLES && words.len() as u32 * 4 <= self.text;
        if !is_complete || !is_small || !self.votes.is_empty() {
            return Vec::new();
        }
        let mut all: Vec<&str> = words
            .keys()
            .chain(&self.known_words)
            .map(|word| &**word)
            .collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Notes the words that are certain, before the field is written. Whether they are others than before.
    pub(super) fn note_words(&mut self) -> bool {
        let words: Vec<Box<str>> = self.enumeration().into_iter().map(Box::from).collect();
        let are_others = words != self.known_words;
        self.known_words = words;
        are_others
    }

    /// The form that all its texts have.
    pub fn format(&self) -> Option<Format> {
        let mut formats = self.formats.iter();
        match (formats.next(), formats.next()) {
            (Some((format, count)), None) if *count > 0 => Some(*format),
            _ => None,
        }
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, texts: &[&str]) -> Field {
        let mut field = Field::default();
        for text in texts {
            field.add(name, &Value::Text((*text).into()));
        }
        field
    }

    #[test]
    fn small_sets_of_words_are_enumerations() {
        let states = ["open", "closed"].repeat(10);
        assert_eq!(field("state", &states).enumeration(), ["closed", "open"]);
        assert!(field("state", &states[..10]).enumeration().is_empty());
        let names: Vec<String> = (b'a'..=b'z')
            .map(|letter| format!("n{}", char::from(letter)))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(field("name", &names).enumeration().is_empty());
        assert!(field("code", &["4711"].repeat(30)).enumeration().is_empty());
    }

    #[test]
    fn parts_make_the_whole() {
        let texts = ["open", "closed", "open"].repeat(10);
        let mut parts = field("s", &texts[..7]);
        parts.merge(&field("s", &texts[7..]));
        assert_eq!(parts, field("s", &texts));
        let mut sure = parts;
        sure.note_words();
        let json = serde_json::to_string(&sure).expect("json");
        assert!(json.contains("closed"));
        let unsure = serde_json::to_string(&field("s", &texts[..6])).expect("json");
        assert!(!unsure.contains("closed"));
    }

    #[test]
    fn formats() {
        for (text, format) in [
            ("2024-01-31", Format::Date),
            ("2024-01-31T10:00:00Z", Format::DateTime),
            ("2024-01-31T10:00:00", Format::Plain),
            ("https://example.test/", Format::Uri),
            ("203.0.113.9", Format::Ipv4),
            ("text", Format::Plain),
        ] {
            assert_eq!(field("f", &[text]).format(), Some(format), "{text}");
        }
        assert_eq!(field("f", &["2024-01-31", "x"]).format(), None);
    }
}
