//! Results of a check in the forms that other programs read: SARIF, JUnit, Markdown.
//!
//! In: a [`Report`]. Out: text. What fails is decided by the caller's [`Gate`] and written into each form
//! in its own way, so that a pipeline shows the same result whichever it reads. Deterministic: no time, no path of this
//! machine but the names of documents.

mod junit;
mod markdown;
mod sarif;

use std::collections::BTreeMap;

pub use junit::junit;
pub use markdown::markdown;
pub use sarif::sarif;

use super::{Gate, Issue};

/// What a check looked at and found.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// Name of the check: `spec diff`.
    pub check: &'a str,
    /// Everything that was looked at, by name; an issue belongs to the one with its endpoint's name.
    pub cases: &'a [String],
    /// What was found.
    pub issues: &'a [Issue],
    /// What fails.
    pub gate: &'a Gate,
}

impl<'a> Report<'a> {
    /// Whether the check failed.
    pub fn failed(&self) -> bool {
        self.issues.iter().any(|issue| self.gate.fails(issue))
    }

    /// All cases with their issues, in order of name; those without a case have one of their own.
    fn by_case(&self) -> BTreeMap<&'a str, Vec<&'a Issue>> {
        let mut cases: BTreeMap<&str, Vec<&Issue>> = self
            .cases
            .iter()
            .map(|case| (case.as_str(), Vec::new()))
            .collect();
        for issue in self.issues {
            let name = match issue.endpoint.as_str() {
                "" => "document",
                name => name,
            };
            cases.entry(name).or_default().push(issue);
        }
        cases
    }
}

#[cfg(test)]
mod tests;
