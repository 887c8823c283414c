//! Documents of all versions against traffic.

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

const USERS: &str = r##"
openapi: 3.0.3
info: {title: Users, version: "1"}
servers: [{url: https://api.test/v1}]
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
  schemas:
    User:
      type: object
      required: [id, name]
      properties:
        id: {type: integer}
        name: {type: string}
        email: {type: string, nullable: true}
        tags: {type: array, items: {type: string}}
        address: {$ref: '#/components/schemas/Address'}
        extra: {type: object}
    Address: {type: object, properties: {city: {type: string}}}
paths:
  /users/{id}:
    get:
      security: [{token: []}]
      parameters:
        - {name: id, in: path, required: true, schema: {type: integer}}
        - {name: full, in: query, schema: {type: boolean}}
        - {name: page, in: query, schema: {type: integer}}
      responses:
        '200': {description: ok, content: {application/json: {schema: {$ref: '#/components/schemas/User'}}}}
        '404': {description: gone}
    delete:
      deprecated: true
      responses: {'204': {description: done}}
  /users:
    get:
      responses: {'200': {description: ok}}
"##;

fn compared(documents: &[&str], calls: &[Call]) -> Diff {
    let given: Vec<Given> = documents
        .iter()
        .enumerate()
        .map(|(at, text)| Given::read(format!("{at}.yml"), text.as_bytes()).expect("a document"))
        .collect();
    let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let mut inventory = Inventory::new(Limits::default());
    for call in calls {
        inventory.observe(&call.clone().exchange(), &shop, None);
    }
    inventory.settle();
    let now = Timestamp::from_secs_f64(1_700_000_100.0);
    diff(
        &given,
        &inventory.endpoint_views(now),
        &inventory.specifications(now),
    )
}

fn user(id: u32, answer: &str) -> Call {
    call("GET", &format!("/v1/users/{id}"))
        .credential("bearer")
        .answer(answer)
}

/// Rules and texts of what is to be looked at, orphans aside.
fn issues(diff: &Diff) -> Vec<(&str, &str)> {
    diff.issues
        .iter()
        .filter(|issue| issue.rule != "orphan_operation")
        .map(|issue| (issue.rule.as_ref(), issue.text.as_str()))
        .collect()
}

#[test]
fn what_fits_is_no_issue_even_without_optional_parts() {
    // Optional parameters, optional fields, empty lists, free-form objects, null where it is allowed.
    let calls = [
        user(1, r#"{"id":1,"name":"a"}"#),
        user(
            2,
            r#"{"id":2,"name":"b","email":null,"tags":[],"extra":{"any":[1]}}"#,
        ),
        user(
            3,
            r#"{"id":3,"name":"c","email":"c@x.test","tags":["t"],"address":{"city":"W"}}"#,
        ),
        call("GET", "/v1/users/3?full=true").credential("bearer"),
        call("GET", "/v1/users/9").credential("bearer").status(404),
        call("HEAD", "/v1/users/3").credential("bearer"),
        call("OPTIONS", "/v1/users/3"),
        call("GET", "/v1/users").answer(r#"[{"anything":true}]"#),
    ];
    let diff = compared(&[USERS], &calls);
    assert_eq!(issues(&diff), []);
    assert_eq!(
        diff.counts,
        Counts {
            documented: 4,
            orphan: 1,
            ..Counts::default()
        }
    );
}

#[test]
fn each_kind_of_drift() {
    let calls = [
        user(
            1,
            r#"{"id":"x","name":null,"role":"admin","tags":[1],"address":{"zip":"1"}}"#,
        ),
        user(1, r#"{"id":"x","role":"admin"}"#),
        call("GET", "/v1/users/1?verbose=1&page=first").credential("bearer"),
        call("GET", "/v1/users/1").credential("bearer").status(202),
        call("GET", "/v1/users/1").credential("bearer").status(500),
        call("GET", "/v1/users/1"),
    ];
    let found = compared(&[USERS], &calls);
    let mut issues: Vec<String> = issues(&found)
        .into_iter()
        .map(|(rule, text)| format!("{rule}: {text}"))
        .collect();
    issues.sort();
    assert_eq!(
        issues,
        [
            "required_field_absent: response 2XX $.name: the field is required, and was absent",
            "security_not_enforced: documented with security, and 20 % of the requests answered with 2xx carried no credential",
            "type_mismatch: query.page: documented as integer, text was accepted",
            "type_mismatch: response 2XX $.id: documented as integer, string was seen",
            "type_mismatch: response 2XX $.tags[]: documented as string, integer was seen",
            "undocumented_field: response 2XX $.address.zip: the field is not documented",
            "undocumented_field: response 2XX $.role: the field is not documented",
            "undocumented_null: response 2XX $.name: documented as string, null was seen",
            "undocumented_parameter: query.verbose: the query parameter is used and not documented",
            "undocumented_status: answered with 202, which is not documented",
            "undocumented_status: answered with 500, which is not documented",
        ]
    );
    assert_eq!(found.counts.drift, 11);
    assert!(
        found
            .issues
            .iter()
            .all(|issue| RULES.contains(&issue.rule.as_ref()))
    );
}

#[test]
fn undocumented_deprecated_and_never_asked_for() {
    let calls = [
        call("GET", "/v1/users/_debug").answer("{}"),
        call("DELETE", "/v1/users/1").status(204),
    ];
    let other =
        r#"{"swagger":"2.0","host":"api.test","basePath":"/v1","paths":{"/users/_debug":{"post":{}}}}"#;
    let diff = compared(&[USERS, other], &calls);
    // The debug endpoint fits the template of another operation, which is all that documents say of it.
    assert_eq!(diff.counts.zombie, 1);
    let orphans: Vec<&str> = diff
        .issues
        .iter()
        .filter(|issue| issue.rule == "orphan_operation")
        .map(|issue| issue.endpoint.as_str())
        .collect();
    assert_eq!(orphans, ["GET /users", "POST /users/_debug"]);
    let shadow = compared(&[USERS], &[call("GET", "/v1/admin").answer("{}")]);
    assert_eq!(issues(&shadow)[0].0, "shadow_endpoint");
}

#[test]
fn coverage_names_what_was_not_exercised() {
    let calls = [
        user(1, r#"{"id":1,"name":"a"}"#),
        call("GET", "/v1/users/1?full=1").credential("bearer"),
    ];
    let coverage = compared(&[USERS], &calls).coverage;
    assert_eq!(
        (coverage.operations.exercised, coverage.operations.documented),
        (1, 3)
    );
    assert_eq!(
        (coverage.statuses.exercised, coverage.statuses.documented),
        (1, 4)
    );
    let get = &coverage.each[0];
    assert_eq!((get.hits, get.place.line), (2, 21));
    assert_eq!(
        (get.statuses.as_slice(), get.missing_statuses.as_slice()),
        (&["200".to_owned()][..], &["404".to_owned()][..])
    );
    assert_eq!(
        get.missing_fields,
        [
            "query.page",
            "response 2XX $.address",
            "response 2XX $.address.city",
            "response 2XX $.email",
            "response 2XX $.extra",
            "response 2XX $.tags"
        ]
    );
    assert_eq!((get.fields.exercised, get.fields.documented), (3, 9));
}

#[test]
fn several_documents_and_versions() {
    let swagger = r#"{"swagger":"2.0","host":"a.test","basePath":"/a","paths":{"/x":{"get":{"responses":{"200":{"description":"o",
        "schema":{"type":"object","properties":{"n":{"type":"number"}}}}}}}}}"#;
    let modern = "openapi: 3.1.0\npaths:\n  /b/x:\n    get:\n      responses:\n        '200':\n          content:\n            application/json:\n              schema: {type: object, properties: {n: {type: [string, 'null']}}, additionalProperties: true}\n";
    let calls = [
        call("GET", "/a/x").answer(r#"{"n":1}"#),
        call("GET", "/b/x").answer(r#"{"n":null,"more":1}"#),
    ];
    let diff = compared(&[swagger, modern], &calls);
    assert_eq!(issues(&diff), []);
    let documents: Vec<_> = diff
        .endpoints
        .iter()
        .filter_map(|row| row.place.as_ref())
        .map(|place| place.document.as_str())
        .collect();
    assert_eq!(documents, ["0.yml", "1.yml"]);
}
