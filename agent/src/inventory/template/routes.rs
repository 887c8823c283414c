//! Routes that somebody wrote down: in an OpenAPI document, or in the code of the application.
//!
//! In: methods and paths such as `/users/{id}/photo.{ending}`. Out: the template of a request, found as routers do:
//! literal segments before parameters, with a way back; `{*rest}` takes all that is left. A route of another method
//! gives its template when none of the request's own does. Refuses paths that say nothing: those without any literal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::{Parameter, SegmentType, Template};
use crate::inventory::path::canonical;

/// Routes of one table. Overflow policy: further ones are refused.
pub const MAX_ROUTES: usize = 10_000;

/// Positions tried for one path. Overflow policy: the path has no route.
const MAX_STEPS: usize = 512;

/// Longest name of a parameter, in bytes. Overflow policy: the route is refused.
const MAX_NAME_BYTES: usize = 64;

/// A table of routes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Routes {
    root: Node,
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    literals: BTreeMap<Box<str>, Node>,
    /// By what stands around the parameter: the longest first.
    parameters: Vec<(Around, Node)>,
    end: Option<End>,
    /// A route that takes all that is left.
    rest: Option<End>,
}

/// What stands around a parameter inside its segment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Around {
    before: Box<str>,
    after: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct End {
    /// Empty: any.
    methods: BTreeSet<Box<str>>,
    template: Template,
}

/// One segment of a route.
enum Part<'a> {
    Literal(String),
    Parameter { around: Around, name: &'a str },
    Rest { name: &'a str },
}

impl Routes {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Adds a route for a method, or for any. `kind` tells what values of a parameter look like. Whether there was
    /// room and sense.
    pub fn add(&mut self, method: Option<&str>, path: &str, kind: impl Fn(&str) -> SegmentType) -> bool {
        let Some(parts) = parse(path) else {
            return false;
        };
        let says_something = parts.is_empty() || parts.iter().any(|part| matches!(part, Part::Literal(_)));
        if self.len >= MAX_ROUTES || !says_something {
            return false;
        }
        let template = render(&parts, kind);
        let (mut node, mut takes_rest) = (&mut self.root, false);
        for part in parts {
            node = match part {
                Part::Literal(text) => node.literals.entry(text.into()).or_default(),
                Part::Parameter { around, .. } => node.parameter(around),
                Part::Rest { .. } => {
                    takes_rest = true;
                    break;
                }
            };
        }
        let end = if takes_rest { &mut node.rest } else { &mut node.end };
        if end.is_none() {
            self.len += 1;
        }
        let end = end.get_or_insert_with(|| End {
            methods: method.map(Box::from).into_iter().collect(),
            template,
        });
        match method {
            None => end.methods.clear(),
            Some(method) if !end.methods.is_empty() => drop(end.methods.insert(method.into())),
            Some(_) => {}
        }
        true
    }

    /// The template of a request, or of a template that was learned.
    pub(crate) fn template(&self, method: &str, path: &str) -> Option<Template> {
        if self.is_empty() {
            return None;
        }
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let find = |method| {
            let mut left = MAX_STEPS;
            find(&self.root, &segments, method, &mut left)
        };
        let end = find(Some(method)).or_else(|| find(None))?;
        Some(end.template.clone())
    }
}

impl Node {
    fn parameter(&mut self, around: Around) -> &mut Node {
        let length = |around: &Around| around.before.len() + around.after.len();
        let known = self.parameters.iter().position(|(known, _)| *known == around);
        let at = known.unwrap_or_else(|| {
            let at = self
                .parameters
                .partition_point(|(known, _)| length(known) >= length(&around));
            self.parameters.insert(at, (around, Node::default()));
            at
        });
        #[expect(clippy::indexing_slicing, reason = "found or inserted right before")]
        &mut self.parameters[at].1
    }
}

impl Around {
    fn fits(&self, segment: &str) -> bool {
        segment
            .strip_prefix(&*self.before)
            .and_then(|rest| rest.strip_suffix(&*self.after))
            .is_some_and(|value| !value.is_empty())
    }
}

impl End {
    fn answers(&self, method: Option<&str>) -> bool {
        method.is_none_or(|method| self.methods.is_empty() || self.methods.contains(method))
    }
}

fn find<'a>(node: &'a Node, segments: &[&str], method: Option<&str>, left: &mut usize) -> Option<&'a End> {
    *left = left.checked_sub(1)?;
    let Some((segment, rest)) = segments.split_first() else {
        return node.end.as_ref().filter(|end| end.answers(method));
    };
    let literal = node.literals.get(*segment);
    let parameters = node.parameters.iter().filter(|(around, _)| around.fits(segment));
    literal
        .into_iter()
        .chain(parameters.map(|(_, node)| node))
        .find_map(|node| find(node, rest, method, left))
        .or_else(|| node.rest.as_ref().filter(|end| end.answers(method)))
}

