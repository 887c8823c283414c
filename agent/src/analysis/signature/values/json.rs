//! Strings and names of a JSON text, in one pass, with the objects and lists around them.
//!
//! Reads what is there of a text that is cut; recursion-free; nothing is copied. A GraphQL document among them is not a
//! value: its string literals are.

use smallvec::SmallVec;

use super::{Item, MAX_VALUES, Place, Visit};
use crate::{
    analysis::{
        fields::Quoted,
        signature::{
            decode::Encoding,
            deserialisation::begins_encoded,
            scan::plain_to_quote,
            text::{Source, at, from, skip_while},
        },
    },
    protocol::json::string_end,
};

/// Objects and lists around a value. Overflow policy: what is deeper is read, but placed in its outermost ones.
const MAX_DEPTH: usize = 24;

/// An object's member, or a list.
#[derive(Debug, Clone, Copy)]
pub(in crate::analysis::signature) struct Frame<'a> {
    /// Name of the member, as between its quotes.
    pub(in crate::analysis::signature) key: &'a [u8],
    pub(in crate::analysis::signature) is_list: bool,
}

/// Visits names and strings, but for short ones of letters and digits, which no detector looks at. Whether the text was
/// JSON as far as it was read; `whole` is where it stands: fields are placed in a body only.
pub(super) fn walk(bytes: &[u8], whole: Place<'_>, is_graphql: bool, visit: &mut Visit<'_>) -> bool {
    let in_body = matches!(whole, Place::Body);
    let mut frames: SmallVec<[Frame<'_>; MAX_DEPTH]> = SmallVec::new();
    let mut deeper = 0_usize;
    let mut expects_name = false;
    let mut values = 0;
    let mut rest = bytes;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = behind;
        match byte {
            b'{' | b'[' => {
                if frames.len() < MAX_DEPTH {
                    frames.push(Frame {
                        key: &[],
                        is_list: byte == b'[',
                    });
                } else {
                    deeper += 1;
                }
                expects_name = byte == b'{';
            }
            b'}' | b']' => {
                if deeper > 0 {
                    deeper -= 1;
                } else {
                    frames.pop();
                }
                expects_name = false;
            }
            b',' => expects_name = deeper == 0 && frames.last().is_some_and(|frame| !frame.is_list),
            b'"' => {
                let plain = plain_to_quote(rest);
                let length = plain.unwrap_or_else(|| string_end(rest).map_or(rest.len(), |(end, _)| end));
                let text = rest.get(..length).unwrap_or_default();
                rest = from(rest, length + 1);
                values += 1;
                if values > MAX_VALUES {
                    return true;
                }
                let is_cold = plain.is_some() && !begins_encoded(text);
                if expects_name {
                    expects_name = false;
                    if let Some(frame) = frames.last_mut() {
                        frame.key = text;
                    }
                    if is_cold {
                        continue;
                    }
                    let place = if in_body {
                        Place::Json(frames.get(..frames.len() - 1).unwrap_or_default())
                    } else {
                        whole
                    };
                    name(text, place, visit);
                } else if !is_cold {
                    let place = if in_body { Place::Json(&frames) } else { whole };
                    value(text, place, is_graphql, visit);
                }
            }
            _ if is_between(byte) => rest = skip_while(rest, is_between),
            // No JSON: let the rest be read as what it is.
            _ => return values > 0 || frames.len() > 1,
        }
    }
    true
}

/// Visits the names and strings of a body that a walk has noted: the same as [`walk`] would.
pub(super) fn noted<'a>(strings: impl Iterator<Item = Quoted<'a>>, is_graphql: bool, visit: &mut Visit<'_>) {
    let mut frames: SmallVec<[Frame<'_>; MAX_DEPTH]> = SmallVec::new();
    for string in strings {
        frames.clear();
        frames.extend(string.outward().map(|key| Frame {
            key: key.unwrap_or_default().as_bytes(),
            is_list: key.is_none(),
        }));
        frames.reverse();
        if string.is_name {
            name(string.text, Place::Json(&frames), visit);
        } else {
            value(string.text, Place::Json(&frames), is_graphql, visit);
        }
    }
}

fn name(text: &[u8], place: Place<'_>, visit: &mut Visit<'_>) {
    visit(&Item {
        source: Source::Name,
        place,
        bytes: text,
        encoding: Encoding::Json,
    });
}

fn value(text: &[u8], place: Place<'_>, is_graphql: bool, visit: &mut Visit<'_>) {
    if is_graphql && place.name() == b"query" {
        return graphql_literals(text, place, visit);
    }
    visit(&Item {
        source: Source::Body,
        place,
        bytes: text,
        encoding: Encoding::Json,
    });
}

/// Whether a byte may stand between strings and brackets: of numbers, words, white space, and colons.
fn is_between(byte: u8) -> bool {
    BETWEEN.get(usize::from(byte)).copied().unwrap_or_default()
}

static BETWEEN: [bool; 256] = between();

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated by the compiler; the loop ends at its length"
)]
const fn between() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b':' | b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E' | b'\n' | b'\r' | b'\t' | b' '
        );
        byte += 1;
    }
    table
}

/// Visits the string literals of a GraphQL document.
pub(super) fn graphql(document: &[u8], visit: &mut Visit<'_>) {
    graphql_literals(document, Place::Body, visit);
}

