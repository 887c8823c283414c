//! VAmPI, a deliberately vulnerable API, by the document that it comes with: which operations nobody documented, which
//! nobody exercised, and which endpoint is the worst. Its answers are those that its code gives.
//!
//! The document is no part of the project: without it the test says so and passes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may be blunt"
)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

fn document() -> Option<PathBuf> {
    let directory = env::var_os("APIARIST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    Some(directory.join("vampi-openapi3.yml")).filter(|path| path.is_file())
}

/// Who calls: from the internet, with the token of a user if there is one.
fn call(method: &str, target: &str, token: bool, status: u16, answer: &Value) -> String {
    let mut headers = vec![["accept", "application/json"]];
    if token {
        headers.push([
            "authorization",
            "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJuYW1lMSIsImV4cCI6NDEwMjQ0NDgwMH0.c2ln",
        ]);
    }
    let line = json!({"workload": "vampi", "client": "203.0.113.9:50000", "method": method, "target": target,
        "host": "vampi.example.test", "status": status, "request": {"headers": headers},
        "response": {"headers": [["content-type", "application/json"]], "body": answer.to_string()}});
    format!("{line}\n")
}

fn traffic() -> String {
    let users = json!({"users": [{"email": "name1@mail.com", "username": "name1"}, {"email": "name2@mail.com", "username": "name2"}]});
    let leak = json!({"users": [
        {"admin": false, "email": "name1@mail.com", "password": "pass1-Secret", "username": "name1"},
        {"admin": true, "email": "admin@mail.com", "password": "pass2-Secret", "username": "admin"}]});
    let books = json!({"Books": [{"book_title": "bookTitle77", "user": "name1"}]});
    let book = json!({"book_title": "bookTitle77", "owner": "name1", "secret": "secret for bookTitle77"});
    let mut lines = String::new();
    for number in 0..20 {
        lines += &call("GET", "/users/v1", false, 200, &users);
        lines += &call("GET", "/users/v1/_debug", false, 200, &leak);
        lines += &call("GET", "/books/v1", false, 200, &books);
        lines += &call("GET", &format!("/books/v1/bookTitle{number}"), true, 200, &book);
        lines += &call(
            "GET",
            &format!("/users/v1/name{number}"),
            false,
            200,
            &users["users"][0],
        );
        lines += &call(
            "GET",
            "/me",
            true,
            200,
            &json!({"data": {"username": "name1"}, "status": "success"}),
        );
    }
    // The framework serves its console and its document beside: nobody wrote these down.
    for target in ["/ui/", "/openapi.json"] {
        for _ in 0..5 {
            lines += &call("GET", target, false, 200, &json!({"openapi": "3.0.1"}));
        }
    }
    lines
}

/// The output of a command on the store.
fn apiarist(directory: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_apiarist"))
        .args(arguments)
        .args(["--store", "store", "-o", "json"])
        .current_dir(directory)
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
fn what_is_undocumented_unexercised_and_worst_is_named() {
    let Some(document) = document() else {
        println!("skipped: vampi-openapi3.yml is not there (set APIARIST_DATA)");
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("vampi.jsonl"), traffic()).unwrap();
    let replayed = Command::new(env!("CARGO_BIN_EXE_apiarist"))
        .args(["replay", "vampi.jsonl", "--store", "store"])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(replayed.status.success(), "{replayed:?}");

    let result = apiarist(directory, &["spec", "diff", document.to_str().unwrap()]);
    let named = |rule: &str| -> Vec<String> {
        let issues = result["issues"].as_array().unwrap().iter();
        let mut named: Vec<String> = issues
            .filter(|issue| issue["rule"] == rule)
            .map(|issue| issue["endpoint"].as_str().unwrap_or_default().to_owned())
            .collect();
        named.sort();
        named
    };
    assert_eq!(
        named("shadow_endpoint"),
        ["GET /openapi.json", "GET /ui"],
        "{result:#}"
    );
    assert_eq!(
        named("orphan_operation"),
        [
            "DELETE /users/v1/{username}",
            "GET /",
            "GET /createdb",
            "POST /books/v1",
            "POST /users/v1/login",
            "POST /users/v1/register",
            "PUT /users/v1/{username}/email",
            "PUT /users/v1/{username}/password",
        ],
        "{result:#}"
    );

    // Exposed, without a credential, and full of passwords: nothing scores as high.
    let risks = apiarist(directory, &["risks"]);
    assert_eq!(risks[0]["endpoint_name"], "GET /users/v1/_debug", "{risks:#}");
    let factors = risks[0]["factors"].as_array().unwrap();
    assert!(
        factors
            .iter()
            .any(|factor| factor["factor"] == "exposed_sensitive_response"),
        "{risks:#}"
    );
    let of_endpoints = risks
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| !row["endpoint"].is_null());
    let scores: Vec<f64> = of_endpoints.map(|row| row["score"].as_f64().unwrap()).collect();
    assert!(scores[0] > scores[1], "{scores:?}");
}
