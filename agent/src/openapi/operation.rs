//! One operation of an OpenAPI document.
//!
//! In: an endpoint. Out: its operation object, and the security schemes it refers to. Schemes whose place in a request
//! is not known have no object: they are named in `x-apiarist`.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::schema;
use crate::inventory::{
    Endpoint, EndpointView,
    schema::{Field, Format, Schema},
    template::SegmentType,
};

/// Names of operations given so far: each is given once.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// `get_users_userId`, with a number behind it if that is taken.
    fn give(&mut self, method: &str, template: &str) -> String {
        let mut name = method.to_ascii_lowercase();
        for part in template
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|part| !part.is_empty())
        {
            name.push('_');
            name.push_str(part);
        }
        let free = (2..).map(|number: u32| format!("{name}_{number}"));
        let chosen = std::iter::once(name.clone())
            .chain(free)
            .find(|name| !self.0.contains(name))
            .unwrap_or(name);
        self.0.insert(chosen.clone());
        chosen
    }
}

/// The operation object of an endpoint.
pub(super) fn describe(endpoint: &Endpoint, view: &EndpointView, names: &mut Names) -> Value {
    let mut operation = Map::new();
    operation.insert(
        "operationId".into(),
        names.give(&endpoint.method, &endpoint.template).into(),
    );
    let parameters: Vec<Value> = path_parameters(endpoint)
        .chain(query_parameters(endpoint))
        .collect();
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = request_body(endpoint) {
        operation.insert("requestBody".into(), body);
    }
    operation.insert("responses".into(), responses(endpoint, view));
    if let Some(security) = security(view) {
        operation.insert("security".into(), security);
    }
    operation.insert(
        "x-apiarist".into(),
        json!({
            "endpoint": view.id,
            "kind": view.kind,
            "state": view.state,
            "hits": view.hits,
            "first_seen": view.first_seen,
            "last_seen": view.last_seen,
            "exposure": view.exposure,
            "auth": view.auth,
            "sensitive": view.sensitive,
        }),
    );
    let mut operation = Value::Object(operation);
    add_name(&mut operation, view);
    operation
}

/// Notes the operation that a protocol names itself.
pub(super) fn add_name(operation: &mut Value, view: &EndpointView) {
    let (Some(name), Some(members)) = (&view.operation, operation.as_object_mut()) else {
        return;
    };
    let names = members
        .entry("x-apiarist-operations")
        .or_insert_with(|| json!([]));
    if let Some(names) = names.as_array_mut() {
        names.push(name.as_str().into());
    }
}

fn path_parameters(endpoint: &Endpoint) -> impl Iterator<Item = Value> {
    endpoint.parameters.iter().map(|parameter| {
        let schema = match parameter.kind {
            SegmentType::Int => json!({ "type": "integer" }),
            SegmentType::Float => json!({ "type": "number" }),
            SegmentType::Uuid => json!({ "type": "string", "format": "uuid" }),
            SegmentType::Email => json!({ "type": "string", "format": "email" }),
            _ => json!({ "type": "string" }),
        };
        json!({ "name": parameter.name, "in": "path", "required": true, "schema": schema })
    })
}

fn query_parameters(endpoint: &Endpoint) -> impl Iterator<Item = Value> {
    let schemas = &endpoint.schemas;
    schemas.query.fields.iter().filter_map(|(path, field)| {
        let name = path.strip_prefix("query.").filter(|name| !name.is_empty())?;
        let required = u64::from(field.seen) >= schemas.exchanges;
        Some(json!({ "name": name, "in": "query", "required": required, "schema": schema::of_field(field) }))
    })
}

fn request_body(endpoint: &Endpoint) -> Option<Value> {
    let schemas = &endpoint.schemas;
    let mut content = Map::new();
    if !schemas.request.is_empty() {
        content.insert(
            "application/json".into(),
            json!({ "schema": schema::of(&schemas.request) }),
        );
    }
    for (media, form) in [
        ("application/x-www-form-urlencoded", &schemas.form),
        ("multipart/form-data", &schemas.multipart),
    ] {
        if !form.is_empty() {
            content.insert(media.into(), json!({ "schema": schema::of_form(form) }));
        }
    }
    (!content.is_empty()).then(|| json!({ "content": content }))
}

/// Answers by class of status; `default` if none was seen.
fn responses(endpoint: &Endpoint, view: &EndpointView) -> Value {
    let mut responses = Map::new();
    for (class, name) in (1_u16..).zip(["1xx", "2xx", "3xx", "4xx", "5xx"]) {
        let Some(count) = view.status.get(name) else {
            continue;
        };
        let description = match class {
            1 => "Informational",
            2 => "Success",
            3 => "Redirection",
            4 => "Client error",
            _ => "Server error",
        };
        let mut response = json!({ "description": description, "x-apiarist-count": count });
        let schema = endpoint
            .schemas
            .responses
            .get(&class)
            .filter(|schema| !Schema::is_empty(schema));
        if let (Some(schema), Some(members)) = (schema, response.as_object_mut()) {
            let content = json!({ "application/json": { "schema": schema::of(schema) } });
            members.insert("content".into(), content);
        }
        responses.insert(name.to_ascii_uppercase(), response);
    }
    if responses.is_empty() {
        responses.insert("default".into(), json!({ "description": "No answer was seen" }));
    }
    Value::Object(responses)
}

/// Security schemes that OpenAPI can express, by the name they are seen under.
pub(super) fn schemes(view: &EndpointView) -> impl Iterator<Item = (&'static str, Value)> {
    view.auth.schemes.iter().filter_map(|scheme| {
        Some(match scheme.as_str() {
            "basic" => ("basic", json!({ "type": "http", "scheme": "basic" })),
            "digest" => ("digest", json!({ "type": "http", "scheme": "digest" })),
            "negotiate" => ("negotiate", json!({ "type": "http", "scheme": "negotiate" })),
            "bearer" => ("bearer", json!({ "type": "http", "scheme": "bearer" })),
            "bearer_jwt" => {
                let scheme = json!({ "type": "http", "scheme": "bearer", "bearerFormat": "JWT" });
                ("bearer_jwt", scheme)
            }
            "mtls" => ("mtls", json!({ "type": "mutualTLS" })),
            "aws_sigv4" => {
                let scheme = json!({ "type": "apiKey", "in": "header", "name": "Authorization" });
                ("aws_sigv4", scheme)
            }
            _ => return None,
        })
    })
}

/// What an operation asks for: one of the schemes seen, or nothing where it was served without.
fn security(view: &EndpointView) -> Option<Value> {
    let mut alternatives: Vec<Value> = schemes(view).map(|(name, _)| json!({ name: [] })).collect();
    match view.auth.verdict.as_str() {
        "missing" => Some(json!([])),
        "mixed" if !alternatives.is_empty() => {
            alternatives.push(json!({}));
            Some(alternatives.into())
        }
        "consistent" if !alternatives.is_empty() => Some(alternatives.into()),
        _ => None,
    }
}

/// The form of a field, where it has one that JSON Schema knows.
pub(super) fn format_of(field: &Field) -> Option<&'static str> {
    field.format().and_then(Format::as_str)
}
