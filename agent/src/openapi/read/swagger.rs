//! What version 2 describes elsewhere: bodies among the parameters, media types beside them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Reader, is_true,
    operation::{Body, MediaType},
    reference::inside,
    schema::{Additional, Schema, Type},
    strings,
};

/// Media type of bodies where nothing is said.
const JSON: &str = "application/json";

/// Media type of forms with files.
const MULTIPART: &str = "multipart/form-data";

/// Media type of forms without.
const FORM: &str = "application/x-www-form-urlencoded";

impl Reader<'_> {
    /// The body that `in: body` or `in: formData` parameters describe.
    pub(super) fn swagger_body(&mut self, operation: &Value, described: &[(&Value, String)]) -> Option<Body> {
        let consumes = self.media(operation, "consumes");
        let is_in = |value: &Value, place: &str| value.get("in").and_then(Value::as_str) == Some(place);
        if let Some((value, pointer)) = described.iter().find(|(value, _)| is_in(value, "body")) {
            let pointer = inside(pointer, "schema");
            let schema = self.schema(value.get("schema"), &pointer);
            let form = MediaType { schema, pointer };
            let forms = consumes
                .into_iter()
                .filter(|media| media != FORM && media != MULTIPART);
            return Some(Body {
                required: is_true(value.get("required")),
                content: each(forms.collect(), &form),
            });
        }
        let (mut schema, mut has_file, mut first) = (Schema::default(), false, None);
        for (value, pointer) in described.iter().filter(|(value, _)| is_in(value, "formData")) {
            let Some(name) = value.get("name").and_then(Value::as_str) else {
                continue;
            };
            first.get_or_insert_with(|| pointer.clone());
            has_file |= value.get("type").and_then(Value::as_str) == Some("file");
            if is_true(value.get("required")) {
                schema.required.insert(name.to_owned());
            }
            let field = Schema {
                required: BTreeSet::new(),
                ..self.schema(Some(value), pointer)
            };
            schema.properties.insert(name.to_owned(), field);
        }
        let pointer = first?;
        schema.types.insert(Type::Object);
        schema.additional = Additional::Unspecified;
        let required = !schema.required.is_empty();
        let form = MediaType { schema, pointer };
        let mut forms: Vec<String> = consumes
            .into_iter()
            .filter(|media| media == MULTIPART || (media == FORM && !has_file))
            .collect();
        if forms.is_empty() {
            forms.push(if has_file { MULTIPART } else { FORM }.to_owned());
        }
        Some(Body {
            required,
            content: each(forms, &form),
        })
    }

    /// The body of an answer.
    pub(super) fn swagger_answer(
        &mut self,
        operation: &Value,
        response: &Value,
        pointer: &str,
    ) -> BTreeMap<String, MediaType> {
        let Some(schema) = response.get("schema") else {
            return BTreeMap::new();
        };
        let pointer = inside(pointer, "schema");
        let schema = self.schema(Some(schema), &pointer);
        each(self.media(operation, "produces"), &MediaType { schema, pointer })
    }

    /// Media types of an operation, or else of the document.
    fn media(&self, operation: &Value, name: &str) -> Vec<String> {
        let own = operation.get(name).or_else(|| self.root.get(name));
        strings(own)
    }
}

/// The same form for each media type; for JSON if there is none.
fn each(mut media: Vec<String>, form: &MediaType) -> BTreeMap<String, MediaType> {
    if media.is_empty() {
        media.push(JSON.to_owned());
    }
    media.into_iter().map(|media| (media, form.clone())).collect()
}
