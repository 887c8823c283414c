//! Literals of frameworks, code of Go's compiler, and a program that it builds.

use std::{fs, path::Path, process::Command};

use super::*;
use crate::harvest::{Cache, routes};

fn path(literal: &str) -> Option<(Option<String>, String)> {
    route::read(literal, ROUTER).map(|found| (found.method, found.path))
}

#[test]
fn routes_of_all_frameworks_are_read_alike() {
    for (literal, method, expected) in [
        ("/users/:id", None, "/users/{id}"),
        ("/users/{id}", None, "/users/{id}"),
        ("/users/{id:[0-9]+}/orders", None, "/users/{id}/orders"),
        ("/files/*path", None, "/files/{*path}"),
        ("/static/*", None, "/static/{*rest}"),
        ("GET /items/{id}", Some("GET"), "/items/{id}"),
        ("DELETE /files/{name...}", Some("DELETE"), "/files/{*name}"),
        ("POST /items", Some("POST"), "/items"),
        ("GET /{$}", Some("GET"), "/"),
    ] {
        let found = path(literal);
        assert_eq!(
            found,
            Some((method.map(str::to_owned), expected.to_owned())),
            "{literal}"
        );
    }
}

#[test]
fn other_literals_are_none() {
    for literal in [
        "/etc/resolv.conf",
        "/proc/self/exe",
        "/users/%d",
        "/users/{id",
        "users/{id}",
        "GET the value of {x}",
        "PUSH /x/{id}",
        "/a b/{id}",
        "/{a b}",
        "/::",
        "/*",
        "/:id",
        "/{any:.*}/x",
        "/",
    ] {
        assert_eq!(path(literal), None, "{literal}");
    }
    assert_eq!(path(&"/{a}".repeat(17)), None, "too deep");
}

#[test]
fn prefixes_say_that_they_are() {
    for prefix in ["/api", "/api/v1", "/v2", "/shop/api/v1/", "/rest"] {
        assert!(route::is_prefix(prefix), "{prefix}");
    }
    for other in [
        "/",
        "/etc/api.conf",
        "/var",
        "api",
        "/v",
        "/v123",
        "/v2/keys",
        "/a/b/c/api",
        "/api//v1",
    ] {
        assert!(!route::is_prefix(other), "{other}");
    }
}

/// A program that registers at a router of its own: names of functions are not looked at.
const PROGRAM: &str = r#"package main

import (
	"net/http"
	"os"
)

type route struct {
	method, pattern string
}

var table = []route{{"GET", "/tables/{tableId}/rows"}, {"PUT", "/tables/{tableId}"}}

type router struct{ seen map[string]http.HandlerFunc }

//go:noinline
func (r *router) GET(pattern string, handler http.HandlerFunc) { r.seen[pattern] = handler }

//go:noinline
func (r *router) on(method, pattern string, handlers ...http.HandlerFunc) {
	r.seen[method+pattern] = handlers[0]
}

func main() {
	r := &router{map[string]http.HandlerFunc{}}
	handler := func(w http.ResponseWriter, q *http.Request) { w.Write([]byte(q.URL.Path)) }
	r.GET("/users/:userId", handler)
	r.GET("/users/:userId/orders/:orderId", handler)
	r.on("POST", "/files/*name", handler)
	http.HandleFunc("GET /things/{thing}", handler)
	for _, entry := range table {
		r.on(entry.method, entry.pattern, handler)
	}
	r.GET("/api/v1", handler)
	http.ListenAndServe(os.Args[1], nil)
}
"#;

#[test]
fn a_stripped_program_tells_its_routes() {
    let directory = tempfile::TempDir::new().unwrap();
    let source = directory.path().join("main.go");
    fs::write(&source, PROGRAM).unwrap();
    let build = Command::new("go")
        .args(["build", "-ldflags", "-s -w", "-o", "shop", "main.go"])
        .current_dir(directory.path())
        .env("GOCACHE", directory.path().join("cache"))
        .env("GO111MODULE", "off")
        .output();
    let Ok(build) = build else {
        assert!(std::env::var_os("CI").is_none(), "Go is not installed");
        println!("skipped: Go is not installed: run `cargo xtask setup --for test`");
        return;
    };
    assert!(build.status.success(), "{build:?}");
    let program = fs::File::open(directory.path().join("shop")).unwrap();
    let findings = executable(&program, 0);
    let mut paths: Vec<_> = findings.routes.iter().map(|found| found.path.as_str()).collect();
    paths.retain(|path| !path.starts_with("/debug"));
    assert_eq!(
        paths,
        [
            "/files/{*name}",
            "/tables/{tableId}",
            "/tables/{tableId}/rows",
            "/users/{userId}",
            "/users/{userId}/orders/{orderId}",
            "/things/{thing}",
        ]
    );
    let mounts: Vec<_> = findings.mounts.iter().map(|mount| mount.path.as_str()).collect();
    assert_eq!(mounts, ["/api/v1"]);

    // The same of a process.
    let mut running = Command::new(directory.path().join("shop"))
        .arg("127.0.0.1:0")
        .spawn()
        .unwrap();
    let table = routes(Path::new("/proc"), running.id(), &mut Cache::default());
    running.kill().unwrap();
    running.wait().unwrap();
    for (path, template) in [
        ("/users/7", Some("/users/{userId}")),
        ("/users/7/orders/ab-1", Some("/users/{userId}/orders/{orderId}")),
        ("/api/v1/tables/x/rows", Some("/api/v1/tables/{tableId}/rows")),
        ("/elsewhere/7", None),
    ] {
        let found = table
            .template("GET", path)
            .map(|template| template.text.to_string());
        assert_eq!(found.as_deref(), template, "{path}");
    }
}

#[test]
fn other_files_tell_nothing() {
    let own = std::env::current_exe().unwrap();
    assert_eq!(executable(&fs::File::open(own).unwrap(), 0), Findings::default());
    let directory = tempfile::TempDir::new().unwrap();
    for (name, bytes) in [
        ("empty", &b""[..]),
        ("short", b"\x7fELF\x02\x01"),
        ("text", b"#!/bin/sh\n"),
    ] {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        assert_eq!(
            executable(&fs::File::open(path).unwrap(), 0),
            Findings::default(),
            "{name}"
        );
    }
}
