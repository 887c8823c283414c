//! JSON Schema (2020-12) of observed fields.
//!
//! In: fields by path. Out: nested schemas. A field that had values of several types has them all; names that are
//! identifiers make an object a map. Follows lists and objects to the depth that was observed.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::operation::format_of;
use crate::inventory::{
    schema::{Field, Schema},
    sensitive::Verdict,
};

/// The name under which fields of maps are observed.
const ANY_NAME: &str = "*";

/// Forms from which it is said what all of them have.
const MIN_FORMS: u32 = 5;

/// Paths of the fields directly inside each field.
type Inside<'a> = BTreeMap<&'a str, Vec<(&'a str, &'a str)>>;

/// The schema of one kind of message.
pub(super) fn of(schema: &Schema) -> Value {
    let mut inside = Inside::new();
    for path in schema.fields.keys() {
        let (parent, name) = match path.strip_suffix("[]") {
            Some(parent) => (parent, "[]"),
            None => match path.rsplit_once('.') {
                Some(split) => split,
                None => continue,
            },
        };
        inside.entry(parent).or_default().push((name, path));
    }
    at(schema, &inside, "$")
}

/// The schema of a form. A field is required when every form had it.
pub(super) fn of_form(form: &Schema) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (path, field) in &form.fields {
        let Some(name) = path.strip_prefix("form.") else {
            continue;
        };
        if field.seen >= form.messages && form.messages >= MIN_FORMS {
            required.push(name);
        }
        properties.insert(name.to_owned(), of_field(field));
    }
    let mut schema = json!({ "type": "object", "properties": properties });
    if let (Some(members), false) = (schema.as_object_mut(), required.is_empty()) {
        members.insert("required".into(), required.into());
    }
    schema
}

/// The schema of a field, without what is inside.
pub(super) fn of_field(field: &Field) -> Value {
    if field.file > 0 {
        // Raw bytes have no type in 3.1 (OpenAPI 3.1.0 §4.8.14.4).
        return json!({ "contentMediaType": "application/octet-stream" });
    }
    let mut schema = Map::new();
    let mut types = Vec::new();
    for (name, count) in [
        ("object", field.object),
        ("array", field.array),
        ("string", field.text),
        ("boolean", field.boolean),
        ("number", field.number),
        ("integer", if field.number == 0 { field.integer } else { 0 }),
        ("null", field.null),
    ] {
        if count > 0 {
            types.push(name);
        }
    }
    match types.as_slice() {
        [] => {}
        [one] => drop(schema.insert("type".into(), (*one).into())),
        _ => drop(schema.insert("type".into(), types.into())),
    }
    if let Some(format) = format_of(field) {
        schema.insert("format".into(), format.into());
    }
    let words = field.enumeration();
    if !words.is_empty() && field.seen == field.text {
        schema.insert("enum".into(), words.into());
    }
    let sure = |verdict: &Verdict| !verdict.suspected;
    let sensitive: Vec<&str> = field
        .votes
        .verdicts(field.seen - field.null.min(field.seen))
        .filter(sure)
        .map(|verdict| verdict.kind.as_str())
        .collect();
    if !sensitive.is_empty() {
        schema.insert("x-apiarist-sensitive".into(), sensitive.into());
    }
    Value::Object(schema)
}

/// The schema of the field at a path. Paths are bounded in depth, so this ends.
fn at(all: &Schema, inside: &Inside<'_>, path: &str) -> Value {
    let Some(field) = all.fields.get(path) else {
        return json!({});
    };
    let mut schema = of_field(field);
    let Some(members) = schema.as_object_mut() else {
        return schema;
    };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for (name, path) in inside.get(path).into_iter().flatten() {
        let part = at(all, inside, path);
        match *name {
            "[]" => drop(members.insert("items".into(), part)),
            ANY_NAME => drop(members.insert("additionalProperties".into(), part)),
            name => {
                let seen = all.fields.get(*path).map_or(0, |field| field.seen);
                if field.whole > 0 && seen >= field.object {
                    required.push(name);
                }
                properties.insert(name.to_owned(), part);
            }
        }
    }
    if !properties.is_empty() {
        members.insert("properties".into(), properties.into());
    }
    if !required.is_empty() {
        members.insert("required".into(), required.into());
    }
    schema
}
