//! Parts of multipart bodies (RFC 7578): names, file names, and what is in them.

use super::{Item, Place, Visit, Whole, walk_body};
use crate::analysis::signature::{
    decode::Encoding,
    text::{Source, from},
};

/// Parts that are read. Overflow policy: the first so many.
const MAX_PARTS: usize = 64;

/// Longest part that is taken for a value; longer ones are files. Overflow policy: not read.
const MAX_PART_BYTES: usize = 8_192;

/// Visits the parts of a body whose media type, in lower case, names the boundary.
pub(super) fn walk(kind: &[u8], body: &[u8], visit: &mut Visit<'_>) {
    // The type was put into lower case; a body begins with its boundary anyway.
    if !walk_unnamed(body.trim_ascii_start(), visit) {
        visit(&Item {
            source: Source::Name,
            place: Place::Body,
            bytes: kind,
            encoding: Encoding::Plain,
        });
    }
}

/// Visits the parts of a body that begins with its boundary. Whether it is one.
pub(super) fn walk_unnamed(body: &[u8], visit: &mut Visit<'_>) -> bool {
    let line = memchr::memchr(b'\n', body).unwrap_or(body.len());
    let boundary = body.get(..line).unwrap_or_default().trim_ascii_end();
    if boundary.len() < 3 || !boundary.starts_with(b"--") {
        return false;
    }
    let mut rest = from(body, line + 1);
    for _ in 0..MAX_PARTS {
        let end = memchr::memmem::find(rest, boundary).unwrap_or(rest.len());
        part(rest.get(..end).unwrap_or_default(), visit);
        if end >= rest.len() {
            break;
        }
        rest = from(rest, end + boundary.len());
        if rest.starts_with(b"--") {
            break;
        }
    }
    true
}

fn part(part: &[u8], visit: &mut Visit<'_>) {
    let (head, content) = [&b"\r\n\r\n"[..], b"\n\n"]
        .iter()
        .filter_map(|blank| memchr::memmem::find(part, blank).map(|place| (place, blank.len())))
        .min()
        .map_or((part, &[][..]), |(place, length)| {
            (part.get(..place).unwrap_or_default(), from(part, place + length))
        });
    let mut name: &[u8] = &[];
    let mut kind: &[u8] = &[];
    let mut file = false;
    for line in head.split(|byte| *byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else {
            continue;
        };
        let field = line.get(..colon).unwrap_or_default().trim_ascii();
        let value = from(line, colon + 1).trim_ascii();
        if field.eq_ignore_ascii_case(b"content-type") {
            kind = value;
        } else if field.eq_ignore_ascii_case(b"content-disposition") {
            for (parameter, value) in parameters(value) {
                let is_file = parameter.starts_with(b"filename");
                file |= is_file;
                if parameter == b"name" {
                    name = value;
                }
                visit(&Item {
                    source: if is_file { Source::Query } else { Source::Name },
                    place: Place::Field(if is_file { b"filename" } else { b"name" }),
                    bytes: value,
                    encoding: Encoding::Percent,
                });
            }
        }
    }
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let content = content.strip_suffix(b"\r").unwrap_or(content);
    if content.len() > MAX_PART_BYTES || content.is_empty() {
        return;
    }
    let structured = [&b"json"[..], b"xml", b"urlencoded"]
        .iter()
        .any(|known| memchr::memmem::find(kind, known).is_some());
    if structured {
        let part = Whole {
            body: content,
            is_graphql: false,
            strings: None,
        };
        walk_body(kind, part, visit);
    } else if !content.contains(&0) {
        visit(&Item {
            source: Source::Body,
            place: Place::Field(name),
            bytes: content,
            encoding: if file { Encoding::Plain } else { Encoding::Percent },
        });
    }
}

/// `name="value"` behind each `;`.
fn parameters(value: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(|byte| *byte == b';').skip(1).filter_map(|pair| {
        let equals = memchr::memchr(b'=', pair)?;
        let name = pair.get(..equals)?.trim_ascii();
        let value = from(pair, equals + 1).trim_ascii();
        let value = value.strip_prefix(b"\"").unwrap_or(value);
        Some((name, value.strip_suffix(b"\"").unwrap_or(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_visited() {
        let body = b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"../b.txt\"\r\n\r\nhello\r\n--x\r\n\
            Content-Disposition: form-data; name=\"j\"\r\nContent-Type: application/json\r\n\r\n{\"k\":\"v w\"}\r\n--x--\r\n";
        let mut found = Vec::new();
        walk(b"multipart/form-data; boundary=x", body, &mut |item| {
            found.push((
                item.place.render(),
                String::from_utf8_lossy(item.bytes).into_owned(),
            ));
        });
        for expected in [
            ("body.filename", "../b.txt"),
            ("body.a", "hello"),
            ("body.$.k", "v w"),
        ] {
            assert!(
                found.contains(&(expected.0.to_owned(), expected.1.to_owned())),
                "{expected:?} in {found:?}"
            );
        }
        for cut in 0..body.len() {
            walk(b"", &body[..cut], &mut |_| {});
        }
    }
}
