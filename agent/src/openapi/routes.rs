//! The routes of documents that the operator has given.
//!
//! In: documents. Out: a table of routes, with the types that parameters are described with. Every server's path is
//! put in front: clients ask for `/v1/users/{id}` where the document says `/users/{id}`.

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, Result};

use super::read::{self, Document, MAX_DOCUMENT_BYTES, Operation, Place, Type};
use crate::inventory::template::{SegmentType, routes::Routes};

/// The routes of documents in files, in order.
///
/// # Errors
/// The first file that cannot be read, or is no OpenAPI document.
pub fn of_files<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Routes> {
    let mut routes = Routes::default();
    for path in paths {
        let shown = path.display();
        let file = std::fs::File::open(path).with_context(|| format!("cannot read {shown}"))?;
        let mut bytes = Vec::new();
        // One byte more than is allowed, so that the reader sees that it is too long.
        file.take(MAX_DOCUMENT_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .with_context(|| format!("cannot read {shown}"))?;
        let document = read::read(&bytes).with_context(|| format!("cannot use {shown}"))?;
        add(&mut routes, &document);
    }
    Ok(routes)
}

/// Adds the routes of a document.
pub fn add(routes: &mut Routes, document: &Document) {
    for operation in &document.operations {
        for path in operation.full_paths() {
            // What has no room, or says nothing, is learned as if there were no document.
            let _added: bool = routes.add(Some(&operation.method), &path, |name| {
                kind(document, operation, name)
            });
        }
    }
}

/// What the values of a path parameter look like.
fn kind(document: &Document, operation: &Operation, name: &str) -> SegmentType {
    let is_it = |known: &&read::Parameter| known.place == Place::Path && known.name == name;
    let Some(parameter) = operation.parameters.iter().find(is_it) else {
        return SegmentType::Name;
    };
    let schema = document.resolve(&parameter.schema);
    match schema.format.as_deref() {
        Some("uuid") => SegmentType::Uuid,
        Some("date" | "date-time") => SegmentType::Date,
        Some("email") => SegmentType::Email,
        Some("ipv4" | "ipv6") => SegmentType::Ip,
        _ if schema.types.contains(&Type::Integer) => SegmentType::Int,
        _ if schema.types.contains(&Type::Number) => SegmentType::Float,
        _ => SegmentType::Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_types() {
        let document = r##"{"openapi":"3.1.0","servers":[{"url":"https://a.test/v1"},{"url":"/v2"}],
            "paths":{"/users/{id}":{"parameters":[{"$ref":"#/x"}],"get":{}},"/users/me":{"get":{}}},
            "x":{"name":"id","in":"path","required":true,"schema":{"$ref":"#/y"}},"y":{"type":"string","format":"uuid"}}"##;
        let document = read::read(document.as_bytes()).expect("document");
        let mut routes = Routes::default();
        add(&mut routes, &document);
        assert_eq!(routes.len(), 4);
        let template = routes.template("GET", "/v2/users/7").expect("template");
        assert_eq!(
            (&*template.text, template.parameters[0].kind),
            ("/v2/users/{id}", SegmentType::Uuid)
        );
        assert_eq!(routes.template("GET", "/users/7"), None);
    }

    #[test]
    fn files_that_cannot_be_used_are_named() {
        let missing = of_files([Path::new("/nonexistent/api.yml")]).expect_err("error");
        assert!(format!("{missing:#}").starts_with("cannot read /nonexistent/api.yml"));
        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "a: b").expect("write");
        let wrong = of_files([file.path()]).expect_err("error");
        assert!(
            format!("{wrong:#}").contains("not an OpenAPI document"),
            "{wrong:#}"
        );
    }
}
