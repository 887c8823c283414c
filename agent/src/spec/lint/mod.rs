//! What is wrong with a document itself, before anything is observed.
//!
//! In: a document as given. Out: [`Issue`]s about its operations, its servers and its examples. Looks at what bears on
//! security alone; whether a document is well-formed is for validators.

mod inputs;
mod responses;
mod secrets;
mod security;
mod servers;

use std::borrow::Cow;

use super::{Given, Issue, Place};
use crate::{openapi::read::Operation, verdict::Severity};

/// Issues of one document. Overflow policy: the first so many.
const MAX_ISSUES: usize = 10_000;

/// Names of all rules.
pub const RULES: [&str; 12] = [
    "no_security",
    "unknown_security_scheme",
    "credentials_in_query",
    "basic_authentication",
    "insecure_server",
    "unbounded_input",
    "arbitrary_members",
    "no_error_response",
    "no_unauthorized_response",
    "no_limit_response",
    "secret_in_example",
    "not_understood",
];

/// Checks a document.
pub fn lint(given: &Given) -> Vec<Issue> {
    let mut checked = Checked {
        given,
        issues: Vec::new(),
    };
    servers::check(&mut checked);
    security::check_schemes(&mut checked);
    for operation in &given.document.operations {
        security::check(&mut checked, operation);
        inputs::check(&mut checked, operation);
        responses::check(&mut checked, operation);
    }
    secrets::check(&mut checked);
    for problem in &given.document.problems {
        checked.document(
            "not_understood",
            Severity::Low,
            &problem.pointer,
            problem.text.clone(),
            "Correct it: tools that read the document leave it out.",
        );
    }
    let mut issues = checked.issues;
    issues.sort_by_key(|issue| (std::cmp::Reverse(issue.severity), issue.place.clone()));
    issues
}

/// A document under check, and what was found.
struct Checked<'a> {
    given: &'a Given,
    issues: Vec<Issue>,
}

impl Checked<'_> {
    /// An issue about an operation.
    fn operation(
        &mut self,
        rule: &'static str,
        severity: Severity,
        operation: &Operation,
        text: String,
        advice: &'static str,
    ) {
        let place = Place {
            document: self.given.name.clone(),
            pointer: operation.pointer.clone(),
            line: self.given.line_of(operation),
        };
        self.add(Issue {
            rule: Cow::Borrowed(rule),
            severity,
            endpoint: format!("{} {}", operation.method, operation.path),
            workload: None,
            text,
            advice: Cow::Borrowed(advice),
            place: Some(place),
        });
    }

    /// An issue about another place of the document.
    fn document(
        &mut self,
        rule: &'static str,
        severity: Severity,
        pointer: &str,
        text: String,
        advice: &'static str,
    ) {
        self.add(Issue {
            rule: Cow::Borrowed(rule),
            severity,
            endpoint: String::new(),
            workload: None,
            text: match pointer {
                "" => text,
                pointer => format!("{pointer}: {text}"),
            },
            advice: Cow::Borrowed(advice),
            place: Some(Place {
                document: self.given.name.clone(),
                pointer: pointer.to_owned(),
                line: 1,
            }),
        });
    }

    fn add(&mut self, issue: Issue) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(issue);
        }
    }
}

#[cfg(test)]
mod tests;
