//! Where a value stands in a request, rendered only when something was found there.

use super::json::Frame;

/// Longest name in a place. Overflow policy: it is left out.
const MAX_NAME_BYTES: usize = 64;

/// Where a value stands.
#[derive(Debug, Clone, Copy)]
pub(in crate::analysis::signature) enum Place<'a> {
    /// The path of the target.
    Path,
    /// The query, as far as no parameter is named.
    Query,
    /// A parameter of the query.
    Parameter(&'a [u8]),
    /// The body.
    Body,
    /// A form, as far as no field is named.
    Form,
    /// A field of a form, or a part of multipart.
    Field(&'a [u8]),
    /// A field of JSON, with the objects and lists around it.
    Json(&'a [Frame<'a>]),
    /// An element or attribute of XML.
    Xml(&'a [u8]),
    /// A header.
    Header(&'a [u8]),
    /// A cookie.
    Cookie(&'a [u8]),
}

impl Place<'_> {
    /// `query.full`, `body.$.name`, `header.user-agent`, `path`. Names that could be values are `*`.
    pub(in crate::analysis::signature) fn render(&self) -> String {
        match self {
            Self::Path => "path".to_owned(),
            Self::Query => "query".to_owned(),
            Self::Parameter(name) => format!("query.{}", clean(name)),
            Self::Body | Self::Form => "body".to_owned(),
            Self::Field(name) | Self::Xml(name) => format!("body.{}", clean(name)),
            Self::Json(frames) => {
                let mut path = "body.$".to_owned();
                for frame in *frames {
                    if frame.is_list {
                        path.push_str("[]");
                    } else {
                        path.push('.');
                        path.push_str(&clean(frame.key));
                    }
                }
                path
            }
            Self::Header(name) => format!("header.{}", clean(name)),
            Self::Cookie(name) => format!("cookie.{}", clean(name)),
        }
    }

    /// Whether it is a field of JSON.
    pub(in crate::analysis::signature) const fn is_in_document(&self) -> bool {
        matches!(self, Self::Json(_))
    }

    /// The last name of the place, as sent.
    pub(in crate::analysis::signature) fn name(&self) -> &[u8] {
        match self {
            Self::Parameter(name)
            | Self::Field(name)
            | Self::Xml(name)
            | Self::Header(name)
            | Self::Cookie(name) => name,
            Self::Json(frames) => frames
                .iter()
                .rev()
                .find(|frame| !frame.is_list)
                .map_or(&[], |frame| frame.key),
            Self::Path | Self::Query | Self::Body | Self::Form => &[],
        }
    }
}

/// A name, if it is one: reasons and places never hold what a caller wrote as a value.
fn clean(name: &[u8]) -> String {
    let is_name = !name.is_empty()
        && name.len() <= MAX_NAME_BYTES
        && name.iter().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'$' | b':' | b'@')
        });
    if is_name {
        String::from_utf8_lossy(name).to_ascii_lowercase()
    } else {
        "*".to_owned()
    }
}
