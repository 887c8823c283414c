//! Which literals read like a route.
//!
//! In: a literal. Out: a route. `{name}` and `{name:pattern}` are chi's and gorilla's, `{name...}` and a method in front
//! `net/http`'s, `:name` and `*name` gin's, echo's and fiber's. A literal without a parameter or a method is no route: too
//! many of them are paths of files. Nor is one that begins with a parameter: it would take every request, and `/*` may be
//! the start of a comment.

use crate::harvest::Found;

/// Methods that stand before a path.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE",
];

/// Segments of a route. Overflow policy: no route.
const MAX_SEGMENTS: usize = 16;

/// The route that a literal is.
pub(super) fn read(literal: &str, router: &str) -> Option<Found> {
    let (method, path) = match literal.split_once(' ') {
        Some((method, path)) if METHODS.contains(&method) => (Some(method.to_owned()), path.trim_start()),
        Some(_) => return None,
        None => (None, literal),
    };
    let mut has_parameter = false;
    let mut segments = Vec::new();
    for segment in path.strip_prefix('/')?.split('/') {
        if segments.len() >= MAX_SEGMENTS {
            return None;
        }
        match self::segment(segment)? {
            Segment::Plain(text) => segments.push(text.to_owned()),
            Segment::Parameter(name) => {
                has_parameter = true;
                segments.push(format!("{{{name}}}"));
            }
            Segment::Rest(name) => {
                has_parameter = true;
                segments.push(format!("{{*{name}}}"));
            }
            Segment::End => {}
        }
    }
    let is_certain = method.is_some();
    let begins_plain = segments.first().is_some_and(|first| !first.starts_with('{'));
    (is_certain || (has_parameter && begins_plain)).then(|| Found {
        method,
        path: format!("/{}", segments.join("/")),
        router: router.to_owned(),
    })
}

/// Whether a literal says by its last segment that an API or a version of one lies below it: `/api`, `/api/v1`, `/v2`.
pub(super) fn is_prefix(literal: &str) -> bool {
    let Some(path) = literal.strip_prefix('/') else {
        return false;
    };
    let path = path.strip_suffix('/').unwrap_or(path);
    let says_so = |segment: &str| {
        let version = segment.strip_prefix('v').unwrap_or_default();
        matches!(segment, "api" | "apis" | "rest")
            || (matches!(version.len(), 1 | 2) && version.bytes().all(|byte| byte.is_ascii_digit()))
    };
    path.split('/').count() <= 3
        && path.rsplit('/').next().is_some_and(says_so)
        && path
            .split('/')
            .all(|segment| !segment.is_empty() && is_plain(segment))
}

enum Segment<'t> {
    Plain(&'t str),
    Parameter(&'t str),
    Rest(&'t str),
    /// `{$}`: the path ends here.
    End,
}

fn segment(text: &str) -> Option<Segment<'_>> {
    if let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        if inner == "$" {
            return Some(Segment::End);
        }
        if let Some(name) = inner.strip_suffix("...") {
            return is_name(name).then_some(Segment::Rest(name));
        }
        let name = inner.split_once(':').map_or(inner, |(name, _)| name);
        return is_name(name).then_some(Segment::Parameter(name));
    }
    if let Some(name) = text.strip_prefix(':') {
        let name = name.trim_end_matches('?');
        return is_name(name).then_some(Segment::Parameter(name));
    }
    if let Some(name) = text.strip_prefix('*') {
        let name = if name.is_empty() { "rest" } else { name };
        return is_name(name).then_some(Segment::Rest(name));
    }
    is_plain(text).then_some(Segment::Plain(text))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~' | b'@'))
}
