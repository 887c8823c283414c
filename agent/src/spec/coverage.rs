//! How much of the documents was exercised: operations, statuses, fields.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{Given, Place};
use crate::openapi::read::{Document, MediaType, Operation, Schema};

/// Nesting of fields that are listed. Overflow policy: deeper ones do not count.
const MAX_DEPTH: usize = 8;

/// Fields of one operation that are listed. Overflow policy: the first so many.
const MAX_FIELDS: usize = 500;

/// How much was exercised.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// Operations that were asked for, of all.
    pub operations: Share,
    /// Documented statuses that were answered with, of all.
    pub statuses: Share,
    /// Documented fields and parameters that were seen, of all.
    pub fields: Share,
    /// Each operation.
    pub each: Vec<OperationCoverage>,
}

/// So many of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Share {
    /// Exercised.
    pub exercised: u64,
    /// Documented.
    pub documented: u64,
}

/// One operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperationCoverage {
    /// Method.
    pub method: String,
    /// Path as documented.
    pub path: String,
    /// `operationId`; empty if there is none.
    pub operation_id: String,
    /// Where it is described.
    pub place: Place,
    /// Exchanges.
    pub hits: u64,
    /// Documented statuses that were answered with.
    pub statuses: Vec<String>,
    /// Documented statuses that were not.
    pub missing_statuses: Vec<String>,
    /// Documented fields and parameters that were seen.
    pub fields: Share,
    /// Those that were not.
    pub missing_fields: Vec<String>,
}

/// What was observed of one operation.
#[derive(Debug, Default)]
pub(super) struct Exercised<'a> {
    pub(super) hits: u64,
    /// Status codes.
    pub(super) codes: BTreeSet<String>,
    /// Operations as observed, with their documents.
    pub(super) operations: Vec<(&'a Document, &'a Operation)>,
}

impl Share {
    fn add(&mut self, other: Self) {
        self.exercised += other.exercised;
        self.documented += other.documented;
    }

    /// Percent, rounded down; 100 of nothing.
    pub fn percent(self) -> u64 {
        match self.documented {
            0 => 100,
            documented => self.exercised * 100 / documented,
        }
    }
}

/// The coverage of documents by what was exercised of each of their operations.
pub(super) fn of(documents: &[Given], exercised: &BTreeMap<(usize, usize), Exercised<'_>>) -> Coverage {
    let nothing = Exercised::default();
    let mut coverage = Coverage::default();
    for (number, given) in documents.iter().enumerate() {
        for (at, operation) in given.document.operations.iter().enumerate() {
            let seen = exercised.get(&(number, at)).unwrap_or(&nothing);
            let each = operation_coverage(given, operation, seen);
            coverage.operations.add(Share {
                exercised: u64::from(each.hits > 0),
                documented: 1,
            });
            coverage.statuses.add(Share {
                exercised: each.statuses.len() as u64,
                documented: (each.statuses.len() + each.missing_statuses.len()) as u64,
            });
            coverage.fields.add(each.fields);
            coverage.each.push(each);
        }
    }
    coverage
}

fn operation_coverage(given: &Given, operation: &Operation, seen: &Exercised<'_>) -> OperationCoverage {
    let is_seen = |status: &&String| {
        let mut codes = seen.codes.iter();
        match status.as_str() {
            // What no other status describes.
            "default" => codes.any(|code| !describes(operation, code)),
            status if status.ends_with("XX") => {
                codes.any(|code| code.get(..1) == status.get(..1) && !operation.responses.contains_key(code))
            }
            status => seen.codes.contains(status),
        }
    };
    let (statuses, missing_statuses) = operation
        .responses
        .keys()
        .cloned()
        .partition(|code| is_seen(&code));
    let documented = fields(&given.document, operation);
    let observed: BTreeSet<String> = seen
        .operations
        .iter()
        .flat_map(|(document, operation)| fields(document, operation))
        .collect();
    let missing_fields: Vec<String> = documented.difference(&observed).cloned().collect();
    OperationCoverage {
        method: operation.method.clone(),
        path: operation.path.clone(),
        operation_id: operation.id.clone(),
        place: Place {
            document: given.name.clone(),
            pointer: operation.pointer.clone(),
            line: given.line_of(operation),
        },
        hits: seen.hits,
        statuses,
        missing_statuses,
        fields: Share {
            exercised: (documented.len() - missing_fields.len()) as u64,
            documented: documented.len() as u64,
        },
        missing_fields,
    }
}

fn describes(operation: &Operation, code: &str) -> bool {
    let class = code.get(..1).map(|digit| format!("{digit}XX"));
    operation.responses.contains_key(code)
        || class.is_some_and(|class| operation.responses.contains_key(&class))
}

/// The parameters, request fields and answer fields (by class of status) of an operation. Path parameters are seen with
/// the operation.
fn fields(document: &Document, operation: &Operation) -> BTreeSet<String> {
    use crate::openapi::read::Place as In;
    let mut found = BTreeSet::new();
    for parameter in operation
        .parameters
        .iter()
        .filter(|parameter| parameter.place == In::Query)
    {
        found.insert(format!("query.{}", parameter.name));
    }
    let mut add = |prefix: &str, media: &MediaType| {
        let mut paths = Vec::new();
        walk(document, &media.schema, prefix, 0, &mut paths);
        found.extend(paths);
    };
    for media in operation.body.iter().flat_map(|body| body.content.values()) {
        add("request $", media);
    }
    for (code, response) in &operation.responses {
        let class = code.chars().next().filter(char::is_ascii_digit).unwrap_or('2');
        for media in response.content.values() {
            add(&format!("response {class}XX $"), media);
        }
    }
    found
}

fn walk(document: &Document, schema: &Schema, path: &str, depth: usize, found: &mut Vec<String>) {
    let schema = document.resolve(schema);
    if depth > MAX_DEPTH || found.len() >= MAX_FIELDS {
        return;
    }
    for part in schema.all_of.iter().chain(&schema.any_of).chain(&schema.one_of) {
        walk(document, part, path, depth + 1, found);
    }
    if let Some(items) = &schema.items {
        walk(document, items, &format!("{path}[]"), depth + 1, found);
    }
    for (name, member) in &schema.properties {
        let path = format!("{path}.{name}");
        found.push(path.clone());
        walk(document, member, &path, depth + 1, found);
    }
}
