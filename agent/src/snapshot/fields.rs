//! The fields of an operation, flat: where each is, and its type.
//!
//! In: an OpenAPI document that was made from observation. Out: `query full` is an `integer`, `response 2XX $.tags[]` is a
//! `string`. Bounded in depth and number; beyond, fields are left out of the snapshot.

use std::collections::BTreeMap;

use serde_json::Value;

/// Fields of one operation. Overflow policy: further ones are left out.
const MAX_FIELDS: usize = 1024;

/// Nesting. Overflow policy: what is deeper is left out.
const MAX_DEPTH: usize = 32;

/// The fields of the operation that a document has for a template and a method.
pub(super) fn of(document: &Value, template: &str, method: &str) -> BTreeMap<String, String> {
    let mut fields = Fields::default();
    let path = document.get("paths").and_then(|paths| paths.get(template));
    let Some(operation) = path.and_then(|path| path.get(method.to_ascii_lowercase())) else {
        return fields.0;
    };
    let text = |value: &Value, name: &str| {
        value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    for parameter in list(operation.get("parameters")) {
        let place = format!("{} {}", text(parameter, "in"), text(parameter, "name"));
        fields.add(place, parameter.get("schema"));
    }
    for (_, media) in members(operation.pointer("/requestBody/content")) {
        fields.walk("request $".to_owned(), media.get("schema"), 0);
    }
    for (status, response) in members(operation.get("responses")) {
        for (_, media) in members(response.get("content")) {
            fields.walk(format!("response {status} $"), media.get("schema"), 0);
        }
    }
    fields.0
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Fields {
    fn add(&mut self, place: String, schema: Option<&Value>) {
        let kind = match schema.and_then(|schema| schema.get("type")) {
            Some(Value::String(kind)) => kind.clone(),
            Some(Value::Array(kinds)) => {
                let mut kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).collect();
                kinds.sort_unstable();
                kinds.join("|")
            }
            _ => "any".to_owned(),
        };
        if self.0.len() < MAX_FIELDS {
            self.0.entry(place).or_insert(kind);
        }
    }

    fn walk(&mut self, place: String, schema: Option<&Value>, depth: usize) {
        let Some(schema) = schema.filter(|_| depth < MAX_DEPTH) else {
            return;
        };
        for (name, property) in members(schema.get("properties")) {
            self.walk(format!("{place}.{name}"), Some(property), depth + 1);
        }
        self.walk(format!("{place}[]"), schema.get("items"), depth + 1);
        let any = schema.get("additionalProperties").filter(|any| any.is_object());
        self.walk(format!("{place}.*"), any, depth + 1);
        self.add(place, Some(schema));
    }
}

fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_flat_and_typed() {
        let document = json!({"paths": {"/a": {"post": {
            "parameters": [{"in": "header", "name": "x-id", "schema": {"type": "string"}}],
            "requestBody": {"content": {"application/json": {"schema": {"type": "array", "items": {"type": ["null", "integer"]}}}}},
            "responses": {"201": {"content": {"application/json": {"schema": {"type": "object",
                "properties": {"by": {"type": "object", "additionalProperties": {"type": "number"}}, "x": {}}}}}}},
        }}}});
        let found = of(&document, "/a", "POST");
        let expected = [
            ("header x-id", "string"),
            ("request $", "array"),
            ("request $[]", "integer|null"),
            ("response 201 $", "object"),
            ("response 201 $.by", "object"),
            ("response 201 $.by.*", "number"),
            ("response 201 $.x", "any"),
        ];
        assert!(
            found
                .iter()
                .map(|(place, kind)| (place.as_str(), kind.as_str()))
                .eq(expected)
        );
        assert!(of(&document, "/b", "POST").is_empty());
    }

    #[test]
    fn depth_is_bounded() {
        let mut schema = json!({"type": "object"});
        for _ in 0..100 {
            schema = json!({"type": "object", "properties": {"in": schema}});
        }
        let document = json!({"paths": {"/": {"get": {"responses": {"200": {"content": {"a/b": {"schema": schema}}}}}}}});
        assert_eq!(of(&document, "/", "GET").len(), MAX_DEPTH);
    }
}
