//! Where what was observed of one operation and what its document says drift apart, field by field.
//!
//! In: an operation as documented and as observed, both read from documents. Out: [`Drift`]s. What a document leaves
//! open (no properties, `additionalProperties`, no types) fits everything, and what it calls optional may be absent. A
//! parameter of a query is text: whatever was observed fits a string.

use std::collections::BTreeSet;

use crate::{
    openapi::read::{Additional, Document, MediaType, Operation, Place, Schema, Type},
    verdict::Severity,
};

/// Schemas that one place may be described by. Overflow policy: the first so many.
const MAX_ALTERNATIVES: usize = 64;

/// Nesting of fields. Overflow policy: deeper ones are not compared.
const MAX_DEPTH: usize = 24;

/// Drifts of one operation. Overflow policy: the first so many.
const MAX_DRIFTS: usize = 200;

/// Headers that OpenAPI leaves out (3.1 §4.8.12.1), or that transport them.
const IMPLIED_HEADERS: [&str; 3] = ["accept", "content-type", "authorization"];

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drift {
    pub(super) rule: &'static str,
    pub(super) severity: Severity,
    /// `query.page`, `request $.name`, `response 2XX $.id`.
    pub(super) place: String,
    pub(super) text: String,
}

/// Two documents and what was found between them.
struct Comparison<'a> {
    documented: &'a Document,
    observed: &'a Document,
    sensitive: &'a dyn Fn(&str) -> bool,
    found: Vec<Drift>,
}

/// Compares one operation. `sensitive` tells whether a field of the answer carries sensitive data.
pub(super) fn compare(
    documented: (&Document, &Operation),
    observed: (&Document, &Operation),
    sensitive: &dyn Fn(&str) -> bool,
) -> Vec<Drift> {
    let mut comparison = Comparison {
        documented: documented.0,
        observed: observed.0,
        sensitive,
        found: Vec::new(),
    };
    comparison.parameters(documented.1, observed.1);
    comparison.bodies(documented.1, observed.1);
    comparison.answers(documented.1, observed.1);
    comparison.found
}

impl<'a> Comparison<'a> {
    fn add(&mut self, rule: &'static str, severity: Severity, place: String, text: String) {
        if self.found.len() < MAX_DRIFTS {
            self.found.push(Drift {
                rule,
                severity,
                place,
                text,
            });
        }
    }

    fn parameters(&mut self, documented: &'a Operation, observed: &'a Operation) {
        for seen in observed
            .parameters
            .iter()
            .filter(|parameter| parameter.place != Place::Path)
        {
            let place = format!("{}.{}", seen.place.as_str(), seen.name);
            let is_same = |known: &&crate::openapi::read::Parameter| {
                known.place == seen.place && names_match(&known.name, &seen.name)
            };
            let is_implied = seen.place == Place::Header
                && IMPLIED_HEADERS.contains(&seen.name.to_ascii_lowercase().as_str());
            match documented.parameters.iter().find(is_same) {
                Some(known) => self.text_value(&known.schema, &seen.schema, &place),
                // Every client sends headers that no document lists; cookies come from anywhere.
                None if is_implied || matches!(seen.place, Place::Header | Place::Cookie) => {}
                None => self.add(
                    "undocumented_parameter",
                    Severity::Medium,
                    place,
                    "the query parameter is used and not documented".to_owned(),
                ),
            }
        }
    }

    /// A value that travels as text: it need only look like what is documented.
    fn text_value(&mut self, documented: &'a Schema, observed: &'a Schema, place: &str) {
        let known = alternatives(self.documented, documented);
        let Some(types) = types(&known) else { return };
        let is_texty = [Type::String, Type::Array, Type::Object]
            .iter()
            .any(|kind| types.contains(kind));
        let wants_number = types.contains(&Type::Integer) || types.contains(&Type::Number);
        if !is_texty && wants_number && observed.types.contains(&Type::String) {
            let text = format!("documented as {}, text was accepted", list(&types));
            self.add("type_mismatch", Severity::Medium, place.to_owned(), text);
        }
    }

    fn bodies(&mut self, documented: &'a Operation, observed: &'a Operation) {
        let (known, seen) = (documented.body.as_ref(), observed.body.as_ref());
        let Some(seen) = seen else { return };
        let Some(known) = known else {
            let text = "a body was sent and none is documented".to_owned();
            return self.add("undocumented_body", Severity::Medium, "request".to_owned(), text);
        };
        for (media, form) in &seen.content {
            let described: Vec<&Schema> = described(&known.content, media).collect();
            if described.is_empty() {
                let text = format!("{media} was sent and is not documented");
                self.add(
                    "undocumented_media_type",
                    Severity::Low,
                    "request".to_owned(),
                    text,
                );
                continue;
            }
            let is_form = !media.contains("json");
            let way = Way::Request { is_form };
            self.schemas(&described, &form.schema, "$", way, 0);
        }
    }

