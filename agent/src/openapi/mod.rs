//! OpenAPI 3.1 documents of what was observed.
//!
//! In: endpoints with their schemas. Out: one document per workload, which other tools can validate and read.
//! What OpenAPI has no word for stands in `x-apiarist` members. Says nothing that was not seen: a member is required
//! when every object that was seen whole had it, and what follows from too little is left out.

mod operation;
pub mod read;
pub mod routes;
mod schema;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::inventory::{Endpoint, EndpointView};

/// Servers of one document. Overflow policy: the most frequent ones.
const MAX_SERVERS: usize = 8;

/// The document of one workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Specification {
    /// Name of the workload.
    pub workload: String,
    /// Id of the workload.
    pub workload_id: String,
    /// The OpenAPI document.
    pub document: Value,
}

/// Methods that a path item has a member for.
const METHODS: &[&str] = &[
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// The documents of all workloads, by name. `endpoints` are in the order of the rows.
pub fn export<'a>(endpoints: impl IntoIterator<Item = (&'a Endpoint, EndpointView)>) -> Vec<Specification> {
    let mut workloads: BTreeMap<(String, String), Vec<(&Endpoint, EndpointView)>> = BTreeMap::new();
    for (endpoint, view) in endpoints {
        let key = (view.workload.clone(), view.workload_id.clone());
        workloads.entry(key).or_default().push((endpoint, view));
    }
    workloads
        .into_iter()
        .map(|((workload, workload_id), endpoints)| Specification {
            document: document(&workload, &endpoints),
            workload,
            workload_id,
        })
        .collect()
}

fn document(workload: &str, endpoints: &[(&Endpoint, EndpointView)]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut schemes: BTreeMap<&'static str, Value> = BTreeMap::new();
    let mut names = operation::Names::default();
    for (endpoint, view) in endpoints {
        let method = endpoint.method.to_ascii_lowercase();
        let has_place = endpoint.template.starts_with('/') && !endpoint.template.contains("{*");
        if !has_place || !METHODS.contains(&method.as_str()) {
            continue;
        }
        let item = paths.entry(&*endpoint.template).or_default();
        // One member for all operations that protocols tell apart at one path.
        match item.get_mut(&method) {
            Some(known) => operation::add_name(known, view),
            None => {
                let described = operation::describe(endpoint, view, &mut names);
                item.insert(method, described);
            }
        }
        schemes.extend(operation::schemes(view));
    }
    let paths: Map<String, Value> = paths
        .into_iter()
        .map(|(path, item)| (path.to_owned(), Value::Object(item)))
        .collect();
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": workload,
            "version": "observed",
            "description": "Made by Apiarist from observed traffic.",
        },
        "servers": servers(endpoints),
        "paths": paths,
    });
    if !schemes.is_empty()
        && let Some(members) = document.as_object_mut()
    {
        members.insert("components".into(), json!({ "securitySchemes": schemes }));
    }
    document
}

/// The hosts that clients asked for, the most frequent first.
fn servers(endpoints: &[(&Endpoint, EndpointView)]) -> Vec<Value> {
    let mut hosts: BTreeMap<&str, u64> = BTreeMap::new();
    for (endpoint, _) in endpoints {
        for (host, count) in endpoint.traffic.hosts.iter() {
            *hosts.entry(host).or_default() += count;
        }
    }
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by_key(|(host, count)| (std::cmp::Reverse(*count), *host));
    let servers: Vec<Value> = hosts
        .into_iter()
        .take(MAX_SERVERS)
        // Whether TLS is spoken in front is not known here: relative to the scheme.
        .map(|(host, _)| json!({ "url": format!("//{host}") }))
        .collect();
    if servers.is_empty() {
        vec![json!({ "url": "/" })]
    } else {
        servers
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Timestamp,
        inventory::{
            Inventory, Limits,
            fixture::{Call, call},
        },
        workload::{Workload, WorkloadKind},
    };

    fn exported(calls: &[Call]) -> Vec<Specification> {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let mut inventory = Inventory::new(Limits::default());
        for call in calls {
            inventory.observe(&call.clone().exchange(), &shop, None);
        }
        inventory.settle();
        inventory.specifications(Timestamp::from_secs_f64(1_700_100_000.0))
    }

    #[test]
    fn a_document_says_what_was_seen() {
        let user = r#"{"id":1,"mail":"ann@example.test","tags":["a"],"note":null}"#;
        let mut calls: Vec<Call> = (0..24)
            .map(|id| {
                call("GET", &format!("/users/{id}?full=1"))
                    .answer(user)
                    .credential("bearer_jwt")
            })
            .collect();
        calls.push(call("GET", "/users/7").status(404).answer(r#"{"error":"gone"}"#));
        calls.push(call("PURGE", "/users/7"));
        let documents = exported(&calls);
        let document = &documents[0].document;
        let get = |pointer: &str| document.pointer(pointer).cloned().unwrap_or_default();
        let operation = "/paths/~1users~1{userId}/get";
        let schema = format!("{operation}/responses/2XX/content/application~1json/schema");
        assert_eq!(get("/openapi"), "3.1.0");
        assert_eq!(get("/servers/0/url"), "//api.test");
        assert_eq!(get(&format!("{operation}/parameters/0/name")), "userId");
        assert_eq!(get(&format!("{operation}/parameters/1/in")), "query");
        assert_eq!(
            get(&format!("{schema}/required")),
            json!(["id", "mail", "note", "tags"])
        );
        assert_eq!(get(&format!("{schema}/properties/tags/items/type")), "string");
        assert_eq!(
            get(&format!("{schema}/properties/mail/x-apiarist-sensitive")),
            json!(["email"])
        );
        assert_eq!(get(&format!("{operation}/security")), json!([{"bearer_jwt": []}]));
        assert_eq!(get("/components/securitySchemes/bearer_jwt/bearerFormat"), "JWT");
        assert!(
            document
                .pointer(&format!("{operation}/responses/4XX/content"))
                .is_some()
        );
        assert!(document.pointer("/paths/~1users~1{userId}/purge").is_none());
    }

    #[test]
    fn operations_at_one_path_share_a_member() {
        let soap = |action: &str| call("POST", "/soap").field("soapaction", action);
        let documents = exported(&[soap("\"A\""), soap("\"B\"")]);
        assert_eq!(
            documents[0]
                .document
                .pointer("/paths/~1soap/post/x-apiarist-operations"),
            Some(&json!(["A", "B"]))
        );
    }
}
