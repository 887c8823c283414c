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

/// An executable of Go's linker whose sections have these names, addresses and contents.
fn elf(sections: &[(&str, u64, &[u8])]) -> Vec<u8> {
    let mut names = b"\0.shstrtab\0".to_vec();
    let mut contents = Vec::new();
    let mut headers = vec![0; 64];
    let mut header = |name: usize, kind: u32, address: u64, offset: usize, bytes: usize| {
        let mut header = [0; 64];
        header[..4].copy_from_slice(&(name as u32).to_le_bytes());
        header[4..8].copy_from_slice(&kind.to_le_bytes());
        header[16..24].copy_from_slice(&address.to_le_bytes());
        header[24..32].copy_from_slice(&(offset as u64).to_le_bytes());
        header[32..40].copy_from_slice(&(bytes as u64).to_le_bytes());
        headers.extend(header);
    };
    for (name, address, content) in sections {
        header(names.len(), 1, *address, 64 + contents.len(), content.len());
        names.extend(name.bytes().chain([0]));
        contents.extend_from_slice(content);
    }
    header(1, 3, 0, 64 + contents.len(), names.len());
    contents.extend(names);
    let mut out = b"\x7fELF\x02\x01\x01".to_vec();
    out.resize(64, 0);
    out[16..20].copy_from_slice(&[2, 0, 62, 0]);
    out[20] = 1;
    out[40..48].copy_from_slice(&(64 + contents.len() as u64).to_le_bytes());
    out[52] = 64;
    out[58] = 64;
    out[60] = sections.len() as u8 + 2;
    out[62] = sections.len() as u8 + 1;
    [out, contents, headers].concat()
}

fn literals_of(bytes: &[u8]) -> Option<BTreeSet<String>> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    literals::of(&file)
}

#[test]
fn a_table_in_the_data_is_read() {
    let text = b"junk/users/{id}junk";
    let table = [0x1004_u64.to_le_bytes(), 11_u64.to_le_bytes()].concat();
    let executable = elf(&[
        (".go.buildinfo", 0, b""),
        (".rodata", 0x1000, text),
        (".data", 0x2000, &table),
    ]);
    let expected = BTreeSet::from(["/users/{id}".to_owned()]);
    assert_eq!(literals_of(&executable), Some(expected));
}

#[test]
fn addresses_at_the_end_of_all_are_no_harm() {
    // LEA RAX, [RIP + 1]; MOV EBX, 11: beyond the last address.
    let code = b"\x48\x8d\x05\x01\0\0\0\xbb\x0b\0\0\0";
    let table = [u64::MAX.to_le_bytes(), 11_u64.to_le_bytes()].concat();
    for address in [0, 5, u64::MAX - 20, u64::MAX] {
        let executable = elf(&[
            (".go.buildinfo", 0, b""),
            (".rodata", address, b"/users/{id}"),
            (".text", u64::MAX - 3, code),
            (".data", u64::MAX, &table),
        ]);
        assert!(
            literals_of(&executable).is_some_and(|found| found.len() <= 1),
            "{address}"
        );
    }
}

#[test]
fn stated_counts_are_not_believed() {
    let executable = elf(&[(".go.buildinfo", 0, b""), (".rodata", 0x1000, b"/users/{id}")]);
    assert!(literals_of(&executable).is_some());
    let mut file = tempfile::tempfile().unwrap();
    let mut hostile = executable.clone();
    // The count is too large for the header: the first section says it. The file is long enough, and holds nothing.
    let at = u64::from_le_bytes(hostile[40..48].try_into().unwrap()) as usize;
    hostile[60..62].fill(0);
    hostile[at + 32..at + 40].copy_from_slice(&(1_u64 << 23).to_le_bytes());
    std::io::Write::write_all(&mut file, &hostile).unwrap();
    file.set_len(MAX_EXECUTABLE_BYTES).unwrap();
    assert_eq!(literals::of(&file), None);
    for damaged in 0..executable.len() {
        let mut copy = executable.clone();
        copy[damaged] ^= 0xff;
        assert!(literals_of(&copy).is_none_or(|found| found.is_empty()));
        assert!(literals_of(&executable[..damaged]).is_none_or(|found| found.is_empty()));
    }
}
