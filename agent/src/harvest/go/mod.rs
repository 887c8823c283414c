//! Routes of Go programs: the literals in their executables, stripped or not.
//!
//! In: an executable. Out: [`Findings`]. What a program registers is written in its code as a string; [`literals`] finds the
//! strings, [`route`] those that read like a route of `net/http`, chi, gin, echo, gorilla or fiber. Which function a string is
//! given to is not looked at: a template of a client is taken for a route, which no request takes. Paths that are put
//! together at run time are not known, but for those below a prefix that says that it is an API's or a version's.

mod headers;
mod literals;
mod route;

use std::{collections::BTreeSet, fs::File};

use super::{Findings, Mount};

/// Largest executable. Overflow policy: passed over.
pub(super) const MAX_EXECUTABLE_BYTES: u64 = 1 << 30;

/// Routes of one program. Overflow policy: the first by name.
const MAX_ROUTES: usize = 4096;

/// Prefixes of one program. Overflow policy: the first by name.
const MAX_PREFIXES: usize = 16;

/// The variable that all routes are taken to be registered with: any router but the application itself.
const ROUTER: &str = "a router";

/// The routes of an executable; none if Go's linker did not make it.
pub(super) fn executable(file: &File, _bytes: u64) -> Findings {
    let mut findings = Findings::default();
    let literals = literals::of(file).unwrap_or_default();
    for literal in &literals {
        if findings.routes.len() < MAX_ROUTES {
            findings.routes.extend(route::read(literal, ROUTER));
        }
    }
    if findings.routes.is_empty() {
        return findings;
    }
    let prefixes: BTreeSet<&str> = literals
        .iter()
        .filter(|literal| route::is_prefix(literal))
        .map(|literal| literal.trim_end_matches('/'))
        .collect();
    findings.mounts = prefixes
        .into_iter()
        .take(MAX_PREFIXES)
        .map(|prefix| Mount {
            router: "a group".to_owned(),
            path: prefix.to_owned(),
        })
        .collect();
    findings
}

#[cfg(test)]
mod tests;
