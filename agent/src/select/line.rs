//! A row of a list as it is answered, and where its members stand in it.
//!
//! In: a row as JSON in one line. Out: its text, and the values of single members, found without reading what stands before
//! them where the row is of a known shape ([`Line::of`]), by reading from the front otherwise. Understands no value.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::protocol::json;

/// A row that is looked at member by member.
pub(crate) trait Row {
    /// All of it, as JSON in one line.
    fn text(&self) -> &str;

    /// Whether it looks like a row.
    fn is_object(&self) -> bool {
        self.text().starts_with('{') && self.text().ends_with('}')
    }

    /// The value of a member, as it stands in the text.
    fn member(&self, name: &str) -> Option<json::Value<'_>> {
        let mut members = json::members(self.text().as_bytes());
        // No name of a member needs an escape.
        members.find_map(|(key, value)| (key == name.as_bytes()).then_some(value))
    }
}

impl Row for str {
    fn text(&self) -> &str {
        self
    }
}

impl Row for String {
    fn text(&self) -> &str {
        self
    }
}

impl Row for Arc<str> {
    fn text(&self) -> &str {
        self
    }
}

/// Members of a row whose places are held with it: as many as an endpoint has.
const INLINE: usize = 26;

/// The rows of a list, in its order: handed on without a copy.
pub type Rows = Arc<Vec<Arc<Line>>>;

/// A row that is kept and asked for again and again.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    text: Box<str>,
    /// Names of the members, in the order in which they stand in the text.
    names: &'static [&'static str],
    /// Where the keys of these members begin. Those that begin beyond 64 KiB are looked for. Held here, because every place in
    /// memory that is looked at costs more than what is done there.
    starts: SmallVec<[u16; INLINE]>,
    /// There are no other members.
    is_whole: bool,
}

impl Line {
    /// A row whose members are these, in this order. Those that are not are looked for when they are asked for.
    pub fn of(text: String, names: &'static [&'static str]) -> Self {
        let bytes = text.as_bytes();
        let mut rest = bytes.strip_prefix(b"{").unwrap_or_default();
        let starts: SmallVec<_> = names
            .iter()
            .map_while(|name| {
                let start = u16::try_from(bytes.len() - rest.len()).ok()?;
                let (key, _) = json::member(&mut rest)?;
                (key == name.as_bytes()).then_some(start)
            })
            .collect();
        Self {
            is_whole: starts.len() == names.len() && rest == b"}",
            starts,
            text: text.into(),
            names,
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn known(&self, name: &str) -> Option<json::Value<'_>> {
        let place = self.names.iter().position(|known| *known == name)?;
        let start = usize::from(*self.starts.get(place)?);
        let (_, value) = json::member(&mut self.text.as_bytes().get(start..)?)?;
        Some(value)
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::of(text, &[])
    }
}

impl Row for Arc<Line> {
    fn text(&self) -> &str {
        &self.text
    }

    fn is_object(&self) -> bool {
        self.is_whole || self.text.is_object()
    }

    fn member(&self, name: &str) -> Option<json::Value<'_>> {
        match self.known(name) {
            None if !self.is_whole => self.text.member(name),
            known => known,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"id":"a","hosts":["x",{"id":2}],"hits":7,"owner":null}"#;

    fn line(names: &'static [&'static str]) -> Arc<Line> {
        Arc::new(Line::of(TEXT.to_owned(), names))
    }

    #[test]
    fn members_are_found_where_they_stand() {
        let known = line(&["id", "hosts", "hits", "owner"]);
        assert_eq!((&*known.starts, known.is_whole), (&[1, 9, 32, 41][..], true));
        for line in [&known, &line(&[]), &line(&["id", "other", "hits"])] {
            assert_eq!(line.member("id"), Some(json::Value::String(b"a")));
            assert_eq!(line.member("hits"), Some(json::Value::Other(b"7")));
            assert_eq!(line.member("owner"), Some(json::Value::Other(b"null")));
            assert_eq!(line.member("absent"), None);
            assert_eq!(line.text(), TEXT);
        }
    }

    #[test]
    fn of_another_shape_only_what_is_before_is_known() {
        assert_eq!(*line(&["id", "other", "hits"]).starts, [1]);
        let long = format!(r#"{{"a":"{}","b":1}}"#, "x".repeat(70_000));
        let long = Arc::new(Line::of(long, &["a", "b"]));
        assert_eq!((long.starts.len(), long.is_whole), (1, false));
        assert_eq!(long.member("b"), Some(json::Value::Other(b"1")));
    }
}
