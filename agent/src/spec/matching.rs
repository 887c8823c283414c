//! Which operation of which document an endpoint is.
//!
//! In: documents, and the rows of endpoints. Out: for each endpoint the most specific operation whose method and path
//! fit, at any base path of its servers or, behind a proxy that takes the base path away, without one. A parameter of a
//! document takes any segment; a literal takes only itself.

use super::Given;
use crate::{inventory::EndpointView, openapi::read::Operation};

/// What documents say about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is described.
    Documented,
    /// It is described as deprecated.
    Zombie,
    /// It is not described.
    Shadow,
}

impl State {
    /// The name used in JSON and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Documented => "documented",
            State::Zombie => "zombie",
            State::Shadow => "shadow",
        }
    }
}

/// An operation of the documents: number of the document, number of the operation.
pub(super) type Found = (usize, usize);

/// Finds operations.
#[derive(Debug)]
pub struct Matcher {
    routes: Vec<Route>,
}

#[derive(Debug)]
struct Route {
    found: Found,
    method: String,
    segments: Vec<Segment>,
    host: Option<String>,
    is_deprecated: bool,
    /// Without its server's base path.
    is_bare: bool,
}

#[derive(Debug)]
enum Segment {
    Literal(String),
    /// What stands before the first `{` and behind the last `}`.
    Parameter(String, String),
}

impl Matcher {
    /// Of all operations of these documents.
    pub fn new(documents: &[Given]) -> Self {
        let mut routes = Vec::new();
        for (document, given) in documents.iter().enumerate() {
            for (number, operation) in given.document.operations.iter().enumerate() {
                let host = operation.servers.iter().find_map(|server| server.host.clone());
                let mut add = |path: &str, is_bare| {
                    routes.push(Route {
                        found: (document, number),
                        method: operation.method.clone(),
                        segments: segments(path),
                        host: host.clone(),
                        is_deprecated: operation.deprecated,
                        is_bare,
                    });
                };
                let full = operation.full_paths();
                full.iter().for_each(|path| add(path, false));
                if !full.contains(&operation.path) {
                    add(&operation.path, true);
                }
            }
        }
        Self { routes }
    }

    /// What documents say about an endpoint, and the operation that does. HEAD is described with GET, and OPTIONS with
    /// any method of the path.
    pub fn find(&self, view: &EndpointView) -> (State, Option<Found>) {
        let asked: Vec<&str> = view
            .template
            .split('/')
            .filter(|segment| !segment.is_empty())
            .collect();
        let fits = |route: &&Route| {
            let method = route.method == view.method
                || (view.method == "HEAD" && route.method == "GET")
                || view.method == "OPTIONS";
            method && fits(&route.segments, &asked)
        };
        let best = self.routes.iter().filter(fits).max_by_key(|route| {
            let literals = route
                .segments
                .iter()
                .filter(|segment| matches!(segment, Segment::Literal(_)));
            let is_host = route.host.as_ref().is_some_and(|host| view.hosts.contains(host));
            (
                route.method == view.method,
                !route.is_bare,
                literals.count(),
                is_host,
                std::cmp::Reverse(route.found),
            )
        });
        match best {
            None => (State::Shadow, None),
            Some(route) if route.is_deprecated => (State::Zombie, Some(route.found)),
            Some(route) => (State::Documented, Some(route.found)),
        }
    }

    /// Path templates of all operations, literals before parameters: what an inventory can be told in advance.
    pub fn templates(documents: &[Given]) -> Vec<String> {
        let operations = documents.iter().flat_map(|given| &given.document.operations);
        let mut templates: Vec<String> = operations.flat_map(Operation::full_paths).collect();
        templates.sort_by_key(|path| (path.matches('{').count(), path.clone()));
        templates.dedup();
        templates
    }
}

fn segments(path: &str) -> Vec<Segment> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| match (segment.find('{'), segment.rfind('}')) {
            (Some(start), Some(end)) if start < end => Segment::Parameter(
                segment.get(..start).unwrap_or_default().to_owned(),
                segment.get(end + 1..).unwrap_or_default().to_owned(),
            ),
            _ => Segment::Literal(segment.to_owned()),
        })
        .collect()
}

fn fits(segments: &[Segment], asked: &[&str]) -> bool {
    segments.len() == asked.len()
        && segments.iter().zip(asked).all(|(segment, asked)| match segment {
            Segment::Literal(text) => text == asked,
            Segment::Parameter(before, after) => {
                asked.contains('{') || (asked.starts_with(before.as_str()) && asked.ends_with(after.as_str()))
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Inventory, Limits, fixture::call};
    use crate::{
        clock::Timestamp,
        workload::{Workload, WorkloadKind},
    };
    use std::sync::Arc;

    fn view(method: &'static str, target: &str) -> EndpointView {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let mut inventory = Inventory::new(Limits::default());
        inventory.observe(&call(method, target).exchange(), &shop, None);
        inventory.endpoint_views(Timestamp(0)).remove(0)
    }

    #[test]
    fn the_most_specific_operation_counts() {
        let text = r#"{"openapi":"3.0.0","servers":[{"url":"https://x.test/v1"}],"paths":{
            "/users/{name}":{"get":{}},"/users/_debug":{"get":{"deprecated":true}},"/files/{name}.json":{"put":{}}}}"#;
        let documents = [Given::read("a", text.as_bytes()).expect("a document")];
        let matcher = Matcher::new(&documents);
        let found = |method, target: &str| {
            let (state, found) = matcher.find(&view(method, target));
            (
                state,
                found.map(|(_, operation)| documents[0].document.operations[operation].path.as_str()),
            )
        };
        assert_eq!(
            found("GET", "/v1/users/ann"),
            (State::Documented, Some("/users/{name}"))
        );
        assert_eq!(
            found("GET", "/v1/users/42"),
            (State::Documented, Some("/users/{name}"))
        );
        assert_eq!(found("HEAD", "/v1/users/42").0, State::Documented);
        assert_eq!(
            found("GET", "/v1/users/_debug"),
            (State::Zombie, Some("/users/_debug"))
        );
        // Behind a proxy that takes the base path away.
        assert_eq!(
            found("GET", "/users/ann"),
            (State::Documented, Some("/users/{name}"))
        );
        assert_eq!(found("PUT", "/v1/files/a.json").0, State::Documented);
        assert_eq!(found("PUT", "/v1/files/a.xml"), (State::Shadow, None));
        assert_eq!(found("POST", "/v1/users/ann"), (State::Shadow, None));
        assert_eq!(found("GET", "/v1/users/ann/orders"), (State::Shadow, None));
    }
}
