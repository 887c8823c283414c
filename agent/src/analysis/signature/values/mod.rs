//! The values of a request: what an application takes apart before it uses it.
//!
//! In: an exchange. Out: one [`Item`] per value, with its place and how it travelled, without copying: path, query, form,
//! JSON, XML, multipart, cookies, headers. Names are values too: they are under the caller's control. Linear, bounded;
//! what is cut or malformed is read as far as it goes.

mod form;
mod headers;
mod json;
mod multipart;
mod place;
mod xml;

pub(super) use place::Place;

use super::{
    decode::Encoding,
    text::{self, Source},
};
use crate::{
    analysis::fields::Strings,
    exchange::{Exchange, Request},
    protocol::operation::Detail,
};

/// One value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) source: Source,
    pub(super) place: Place<'a>,
    pub(super) bytes: &'a [u8],
    pub(super) encoding: Encoding,
}

/// Takes values, one after the other.
pub(super) type Visit<'v> = dyn FnMut(&Item<'_>) + 'v;

/// Values of one exchange that are looked at. Overflow policy: the first so many.
pub(super) const MAX_VALUES: usize = 4_096;

/// Longest body of an unknown kind that is taken for a value. Overflow policy: it is content.
const MAX_TEXT_BYTES: usize = 4_096;

/// All values of the request. Those of a body of JSON are taken from its `strings`, where a walk has noted them.
pub(super) fn of_exchange(exchange: &Exchange, strings: Option<Strings<'_>>, visit: &mut Visit<'_>) {
    let Some(request) = &exchange.request else {
        return;
    };
    target(request, visit);
    headers::walk(&request.head, visit);
    let is_graphql = matches!(
        exchange.operation.as_deref().map(|operation| &operation.detail),
        Some(Detail::GraphQl(_))
    );
    let binary = matches!(
        exchange.operation.as_deref().map(|operation| &operation.detail),
        Some(Detail::Grpc(_) | Detail::WebSocket(_))
    );
    let body: &[u8] = &request.body.sample;
    if !binary && !body.is_empty() {
        let kind = request.head.first("content-type").unwrap_or_default();
        let body = Whole {
            body,
            is_graphql,
            strings,
        };
        walk_body(kind, body, visit);
    }
}

/// A body, or a part of one that is like it.
#[derive(Clone, Copy)]
struct Whole<'a> {
    body: &'a [u8],
    is_graphql: bool,
    /// Names and strings of JSON that was walked already.
    strings: Option<Strings<'a>>,
}

fn target(request: &Request, visit: &mut Visit<'_>) {
    let target = request.target.as_bytes();
    let (path, query) = match memchr::memchr(b'?', target) {
        Some(question) => target.split_at_checked(question).unwrap_or((target, &[])),
        None => (target, &[][..]),
    };
    visit(&Item {
        source: Source::Path,
        place: Place::Path,
        bytes: path,
        encoding: Encoding::Percent,
    });
    if let Some(query) = query.get(1..) {
        form::walk(query, Source::Query, Place::Query, visit);
    }
}

/// The values of a body of this media type; of what it looks like where the type says nothing.
fn walk_body(kind: &[u8], whole: Whole<'_>, visit: &mut Visit<'_>) {
    // What most are.
    if kind == b"application/json" {
        return json_or_raw(whole, visit);
    }
    let body = whole.body;
    let kind = lower(kind);
    let kind = kind.as_slice();
    let has = |name: &[u8]| text::has(kind, name);
    let start = body.trim_ascii_start().first().copied().unwrap_or_default();
    if has(b"multipart/") && has(b"boundary=") {
        multipart::walk(kind, body, visit);
    } else if has(b"json") || matches!(start, b'{' | b'[') && !has(b"graphql") && !has(b"urlencoded") {
        json_or_raw(whole, visit);
    } else if has(b"xml") && !has(b"urlencoded") || start == b'<' && !has(b"urlencoded") {
        xml::walk(body, visit);
    } else if has(b"x-www-form-urlencoded") || looks_like_form(body) {
        form::walk(body, Source::Body, Place::Form, visit);
    } else if has(b"graphql") {
        json::graphql(body, visit);
    } else {
        raw(body, visit);
    }
}

fn json_or_raw(whole: Whole<'_>, visit: &mut Visit<'_>) {
    let Whole {
        body,
        is_graphql,
        strings,
    } = whole;
    if let Some(strings) = strings {
        json::noted(strings.of(body), is_graphql, visit);
    } else if !json::walk(body, Place::Body, is_graphql, visit) {
        raw(body, visit);
    }
}

fn lower(kind: &[u8]) -> smallvec::SmallVec<[u8; 64]> {
    kind.iter().take(256).map(u8::to_ascii_lowercase).collect()
}

/// A body that is one value. Without white space and with `%` it is one of a form whose type was left out.
fn raw(body: &[u8], visit: &mut Visit<'_>) {
    let is_form = memchr::memchr(b'%', body).is_some() && !body.iter().any(u8::is_ascii_whitespace);
    if body.len() <= MAX_TEXT_BYTES && !body.contains(&0) || body.starts_with(b"\xac\xed\x00\x05") {
        visit(&Item {
            source: Source::Body,
            place: Place::Body,
            bytes: body,
            encoding: if is_form { Encoding::Form } else { Encoding::Plain },
        });
    }
}

/// `name=value`, before any white space.
fn looks_like_form(body: &[u8]) -> bool {
    let head = body.get(..64).unwrap_or(body);
    let name = head
        .iter()
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(**byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%')
        })
        .count();
    name > 0 && head.get(name) == Some(&b'=')
}

/// The values inside a value that has a structure of its own, if it has one.
pub(super) fn nested(value: &[u8], place: Place<'_>, visit: &mut Visit<'_>) -> bool {
    let trimmed = value.trim_ascii_start();
    match trimmed {
        [b'{' | b'[', rest @ ..]
            if rest.trim_ascii_start().starts_with(b"\"") || rest.trim_ascii_start().starts_with(b"{\"") =>
        {
            json::walk(trimmed, place, false, visit)
        }
        [b'-', b'-', ..] if memchr::memmem::find(trimmed, b"\n").is_some() => {
            multipart::walk_unnamed(trimmed, visit)
        }
        _ if looks_like_form(trimmed) => {
            form::walk_at(trimmed, place, visit);
            true
        }
        _ => false,
    }
}
