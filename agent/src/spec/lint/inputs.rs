//! Inputs without a limit: texts, lists and numbers of any size, and members of any name.

use std::collections::BTreeSet;

use super::Checked;
use crate::{
    openapi::read::{Additional, Document, Operation, Place, Schema, Type},
    verdict::Severity,
};

/// Nesting that is looked at. Overflow policy: deeper fields are not checked.
const MAX_DEPTH: usize = 12;

/// Fields named in one issue. Overflow policy: the first, and how many more.
const MAX_NAMED: usize = 5;

pub(super) fn check(checked: &mut Checked<'_>, operation: &Operation) {
    let document = &checked.given.document;
    let mut found = Inputs::default();
    for parameter in operation
        .parameters
        .iter()
        .filter(|parameter| matches!(parameter.place, Place::Query | Place::Path))
    {
        let path = format!("{}.{}", parameter.place.as_str(), parameter.name);
        found.walk(document, &parameter.schema, &path, 0);
    }
    for media in operation.body.iter().flat_map(|body| body.content.values()) {
        found.walk(document, &media.schema, "$", 0);
    }
    if let Some(names) = named(&found.unbounded) {
        checked.operation(
            "unbounded_input",
            Severity::Low,
            operation,
            format!("nothing limits {names}"),
            "Give maxLength or a format to texts, maxItems to lists, minimum and maximum to numbers.",
        );
    }
    if let Some(names) = named(&found.arbitrary) {
        checked.operation(
            "arbitrary_members",
            Severity::Low,
            operation,
            format!("members of any name are taken at {names}"),
            "Name the members and forbid others with `additionalProperties: false`.",
        );
    }
}

#[derive(Default)]
struct Inputs {
    unbounded: BTreeSet<String>,
    arbitrary: BTreeSet<String>,
}

impl Inputs {
    fn walk(&mut self, document: &Document, schema: &Schema, path: &str, depth: usize) {
        let schema = document.resolve(schema);
        if depth > MAX_DEPTH || schema.read_only {
            return;
        }
        if is_unbounded(schema) {
            self.unbounded.insert(path.to_owned());
        }
        if schema.additional == Additional::Allowed {
            self.arbitrary.insert(path.to_owned());
        }
        for part in schema.all_of.iter().chain(&schema.any_of).chain(&schema.one_of) {
            self.walk(document, part, path, depth + 1);
        }
        if let Some(items) = &schema.items {
            self.walk(document, items, &format!("{path}[]"), depth + 1);
        }
        for (name, member) in &schema.properties {
            self.walk(document, member, &format!("{path}.{name}"), depth + 1);
        }
    }
}

fn is_unbounded(schema: &Schema) -> bool {
    if !schema.enumeration.is_empty() {
        return false;
    }
    let is = |kind| schema.types.contains(&kind);
    (is(Type::String) && schema.max_length.is_none() && schema.pattern.is_none() && schema.format.is_none())
        || (is(Type::Array) && schema.max_items.is_none())
        || ((is(Type::Integer) || is(Type::Number))
            && schema.format.is_none()
            && (schema.maximum.is_none() || schema.minimum.is_none()))
}

fn named(paths: &BTreeSet<String>) -> Option<String> {
    let first: Vec<&str> = paths.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = paths.len() - first.len();
    match (first.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(first.join(", ")),
        (false, more) => Some(format!("{} and {more} more", first.join(", "))),
    }
}
