//! Query strings and forms: names and values between `&` and `=`.

use super::{Item, MAX_VALUES, Place, Visit};
use crate::analysis::signature::{decode::Encoding, text::Source};

/// Visits each pair; `whole` says of what.
pub(super) fn walk(query: &[u8], source: Source, whole: Place<'_>, visit: &mut Visit<'_>) {
    for pair in query.split(|byte| *byte == b'&').take(MAX_VALUES) {
        let (name, value) = match memchr::memchr(b'=', pair) {
            Some(equals) => (
                pair.get(..equals).unwrap_or_default(),
                pair.get(equals + 1..).unwrap_or_default(),
            ),
            None => (pair, &[][..]),
        };
        if !name.is_empty() {
            visit(&Item {
                source: Source::Name,
                place: whole,
                bytes: name,
                encoding: Encoding::Form,
            });
        }
        if !value.is_empty() {
            let place = match whole {
                Place::Query => Place::Parameter(name),
                _ => Place::Field(name),
            };
            visit(&Item {
                source,
                place,
                bytes: value,
                encoding: Encoding::Form,
            });
        }
    }
}

/// Visits the values of a form that is itself a value: it was decoded once, and stays where it is.
pub(super) fn walk_at(form: &[u8], place: Place<'_>, visit: &mut Visit<'_>) {
    for pair in form.split(|byte| *byte == b'&').take(MAX_VALUES) {
        if let Some(equals) = memchr::memchr(b'=', pair)
            && let Some(value) = pair.get(equals + 1..)
            && !value.is_empty()
        {
            visit(&Item {
                source: Source::Query,
                place,
                bytes: value,
                encoding: Encoding::Form,
            });
        }
    }
}