    fn answers(&mut self, documented: &'a Operation, observed: &'a Operation) {
        for (class, seen) in &observed.responses {
            let Some(digit) = class.chars().next().filter(char::is_ascii_digit) else {
                continue;
            };
            let known: Vec<_> = documented
                .responses
                .iter()
                .filter(|(code, _)| code.starts_with(digit) || *code == "default")
                .map(|(_, response)| response)
                .collect();
            for (media, form) in &seen.content {
                let schemas: Vec<&Schema> = known
                    .iter()
                    .flat_map(|response| described(&response.content, media))
                    .collect();
                // Answers without a described body are left open: an empty body is rarely meant.
                if !schemas.is_empty() {
                    let way = Way::Answer {
                        class: digit,
                        is_one: known.len() == 1,
                    };
                    self.schemas(&schemas, &form.schema, "$", way, 0);
                }
            }
        }
    }

    fn schemas(
        &mut self,
        documented: &[&'a Schema],
        observed: &'a Schema,
        path: &str,
        way: Way,
        depth: usize,
    ) {
        let mut known: Vec<&'a Schema> = Vec::new();
        for schema in documented {
            known.extend(alternatives(self.documented, schema));
        }
        known.truncate(MAX_ALTERNATIVES);
        let observed = self.observed.resolve(observed);
        if depth > MAX_DEPTH || known.iter().any(|schema| is_open(schema)) {
            return;
        }
        self.types(&known, observed, path, way);
        self.enumeration(&known, observed, path, way);
        self.members(&known, observed, path, way, depth);
        if let Some(element) = &observed.items {
            let items: Vec<&Schema> = known
                .iter()
                .filter_map(|schema| schema.items.as_deref())
                .collect();
            if !items.is_empty() {
                self.schemas(&items, element, &format!("{path}[]"), way, depth + 1);
            }
        }
    }

    fn types(&mut self, known: &[&Schema], observed: &Schema, path: &str, way: Way) {
        let Some(allowed) = types(known) else { return };
        let fits = |kind: &Type| {
            allowed.contains(kind)
                || (*kind == Type::Integer && allowed.contains(&Type::Number))
                || (way.is_form() && *kind != Type::Object)
        };
        for kind in observed.types.iter().filter(|kind| !fits(kind)) {
            let (rule, severity) = match kind {
                Type::Null => ("undocumented_null", Severity::Low),
                _ => ("type_mismatch", Severity::Medium),
            };
            let text = format!("documented as {}, {} was seen", list(&allowed), name(*kind));
            self.add(rule, severity, way.place(path), text);
        }
    }

    fn enumeration(&mut self, known: &[&Schema], observed: &Schema, path: &str, way: Way) {
        let values: Vec<_> = known.iter().flat_map(|schema| &schema.enumeration).collect();
        let is_closed = !known.is_empty() && known.iter().all(|schema| !schema.enumeration.is_empty());
        let unknown = observed
            .enumeration
            .iter()
            .filter(|value| !values.contains(value))
            .count();
        if is_closed && unknown > 0 {
            let text = format!("{unknown} values are not among the {} documented", values.len());
            self.add("undocumented_value", Severity::Low, way.place(path), text);
        }
    }

    fn members(&mut self, known: &[&'a Schema], observed: &'a Schema, path: &str, way: Way, depth: usize) {
        // Where no object is documented, that one was seen is said already.
        let may_be_object =
            |schema: &&Schema| schema.types.is_empty() || schema.types.contains(&Type::Object);
        if !known.iter().any(may_be_object) {
            return;
        }
        for (member, seen) in &observed.properties {
            let path = format!("{path}.{member}");
            let described: Vec<&Schema> = known
                .iter()
                .filter_map(|schema| {
                    let named = schema
                        .properties
                        .iter()
                        .find(|(name, _)| same_member(name, member));
                    named
                        .map(|(_, described)| described)
                        .or(match &schema.additional {
                            Additional::Of(described) => Some(&**described),
                            _ => None,
                        })
                })
                .collect();
            if !described.is_empty() {
                self.schemas(&described, seen, &path, way, depth + 1);
                continue;
            }
            let is_allowed = known
                .iter()
                .any(|schema| schema.additional == Additional::Allowed);
            if is_allowed {
                continue;
            }
            let severity = match way {
                Way::Answer { .. } if (self.sensitive)(&path) => Severity::High,
                Way::Answer { .. } => Severity::Low,
                Way::Request { .. } => Severity::Medium,
            };
            let text = match severity {
                Severity::High => "the field is not documented, and carries sensitive data",
                _ => "the field is not documented",
            };
            self.add("undocumented_field", severity, way.place(&path), text.to_owned());
        }
        // Alternatives may require different members, and an answer documented for several statuses has several.
        let ([only], Way::Answer { is_one: true, .. }) = (known, way) else {
            return;
        };
        if observed.required.is_empty() {
            return;
        }
        let is_always = |member: &str| observed.required.iter().any(|seen| same_member(member, seen));
        for member in &only.required {
            let is_sent_only = only
                .properties
                .get(member)
                .is_some_and(|schema| self.documented.resolve(schema).write_only);
            if !is_always(member) && !is_sent_only {
                let place = way.place(&format!("{path}.{member}"));
                let text = "the field is required, and was absent".to_owned();
                self.add("required_field_absent", Severity::Medium, place, text);
            }
        }
    }
}

/// Which message is compared.
#[derive(Debug, Clone, Copy)]
enum Way {
    Request { is_form: bool },
    Answer { class: char, is_one: bool },
}

impl Way {
    const fn is_form(self) -> bool {
        matches!(self, Way::Request { is_form: true })
    }

    fn place(self, path: &str) -> String {
        match self {
            Way::Request { .. } => format!("request {path}"),
            Way::Answer { class, .. } => format!("response {class}XX {path}"),
        }
    }
}

/// The schemas that describe a place, references followed and combinations taken apart.
fn alternatives<'a>(document: &'a Document, schema: &'a Schema) -> Vec<&'a Schema> {
    let mut found: Vec<&Schema> = Vec::new();
    let mut open = vec![schema];
    let mut steps = 0;
    while let Some(next) = open.pop() {
        steps += 1;
        if steps > 4 * MAX_ALTERNATIVES || found.len() >= MAX_ALTERNATIVES {
            break;
        }
        let next = document.resolve(next);
        let parts = next.all_of.iter().chain(&next.any_of).chain(&next.one_of);
        let before = open.len();
        open.extend(parts);
        // A schema that only combines others says nothing itself.
        if open.len() == before || !is_open(next) {
            found.push(next);
        }
    }
    found
}

/// Whether a schema allows everything.
fn is_open(schema: &Schema) -> bool {
    let says_members = !schema.properties.is_empty() || schema.additional != Additional::Unspecified;
    let is_object = schema.types.contains(&Type::Object);
    let is_free_object = is_object && !says_members;
    (schema.types.is_empty() && !says_members && schema.items.is_none() && schema.enumeration.is_empty())
        || is_free_object
}

/// Types that are allowed; `None` for all.
fn types(known: &[&Schema]) -> Option<BTreeSet<Type>> {
    let mut allowed = BTreeSet::new();
    for schema in known {
        if schema.types.is_empty() {
            // Named members or elements tell the type as well.
            if !schema.properties.is_empty() {
                allowed.insert(Type::Object);
            } else if schema.items.is_some() {
                allowed.insert(Type::Array);
            } else {
                return None;
            }
        }
        allowed.extend(schema.types.iter().copied());
    }
    (!allowed.is_empty()).then_some(allowed)
}

/// Schemas for a media type: for it, for a range that has it (RFC 9110 §12.5.1), or, for JSON, any that is JSON.
fn described<'a>(
    content: &'a std::collections::BTreeMap<String, MediaType>,
    media: &'a str,
) -> impl Iterator<Item = &'a Schema> {
    let is_json = media.contains("json");
    content
        .iter()
        .filter(move |(name, _)| {
            let name = name.split(';').next().unwrap_or_default().trim();
            let kind = media.split('/').next().unwrap_or_default();
            name.eq_ignore_ascii_case(media)
                || name == "*/*"
                || name.strip_suffix("/*") == Some(kind)
                || (is_json && name.contains("json"))
        })
        .map(|(_, form)| &form.schema)
}

/// Names of observed members lack what a path cannot hold.
fn same_member(documented: &str, observed: &str) -> bool {
    documented == observed
        || documented
            .chars()
            .filter(|c| !c.is_control() && !".[]".contains(*c))
            .eq(observed.chars())
}

/// `ids[]` in a document is `ids` for some clients.
fn names_match(documented: &str, observed: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches("[]").to_owned();
    plain(documented) == plain(observed)
        // `filter[state]` is a member of a parameter `filter` in the style deepObject.
        || observed.strip_prefix(documented).is_some_and(|rest| rest.starts_with('['))
}

fn list(types: &BTreeSet<Type>) -> String {
    let names: Vec<&str> = types.iter().map(|kind| name(*kind)).collect();
    names.join(" or ")
}

const fn name(kind: Type) -> &'static str {
    match kind {
        Type::Null => "null",
        Type::Boolean => "boolean",
        Type::Integer => "integer",
        Type::Number => "number",
        Type::String => "string",
        Type::Array => "array",
        Type::Object => "object",
    }
}
