//! Operations: what can be asked of which path.
//!
//! In: `paths`. Out: [`Operation`]s with everything that holds for them: parameters of the path item beside their
//! own, servers and security of the document where they have none of their own.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    MAX_OPERATIONS, Reader, Version, extensions, is_true, members,
    reference::inside,
    schema::Schema,
    security::{Requirement, requirements},
    server::{self, Server},
    strings, text,
};

/// Members of a path item that are operations, as OpenAPI 3.2 names them.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace", "query",
];

/// One method of one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// In upper case: `GET`.
    pub method: String,
    /// As written, without the server's path: `/users/{id}`.
    pub path: String,
    /// Where it stands, as a JSON pointer.
    pub pointer: String,
    /// `operationId`; empty if there is none.
    pub id: String,
    /// One line about it; empty if there is none.
    pub summary: String,
    /// `tags`.
    pub tags: Vec<String>,
    /// Better not used any more.
    pub deprecated: bool,
    /// Its own servers, or those of its path or of the document; never empty.
    pub servers: Vec<Server>,
    /// Alternatives that it asks for, its own or the document's. `None`: neither says anything. Empty: it asks for
    /// nothing. An alternative without a scheme admits everybody.
    pub security: Option<Vec<Requirement>>,
    /// Parameters, its own before those of its path.
    pub parameters: Vec<Parameter>,
    /// The body of a request.
    pub body: Option<Body>,
    /// Answers by status as written: `200`, `4XX`, `default`.
    pub responses: BTreeMap<String, Response>,
    /// Members `x-…`.
    pub extensions: Map<String, Value>,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In the path, as `{name}`.
    Path,
    /// In the query.
    Query,
    /// A header.
    Header,
    /// A cookie.
    Cookie,
}

/// A parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Whether a request must have it.
    pub required: bool,
    /// Better not used any more.
    pub deprecated: bool,
    /// Its values.
    pub schema: Schema,
    /// Where it is described, as a JSON pointer.
    pub pointer: String,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Whether a request must have it.
    pub required: bool,
    /// Its forms by media type.
    pub content: BTreeMap<String, MediaType>,
}

/// One form of a body.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaType {
    /// What it is made of.
    pub schema: Schema,
    /// Where it is described, as a JSON pointer.
    pub pointer: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Response {
    /// What it means; empty if not told.
    pub description: String,
    /// Its headers by name as written.
    pub headers: BTreeMap<String, Schema>,
    /// Its body's forms by media type.
    pub content: BTreeMap<String, MediaType>,
}

impl Operation {
    /// The path as clients ask for it at each server, without repetition.
    pub fn full_paths(&self) -> Vec<String> {
        let mut paths: Vec<String> = Vec::with_capacity(self.servers.len());
        for server in &self.servers {
            let path = format!("{}{}", server.base_path, self.path);
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
        paths
    }
}

impl Place {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            "cookie" => Place::Cookie,
            _ => return None,
        })
    }

    /// The name that documents use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
            Place::Cookie => "cookie",
        }
    }
}

/// What holds for the operations of one path item.
struct Item<'a> {
    path: &'a str,
    value: &'a Value,
    pointer: String,
    servers: Vec<Server>,
    security: Option<Vec<Requirement>>,
}

impl<'a> Reader<'a> {
    pub(super) fn operations(&mut self, servers: &[Server]) -> Vec<Operation> {
        let mut operations = Vec::new();
        let security = requirements(self.root);
        for (path, value) in members(self.root.get("paths")) {
            if !path.starts_with('/') {
                continue;
            }
            let Some(found) = self.follow(value, &inside("/paths", path)) else {
                continue;
            };
            let item = Item {
                path,
                servers: server::of(found.value).unwrap_or_else(|| servers.to_vec()),
                security: security.clone(),
                value: found.value,
                pointer: found.pointer,
            };
            for method in METHODS {
                let Some(value) = item.value.get(*method).filter(|value| value.is_object()) else {
                    continue;
                };
                if operations.len() >= MAX_OPERATIONS {
                    self.problem(
                        &item.pointer,
                        "the document has too many operations: the rest is left out",
                    );
                    return operations;
                }
                operations.push(self.operation(&item, method, value));
            }
        }
        operations
    }

