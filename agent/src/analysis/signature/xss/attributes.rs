//! Attributes of HTML elements, read as browsers read them, and which of them run script.

use super::urls::{active_url, style_runs};
use crate::analysis::signature::text::{Source, Text, from};

/// An attribute of a tag.
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    name: &'a [u8],
    value: &'a [u8],
    has_value: bool,
    pub(super) ends_tag: bool,
}

/// The next attribute and what follows it; `None` at the end of the text.
pub(super) fn next_attribute(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let separators = bytes
        .iter()
        .take_while(|byte| matches!(**byte, 0..=b' ' | b'/' | b'"' | b'\'' | b'\\' | b'+' | b'?' | b',' | b';' | 0x7f..))
        .count();
    let rest = from(bytes, separators);
    match rest.first()? {
        b'>' => {
            let ends = Attribute {
                ends_tag: true,
                ..Attribute::default()
            };
            return Some((ends, from(rest, 1)));
        }
        b'<' | b'=' => return Some((Attribute::default(), from(rest, 1))),
        _ => {}
    }
    let length = rest
        .iter()
        .take_while(|byte| !matches!(**byte, 0..=b' ' | b'/' | b'>' | b'=' | b'"' | b'\'' | b'\\'))
        .count()
        .max(1);
    let (name, rest) = rest.split_at_checked(length)?;
    let blanks = rest
        .iter()
        .take_while(|byte| matches!(**byte, 0..=b' ' | b'\\' | b'+'))
        .count();
    let Some(value) = from(rest, blanks).strip_prefix(b"=") else {
        let attribute = Attribute {
            name,
            ..Attribute::default()
        };
        return Some((attribute, rest));
    };
    let blanks = value.iter().take_while(|byte| **byte <= b' ').count();
    let value = from(value, blanks);
    let (value, rest) = match value.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => {
            let inside = from(value, 1);
            let end = memchr::memchr(*quote, inside).unwrap_or(inside.len());
            (inside.get(..end).unwrap_or_default(), from(inside, end + 1))
        }
        _ => {
            let end = value
                .iter()
                .position(|byte| matches!(*byte, 0..=b' ' | b'>'))
                .unwrap_or(value.len());
            value.split_at_checked(end)?
        }
    };
    let attribute = Attribute {
        name,
        value,
        has_value: true,
        ends_tag: false,
    };
    Some((attribute, rest))
}

pub(super) fn judge_attribute(
    element: &[u8],
    attribute: &Attribute<'_>,
    page: bool,
    is_refresh: &mut bool,
    text: &Text<'_>,
) -> Option<&'static str> {
    if !attribute.has_value {
        return None;
    }
    let name = attribute
        .name
        .rsplit(|byte| *byte == b':')
        .next()
        .unwrap_or(attribute.name);
    // `onClick={…}` belongs to a component of a program, not to HTML.
    let handles = is_event(name) && !(attribute.value.starts_with(b"{") && text.is_content());
    if handles && !page {
        return Some("an attribute that handles an event");
    }
    match name {
        b"srcdoc" => return Some("a document inside an attribute"),
        b"http-equiv" => {
            *is_refresh = true;
            if !text.is_content() {
                return Some("a header inside a document");
            }
        }
        b"style" if style_runs(attribute.value) => return Some("a style that runs script"),
        b"allowscriptaccess" => return Some("an element that loads what runs"),
        b"href" | b"rel" if element == b"link" && !text.is_content() => {
            return Some("a stylesheet or import");
        }
        _ => {}
    }
    active_url(attribute.value, Source::Body).or_else(|| {
        (*is_refresh && memchr::memmem::find(attribute.value, b"url=").is_some())
            .then_some("a redirect inside a document")
    })
}

/// Whether this is the name of an attribute that handles an event.
pub(super) fn is_event(name: &[u8]) -> bool {
    name.len() >= 5
        && name.len() <= 30
        && name.starts_with(b"on")
        && name.iter().all(|byte| byte.is_ascii_lowercase())
        && !matches!(
            name,
            b"only" | b"once" | b"online" | b"onboarding" | b"ongoing" | b"onward"
        )
}