/// The segments of a path with `{name}`s; `None` if it cannot be read.
fn parse(path: &str) -> Option<Vec<Part<'_>>> {
    let path = path.split(['?', '#']).next()?.strip_prefix('/')?;
    let mut parts = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if matches!(parts.last(), Some(Part::Rest { .. })) {
            return None;
        }
        let Some((before, tail)) = segment.split_once('{') else {
            parts.push(Part::Literal(one_spelling(segment)?));
            continue;
        };
        let (name, after) = tail.split_once('}')?;
        let is_rest = name.starts_with('*') && before.is_empty() && after.is_empty();
        let name = name.trim_matches('*');
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('{') {
            return None;
        }
        parts.push(if is_rest {
            Part::Rest { name }
        } else {
            // Of several parameters in one segment the first stands for all: where it ends is not known.
            let after = after.rsplit('}').next().filter(|_| !after.contains('{'));
            let around = Around {
                before: before.into(),
                after: after.unwrap_or_default().into(),
            };
            Part::Parameter { around, name }
        });
    }
    Some(parts)
}

/// The spelling that canonical paths have.
fn one_spelling(segment: &str) -> Option<String> {
    let path = canonical(&format!("/{segment}")).ok()?;
    let mut segments = path.segments();
    let one = segments.next()?.to_owned();
    segments.next().is_none().then_some(one)
}

fn render(parts: &[Part<'_>], kind: impl Fn(&str) -> SegmentType) -> Template {
    let mut text = String::new();
    let mut parameters: Vec<Parameter> = Vec::new();
    let mut add = |text: &mut String, name: &str, kind: SegmentType| {
        let is_free = |free: &String| parameters.iter().all(|known| known.name != *free);
        let numbered = (2_u32..).map(|number| format!("{name}{number}"));
        let unique = std::iter::once(name.to_owned()).chain(numbered).find(is_free);
        let name = unique.unwrap_or_else(|| name.to_owned());
        text.push_str(&format!("{{{name}}}"));
        parameters.push(Parameter { name, kind });
    };
    for part in parts {
        text.push('/');
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Parameter { around, name } => {
                text.push_str(&around.before);
                add(&mut text, name, kind(name));
                text.push_str(&around.after);
            }
            Part::Rest { name } => add(&mut text, name, SegmentType::Name),
        }
    }
    if text.is_empty() {
        text.push('/');
    }
    Template {
        text: Arc::from(text),
        parameters,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(routes: &[(Option<&str>, &str)]) -> Routes {
        let mut table = Routes::default();
        for (method, path) in routes {
            assert!(table.add(*method, path, |_| SegmentType::Name), "{path}");
        }
        table
    }

    #[test]
    fn literals_go_before_parameters() {
        let table = table(&[
            (Some("GET"), "/users/{id}"),
            (Some("POST"), "/users/search"),
            (None, "/users/{id}/photo.{ending}"),
            (Some("GET"), "/files/{*path}"),
            (Some("GET"), "/users/me/{part}"),
            (None, "/"),
        ]);
        let template = |method: &str, path: &str| {
            let found = table.template(method, path);
            found.map(|template| template.text.to_string())
        };
        for (method, path, expected) in [
            ("GET", "/users/42", Some("/users/{id}")),
            ("GET", "/users/search", Some("/users/{id}")),
            ("POST", "/users/search", Some("/users/search")),
            // Of another method, but a route.
            ("PUT", "/users/search", Some("/users/search")),
            ("GET", "/users/me/photo.png", Some("/users/me/{part}")),
            ("GET", "/users/7/photo.png", Some("/users/{id}/photo.{ending}")),
            ("GET", "/users/7/photo.", None),
            ("GET", "/files/a/b/c", Some("/files/{path}")),
            ("GET", "/", Some("/")),
            ("GET", "/users/{userId}", Some("/users/{id}")),
            ("GET", "/other", None),
        ] {
            assert_eq!(template(method, path).as_deref(), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_no_route() {
        let mut table = Routes::default();
        for path in ["users", "/{a}", "/{a}/{b}", "/a/{", "/a/{}", "/{*rest}/b", "/%zz"] {
            assert!(!table.add(None, path, |_| SegmentType::Name), "{path}");
        }
        assert!(table.is_empty());
        assert!(table.add(None, "/a/{x}/b/{x}", |_| SegmentType::Int));
        let template = table.template("GET", "/a/1/b/2").expect("template");
        assert_eq!(&*template.text, "/a/{x}/b/{x2}");
        assert_eq!(template.parameters[1].kind, SegmentType::Int);
    }
}
