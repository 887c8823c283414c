//! Reads an OpenAPI document that somebody wrote: 2.0 (Swagger), 3.0, 3.1 and 3.2, as JSON or YAML.
//!
//! In: the bytes of one file. Out: a [`Document`], one shape for all versions: operations with their effective
//! servers, security and parameters, and schemas that refer to each other through [`Document::resolve`]. What cannot
//! be understood is left out and named in [`Document::problems`]; only a file that is no OpenAPI document at all is an
//! error. References to other files are not followed: nothing is opened or fetched here.

mod operation;
mod reference;
mod schema;
mod security;
mod server;
mod source;
mod swagger;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use thiserror::Error;

pub use operation::{Body, MediaType, Operation, Parameter, Place, Response};
pub use schema::{Additional, Schema, Type};
pub use security::{Requirement, SecurityKind, SecurityScheme};
pub use server::Server;
pub(crate) use source::parse;

/// Longest document, in bytes. Overflow policy: [`ReadError::TooLong`].
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024 * 1024;

/// Most operations of a document. Overflow policy: those behind are left out, with a [`Problem`].
pub const MAX_OPERATIONS: usize = 20_000;

/// Most problems that are told. Overflow policy: the first ones.
pub const MAX_PROBLEMS: usize = 256;

/// Why a file is no OpenAPI document.
#[derive(Debug, Error)]
pub enum ReadError {
    /// Longer than [`MAX_DOCUMENT_BYTES`].
    #[error("the document is longer than {} MiB", MAX_DOCUMENT_BYTES / (1024 * 1024))]
    TooLong,
    /// Starts like JSON and is none.
    #[error("not valid JSON: {0}")]
    Json(serde_json::Error),
    /// Not YAML.
    #[error("not valid YAML: {0}")]
    Yaml(serde_norway::Error),
    /// No member `openapi: 3.x` or `swagger: "2.0"`.
    #[error("not an OpenAPI document: it has neither `openapi: 3.…` nor `swagger: \"2.0\"` at its top")]
    NoVersion,
}

/// The version of the specification that a document follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// Swagger 2.0.
    V2,
    /// OpenAPI 3.0.x.
    V3_0,
    /// OpenAPI 3.1.x and later: schemas are JSON Schema 2020-12.
    V3_1,
}

/// Something in a document that was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What, as a sentence without its full stop.
    pub text: String,
}

/// A document, in one shape for all versions.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The version of the specification.
    pub version: Version,
    /// `info.title`; empty if there is none.
    pub title: String,
    /// `info.version`; empty if there is none.
    pub release: String,
    /// Servers of the whole document; never empty: without any there is the one at `/`.
    pub servers: Vec<Server>,
    /// Operations, by path as the document orders them, then by method.
    pub operations: Vec<Operation>,
    /// Security schemes by name.
    pub security_schemes: BTreeMap<String, SecurityScheme>,
    /// Members `x-…` at the top.
    pub extensions: Map<String, Value>,
    /// What was not understood.
    pub problems: Vec<Problem>,
    schemas: BTreeMap<String, Schema>,
}

impl Document {
    /// The schema that this one stands for: itself, or what it refers to, however often. A reference that leads
    /// nowhere stands for itself.
    pub fn resolve<'a>(&'a self, schema: &'a Schema) -> &'a Schema {
        let mut found = schema;
        for _ in 0..reference::MAX_HOPS {
            let Some(next) = found
                .reference
                .as_deref()
                .and_then(|pointer| self.schemas.get(pointer))
            else {
                break;
            };
            found = next;
        }
        found
    }

    /// Schemas that something refers to, by JSON pointer (`/components/schemas/User`), in order.
    pub fn shared_schemas(&self) -> impl Iterator<Item = (&str, &Schema)> {
        self.schemas
            .iter()
            .map(|(pointer, schema)| (pointer.as_str(), schema))
    }
}

/// Reads a document.
///
/// # Errors
/// When the bytes are no OpenAPI document at all.
pub fn read(bytes: &[u8]) -> Result<Document, ReadError> {
    let root = source::parse(bytes)?;
    let version = version(&root).ok_or(ReadError::NoVersion)?;
    let info = |name: &str| text(root.get("info").and_then(|info| info.get(name)));
    let mut reader = Reader::new(&root, version);
    let servers = reader.document_servers();
    let security_schemes = reader.security_schemes();
    let operations = reader.operations(&servers);
    let schemas = reader.shared_schemas();
    Ok(Document {
        version,
        title: info("title"),
        release: info("version"),
        servers,
        operations,
        security_schemes,
        extensions: extensions(&root),
        problems: reader.problems,
        schemas,
    })
}

/// What all parts of the reader share.
struct Reader<'a> {
    root: &'a Value,
    version: Version,
    problems: Vec<Problem>,
    schemas: schema::Pending,
}

impl<'a> Reader<'a> {
    fn new(root: &'a Value, version: Version) -> Self {
        Self {
            root,
            version,
            problems: Vec::new(),
            schemas: schema::Pending::default(),
        }
    }

    fn problem(&mut self, pointer: &str, text: impl Into<String>) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(Problem {
                pointer: pointer.to_owned(),
                text: text.into(),
            });
        }
    }
}

fn version(root: &Value) -> Option<Version> {
    let of = |name: &str| match root.get(name)? {
        Value::String(text) => Some(text.clone()),
        // `swagger: 2.0` without quotes is a number in YAML.
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match (of("openapi"), of("swagger")) {
        (Some(text), _) if text.starts_with("3.0") => Some(Version::V3_0),
        (Some(text), _) if text.starts_with("3.") => Some(Version::V3_1),
        (None, Some(text)) if text == "2" || text.starts_with("2.") => Some(Version::V2),
        _ => None,
    }
}

/// The text of a value; empty if it has none.
fn text(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn is_true(value: Option<&Value>) -> bool {
    value.and_then(Value::as_bool).unwrap_or(false)
}

/// The strings of a list.
fn strings(value: Option<&Value>) -> Vec<String> {
    let list = value.and_then(Value::as_array).map(Vec::as_slice);
    list.unwrap_or_default()
        .iter()
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// The members of an object; none if it is none.
fn members(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn extensions(value: &Value) -> Map<String, Value> {
    members(Some(value))
        .filter(|(name, _)| name.starts_with("x-"))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests;