/// Literals stand between quotes, which are escaped where the document is itself a string of JSON.
fn graphql_literals(document: &[u8], place: Place<'_>, visit: &mut Visit<'_>) {
    let mut rest = document;
    for _ in 0..MAX_VALUES {
        let Some(open) = memchr::memchr(b'"', rest) else {
            return;
        };
        let escaped = open > 0 && at(rest, open - 1) == b'\\';
        let behind = from(rest, open + 1);
        let Some(close) = memchr::memchr(b'"', behind) else {
            return;
        };
        let end = close - usize::from(escaped && close > 0);
        let literal = behind.get(..end).unwrap_or_default();
        if !literal.is_empty() {
            visit(&Item {
                source: Source::Body,
                place,
                bytes: literal,
                encoding: Encoding::Json,
            });
        }
        rest = from(behind, close + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::fields::Fields, inventory::fixture::call};

    fn values(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        walk(text.as_bytes(), Place::Body, false, &mut |item| {
            if item.source == Source::Body {
                found.push((
                    item.place.render(),
                    String::from_utf8_lossy(item.bytes).into_owned(),
                ));
            }
        });
        found
    }

    #[test]
    fn strings_are_visited_with_their_places() {
        let found =
            values(r#"{"a":"x y","i":"cold","b":{"c":["y z",{"d":"z\"q"}],"n":1.5e3,"t":true},"e":"cut off"#);
        let expected = [
            ("body.$.a", "x y"),
            ("body.$.b.c[]", "y z"),
            ("body.$.b.c[].d", "z\\\"q"),
            ("body.$.e", "cut off"),
        ];
        assert_eq!(
            found,
            expected.map(|(place, value)| (place.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn literals_of_graphql_are_values_and_the_document_is_not() {
        let mut found = Vec::new();
        let text = r#"{"query":"{ user(id: \"1' or 1=1\") { name } }","variables":{"a":"b c"}}"#;
        walk(text.as_bytes(), Place::Body, true, &mut |item| {
            if item.source == Source::Body {
                found.push(String::from_utf8_lossy(item.bytes).into_owned());
            }
        });
        assert_eq!(found, ["1' or 1=1", "b c"]);
    }

    /// What a walk of the body's fields has noted, if it has seen all of it.
    fn noted_in(fields: &mut Fields, body: &str, is_graphql: bool) -> Option<Vec<String>> {
        let request = call("POST", "/a")
            .body("application/json", body)
            .exchange()
            .request?;
        fields.read_body(&request);
        let mut found = Vec::new();
        noted(fields.strings()?.of(body.as_bytes()), is_graphql, &mut |item| {
            found.push(format!("{item:?} {}", item.place.render()));
        });
        Some(found)
    }

    fn walked_in(body: &str, is_graphql: bool) -> Vec<String> {
        let mut found = Vec::new();
        assert!(walk(body.as_bytes(), Place::Body, is_graphql, &mut |item| {
            found.push(format!("{item:?} {}", item.place.render()));
        }));
        found
    }

    proptest::proptest! {
        #[test]
        fn what_is_noted_is_what_a_walk_visits(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "{", "}", "[", "]", ",", ":", " ", "\n", "1", "-2.5e3", "true", "null", "x", "\"a\"", "\"b c\"", "\"\"",
                "\"query\"", "\"rO0ABx\"", "\"d;\":", "\"e\":", "\"f\\\"g\"", "\"a_text_of_more_bytes_than_are_read\"",
                "\"k\":[", "\"o\":{", "\"v\":\"1' or 1=1\"", "\u{c}", "'", "é",
            ]), 0..14),
        ) {
            let mut fields = Fields::default();
            let inside = parts.concat();
            for body in [inside.clone(), format!("{{{inside}}}"), format!("[{inside}]"), format!("{{\"l\":[{inside}]}}")] {
                for is_graphql in [false, true] {
                    if let Some(found) = noted_in(&mut fields, &body, is_graphql) {
                        proptest::prop_assert_eq!(found, walked_in(&body, is_graphql), "{}", body);
                    }
                }
            }
        }
    }

    #[test]
    fn bodies_that_were_read_whole_are_noted() {
        let mut fields = Fields::default();
        for body in [
            r#"{"a b":{"c":[["d e"],{"f;":"x","g":"rO0ABx"}]},"query":"{ u(id: \"1\") }","n":-1.5}"#,
            r#"["it's",{"":"a text of more bytes than are read"}]"#,
            "{}",
        ] {
            let found = noted_in(&mut fields, body, true);
            assert_eq!(found, Some(walked_in(body, true)), "{body}");
        }
        let long = format!("[{}\"x y\"]", " ".repeat(9_000));
        for body in [r#"{"a":"x y""#, "[1'2]", &long, "no JSON"] {
            assert_eq!(noted_in(&mut fields, body, false), None, "{body:.20}");
        }
    }

    #[test]
    fn depth_and_noise_end() {
        let deep = "[".repeat(100_000);
        assert!(values(&deep).is_empty());
        for cut in 0..40 {
            let text = r#"{"a":"x","b":[{"c":"y"}],"d":"z\\"}"#;
            values(text.get(..cut).unwrap_or(text));
        }
    }
}
