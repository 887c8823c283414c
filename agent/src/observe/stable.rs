//! Takes out of an exported document what changes from run to run, so that two runs of one test suite give one text.
//!
//! Counts and times go: suites wait for their servers by asking until they answer. Ports of this host go: servers under
//! test take any that is free.

use serde_json::{Map, Value, json};

use crate::openapi::Specification;

/// Nesting that is looked at: that of documents made here.
const MAX_DEPTH: usize = 64;

/// Members of `x-apiarist` that say what was served, not how often and when.
const KEPT: [&str; 4] = ["kind", "exposure", "auth", "sensitive"];

/// The same document without what changes.
pub(super) fn specification(mut specification: Specification) -> Specification {
    clean(&mut specification.document, 0);
    if let Some(Value::Array(servers)) = specification.document.get_mut("servers") {
        servers.retain(|server| {
            let url = server.get("url").and_then(Value::as_str).unwrap_or_default();
            !is_local(url)
        });
        if servers.is_empty() {
            servers.push(json!({ "url": "/" }));
        }
    }
    specification
}

fn is_local(url: &str) -> bool {
    let host = url
        .split("//")
        .nth(1)
        .unwrap_or(url)
        .split('/')
        .next()
        .unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost" || name == "[::1]" || name.starts_with("127.")
}

fn clean(value: &mut Value, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match value {
        Value::Object(members) => {
            members.remove("x-apiarist-count");
            if let Some(Value::Object(told)) = members.get_mut("x-apiarist") {
                *told = kept(told);
            }
            members.values_mut().for_each(|member| clean(member, depth + 1));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(item, depth + 1)),
        _ => {}
    }
}

fn kept(told: &Map<String, Value>) -> Map<String, Value> {
    let mut kept = Map::new();
    for name in KEPT {
        if let Some(value) = told.get(name) {
            kept.insert(name.to_owned(), value.clone());
        }
    }
    if let Some(Value::Object(auth)) = kept.get_mut("auth") {
        auth.remove("rates");
    }
    if let Some(Value::Array(fields)) = kept.get_mut("sensitive") {
        for field in fields.iter_mut().filter_map(Value::as_object_mut) {
            field.remove("count");
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_taken_out() {
        let document = |port: u16, hits: u32| {
            specification(Specification {
                workload: "shop".into(),
                workload_id: "1".into(),
                document: json!({
                    "servers": [{"url": format!("//127.0.0.1:{port}")}, {"url": "//api.test"}],
                    "paths": {"/a": {"get": {"responses": {"2XX": {"x-apiarist-count": hits}},
                        "x-apiarist": {"kind": "rest", "hits": hits, "first_seen": hits,
                            "auth": {"verdict": "missing", "rates": {"none": hits}},
                            "sensitive": [{"type": "email", "count": hits}]}}}},
                }),
            })
        };
        assert_eq!(document(1, 1), document(2, 2));
        let document = document(1, 1).document;
        assert_eq!(document["servers"], json!([{"url": "//api.test"}]));
        assert_eq!(
            document["paths"]["/a"]["get"]["x-apiarist"]["sensitive"][0]["type"],
            "email"
        );
    }
}
