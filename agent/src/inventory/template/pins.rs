//! Templates that the operator has given: they go before everything that is learned.
//!
//! In: paths such as `/v1/users/{id}`, in order. Out: the template of a path by the first of them that fits. A
//! `{name}` takes any segment, `^` takes any and keeps it (it is never a parameter), anything else only itself: a
//! literal splits what a later `{name}` would join.

use super::{Parameter, SegmentType, Template};
use crate::inventory::path::canonical;

/// Longest name of a parameter, in bytes.
const MAX_NAME_BYTES: usize = 48;

/// Templates given, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pins(Vec<Vec<Part>>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Parameter(Box<str>),
    Kept,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// It is no path.
    #[error("template {0} is no path: begin it with / and give at least one segment")]
    NoPath(String),
    /// A segment is neither text nor a parameter.
    #[error("template {0} has the segment {1}: write {{name}}, with letters, digits, - and _, or plain text")]
    Segment(String, String),
    /// A name occurs twice.
    #[error("template {0} names {1} twice: give each parameter its own name")]
    Twice(String, String),
}

impl Pins {
    /// Reads templates.
    ///
    /// # Errors
    /// The first that cannot be used, and why.
    pub fn parse<'a>(templates: impl IntoIterator<Item = &'a str>) -> Result<Self, PinError> {
        templates
            .into_iter()
            .map(parts)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The template of a path, or of a template that was learned.
    pub(crate) fn template(&self, path: &str) -> Option<Template> {
        self.0.iter().find_map(|pin| fill(pin, path))
    }
}

fn parts(template: &str) -> Result<Vec<Part>, PinError> {
    let no_path = || PinError::NoPath(template.to_owned());
    let segments = template
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty())
        .ok_or_else(no_path)?;
    let mut parts: Vec<Part> = Vec::new();
    for segment in segments.split('/') {
        let wrong = || PinError::Segment(template.to_owned(), segment.to_owned());
        let part = match segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            Some(name) => {
                let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                if !(1..=MAX_NAME_BYTES).contains(&name.len()) || !name.bytes().all(is_name) {
                    return Err(wrong());
                }
                Part::Parameter(name.into())
            }
            None if segment == "^" => Part::Kept,
            None => {
                let path = canonical(&format!("/{segment}")).map_err(|_| wrong())?;
                let mut known = path.segments();
                match (known.next(), known.next()) {
                    (Some(text), None) if !segment.contains(['{', '}', '?', '#']) => {
                        Part::Literal(text.into())
                    }
                    _ => return Err(wrong()),
                }
            }
        };
        if let Part::Parameter(name) = &part
            && parts.contains(&part)
        {
            return Err(PinError::Twice(template.to_owned(), name.to_string()));
        }
        parts.push(part);
    }
    Ok(parts)
}

fn fill(pin: &[Part], path: &str) -> Option<Template> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    if segments.len() != pin.len() {
        return None;
    }
    let mut text = String::with_capacity(path.len());
    let mut parameters = Vec::new();
    for (part, segment) in pin.iter().zip(segments) {
        text.push('/');
        match part {
            Part::Literal(literal) if **literal == *segment => text.push_str(literal),
            // A learned parameter cannot be taken apart again.
            Part::Kept if !segment.starts_with('{') => text.push_str(segment),
            Part::Parameter(name) => {
                text.push('{');
                text.push_str(name);
                text.push('}');
                parameters.push(Parameter {
                    name: name.to_string(),
                    kind: SegmentType::Name,
                });
            }
            Part::Literal(_) | Part::Kept => return None,
        }
    }
    Some(Template {
        text: text.into(),
        parameters,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_fits() {
        let pins = Pins::parse(["/users/search", "/users/{id}", "/v1/^/{item}"]).expect("pins");
        let template = |path: &str| pins.template(path).map(|template| template.text.to_string());
        assert_eq!(template("/users/search").as_deref(), Some("/users/search"));
        assert_eq!(template("/users/ann").as_deref(), Some("/users/{id}"));
        assert_eq!(template("/users/{userName}").as_deref(), Some("/users/{id}"));
        assert_eq!(template("/v1/42/7").as_deref(), Some("/v1/42/{item}"));
        assert_eq!(template("/v1/{id}/7"), None);
        assert_eq!(template("/users"), None);
    }

    #[test]
    fn what_cannot_be_used() {
        for wrong in [
            "",
            "/",
            "users",
            "/a//b",
            "/a/{",
            "/a/{}",
            "/a/{x y}",
            "/a/{x}.json",
            "/a/b?c",
            "/{x}/{x}",
            "/..",
        ] {
            assert!(Pins::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