    fn operation(&mut self, item: &Item<'a>, method: &str, value: &'a Value) -> Operation {
        let pointer = inside(&item.pointer, method);
        let described = self.described_parameters(item, value, &pointer);
        let mut parameters: Vec<Parameter> = Vec::new();
        for (value, pointer) in &described {
            let Some(parameter) = self.parameter(value, pointer) else {
                continue;
            };
            // Those of the operation come first and win over those of the path.
            let is_same =
                |known: &Parameter| (known.place, &known.name) == (parameter.place, &parameter.name);
            if !parameters.iter().any(is_same) {
                parameters.push(parameter);
            }
        }
        let body = match self.version {
            Version::V2 => self.swagger_body(value, &described),
            Version::V3_0 | Version::V3_1 => self.body(value, &pointer),
        };
        Operation {
            method: method.to_ascii_uppercase(),
            path: item.path.to_owned(),
            id: text(value.get("operationId")),
            summary: text(value.get("summary")),
            tags: strings(value.get("tags")),
            deprecated: is_true(value.get("deprecated")),
            servers: server::of(value).unwrap_or_else(|| item.servers.clone()),
            security: requirements(value).or_else(|| item.security.clone()),
            parameters,
            body,
            responses: self.responses(value, &pointer),
            extensions: extensions(value),
            pointer,
        }
    }

    /// Parameter objects of an operation and its path, references followed.
    fn described_parameters(
        &mut self,
        item: &Item<'a>,
        value: &'a Value,
        pointer: &str,
    ) -> Vec<(&'a Value, String)> {
        let mut described = Vec::new();
        for (owner, pointer) in [(value, pointer), (item.value, item.pointer.as_str())] {
            let list = owner.get("parameters").and_then(Value::as_array);
            let at = inside(pointer, "parameters");
            for (index, value) in list.into_iter().flatten().enumerate() {
                if let Some(found) = self.follow(value, &format!("{at}/{index}")) {
                    described.push((found.value, found.pointer));
                }
            }
        }
        described
    }

    /// `None` for what is no parameter: in version 2 bodies and fields of forms are described beside them.
    fn parameter(&mut self, value: &Value, pointer: &str) -> Option<Parameter> {
        let place = Place::from_name(value.get("in")?.as_str()?)?;
        let content = members(value.get("content")).next();
        let schema = match (value.get("schema"), content) {
            (Some(schema), _) => self.schema(Some(schema), &inside(pointer, "schema")),
            (None, Some((media, form))) => {
                let at = inside(&inside(pointer, "content"), media);
                self.schema(form.get("schema"), &inside(&at, "schema"))
            }
            // Version 2 describes values in the parameter itself; `required` means something else there.
            (None, None) => Schema {
                required: std::collections::BTreeSet::new(),
                ..self.schema(Some(value), pointer)
            },
        };
        Some(Parameter {
            name: value.get("name")?.as_str()?.to_owned(),
            place,
            required: place == Place::Path || is_true(value.get("required")),
            deprecated: is_true(value.get("deprecated")),
            schema,
            pointer: pointer.to_owned(),
        })
    }

    fn body(&mut self, operation: &'a Value, pointer: &str) -> Option<Body> {
        let body = self.follow(operation.get("requestBody")?, &inside(pointer, "requestBody"))?;
        Some(Body {
            required: is_true(body.value.get("required")),
            content: self.content(body.value, &body.pointer),
        })
    }

    fn responses(&mut self, operation: &'a Value, pointer: &str) -> BTreeMap<String, Response> {
        let at = inside(pointer, "responses");
        let mut responses = BTreeMap::new();
        for (status, value) in members(operation.get("responses")) {
            if status.starts_with("x-") {
                continue;
            }
            let Some(found) = self.follow(value, &inside(&at, status)) else {
                continue;
            };
            let content = match self.version {
                Version::V2 => self.swagger_answer(operation, found.value, &found.pointer),
                Version::V3_0 | Version::V3_1 => self.content(found.value, &found.pointer),
            };
            let response = Response {
                description: text(found.value.get("description")),
                headers: self.headers(found.value, &found.pointer),
                content,
            };
            responses.insert(
                status.to_ascii_uppercase().replace("DEFAULT", "default"),
                response,
            );
        }
        responses
    }

    fn content(&mut self, owner: &Value, pointer: &str) -> BTreeMap<String, MediaType> {
        let at = inside(pointer, "content");
        let forms = members(owner.get("content"));
        forms
            .map(|(media, form)| {
                let pointer = inside(&inside(&at, media), "schema");
                let schema = self.schema(form.get("schema"), &pointer);
                (media.clone(), MediaType { schema, pointer })
            })
            .collect()
    }

    fn headers(&mut self, response: &'a Value, pointer: &str) -> BTreeMap<String, Schema> {
        let at = inside(pointer, "headers");
        let mut headers = BTreeMap::new();
        for (name, value) in members(response.get("headers")) {
            let Some(found) = self.follow(value, &inside(&at, name)) else {
                continue;
            };
            // Version 2 describes the value in the header object itself.
            let schema = found.value.get("schema").unwrap_or(found.value);
            headers.insert(name.clone(), self.schema(Some(schema), &found.pointer));
        }
        headers
    }
}
