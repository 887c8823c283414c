//! Texts and attributes of XML, as far as it is there; the document itself is a value too, for its declarations.

use super::{Item, MAX_VALUES, Place, Visit};
use crate::analysis::signature::{
    decode::Encoding,
    text::{Source, at, from},
};

/// Bytes of the document that may hold declarations. Overflow policy: later ones are not read.
const PROLOGUE_BYTES: usize = 2_048;

/// Visits the declarations, then each text and attribute.
pub(super) fn walk(document: &[u8], visit: &mut Visit<'_>) {
    let prologue = document.get(..PROLOGUE_BYTES).unwrap_or(document);
    let declares = memchr::memmem::find(prologue, b"<!").is_some()
        || memchr::memmem::find(prologue, b":include").is_some();
    if declares {
        visit(&Item {
            source: Source::Body,
            place: Place::Body,
            bytes: prologue,
            encoding: Encoding::Plain,
        });
    }
    let mut name: &[u8] = &[];
    let mut rest = document;
    for _ in 0..MAX_VALUES {
        let Some(open) = memchr::memchr(b'<', rest) else {
            emit(rest, name, Encoding::Entities, visit);
            return;
        };
        emit(
            rest.get(..open).unwrap_or_default(),
            name,
            Encoding::Entities,
            visit,
        );
        let tag = from(rest, open + 1);
        if let Some(data) = tag.strip_prefix(b"![CDATA[") {
            let end = memchr::memmem::find(data, b"]]>").unwrap_or(data.len());
            emit(data.get(..end).unwrap_or_default(), name, Encoding::Plain, visit);
            rest = from(data, end + 3);
            continue;
        }
        let length = tag_length(tag);
        let inside = tag.get(..length).unwrap_or_default();
        if !inside.starts_with(b"!") && !inside.starts_with(b"?") && !inside.starts_with(b"/") {
            let end = inside
                .iter()
                .position(|byte| matches!(byte, 0..=b' ' | b'/'))
                .unwrap_or(inside.len());
            name = inside.get(..end).unwrap_or_default();
            if name.len() != inside.len() {
                attributes(from(inside, end), visit);
            }
            visit(&Item {
                source: Source::Name,
                place: Place::Body,
                bytes: name,
                encoding: Encoding::Plain,
            });
        }
        rest = from(tag, length + 1);
    }
}

fn emit(text: &[u8], name: &[u8], encoding: Encoding, visit: &mut Visit<'_>) {
    // Line breaks may be part of an attack; indentation is not.
    if !text.trim_ascii().is_empty() {
        visit(&Item {
            source: Source::Body,
            place: Place::Xml(name),
            bytes: text,
            encoding,
        });
    }
}

/// Bytes up to the `>` that ends a tag: not one in an attribute.
fn tag_length(tag: &[u8]) -> usize {
    let mut place = 0;
    while let Some(found) = memchr::memchr3(b'>', b'"', b'\'', from(tag, place)) {
        place += found;
        match at(tag, place) {
            b'>' => return place,
            quote => match memchr::memchr(quote, from(tag, place + 1)) {
                Some(end) => place += end + 2,
                None => return memchr::memchr(b'>', tag).unwrap_or(tag.len()),
            },
        }
    }
    tag.len()
}

fn attributes(tag: &[u8], visit: &mut Visit<'_>) {
    let mut rest = tag;
    for _ in 0..MAX_VALUES {
        let Some(equals) = memchr::memchr(b'=', rest) else {
            return;
        };
        let name = rest.get(..equals).unwrap_or_default().trim_ascii();
        let value = from(rest, equals + 1).trim_ascii_start();
        let Some(quote @ (b'"' | b'\'')) = value.first().copied() else {
            return;
        };
        let inside = from(value, 1);
        let end = memchr::memchr(quote, inside).unwrap_or(inside.len());
        let is_namespace = name.starts_with(b"xmlns") || name.ends_with(b"schemaLocation");
        if !is_namespace {
            emit(
                inside.get(..end).unwrap_or_default(),
                name,
                Encoding::Entities,
                visit,
            );
        }
        rest = from(inside, end + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_attributes_are_visited() {
        let mut found = Vec::new();
        let document =
            br#"<?xml version="1.0"?><a x="1 &gt; 0" xmlns="http://n/"><b> t </b><![CDATA[<c>]]></a>"#;
        walk(document, &mut |item| {
            if item.source == Source::Body {
                found.push((
                    item.place.render(),
                    String::from_utf8_lossy(item.bytes).into_owned(),
                ));
            }
        });
        let found: Vec<_> = found
            .iter()
            .map(|(place, value)| (place.as_str(), value.as_str()))
            .collect();
        // The first is the prologue: CDATA begins like a declaration.
        assert_eq!(
            found[1..],
            [("body.x", "1 &gt; 0"), ("body.b", " t "), ("body.b", "<c>")]
        );
    }

    #[test]
    fn any_cut_ends() {
        let document = br#"<a b="c>d" e='f'><g/>h<![CDATA[i]]></a>"#;
        for cut in 0..document.len() {
            walk(&document[..cut], &mut |_| {});
        }
        walk(&b"<".repeat(50_000), &mut |_| {});
    }
}
