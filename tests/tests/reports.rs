//! SARIF and JUnit of `spec diff` and `spec lint`, judged by the schemas of these formats.
//!
//! What `observe` leaves is judged by the same schemas, among the live tests. A schema that cannot be had is named, and
//! the test passes; in CI it fails.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Output},
};

use apiarist_tests::{live::binary, python::environment, schemas};

/// What a schema may stumble over: names with markup, control characters and more than ASCII, many endpoints, none of
/// them documented.
const EXCHANGES: &str = r#"
{"method":"GET","target":"/v1/users/1","workload":"shop","status":200,"response":{"headers":[["content-type","application/json"]],"body":"{\"id\":\"x\",\"role\":1}"}}
{"method":"GET","target":"/v1/<b>&\"'é\u0007%00","workload":"shop","status":200}
{"method":"DELETE","target":"/v1/users/1","workload":"shop","status":204}
{"method":"PATCH","target":"/v1/]]>/x","workload":"shop","status":500}
"#;

const DOCUMENT: &str = r#"
openapi: 3.0.3
info: {title: "<Users> & more", version: "1"}
servers: [{url: http://api.example.test/v1}]
paths:
  /users/{id}:
    get:
      parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
      responses:
        '200':
          description: ok
          content: {application/json: {schema: {type: object, required: [name], properties: {id: {type: integer}, name: {type: string}}}}}
    delete: {deprecated: true, responses: {'204': {description: done}}}
  /nobody/asks: {get: {responses: {'200': {description: "]]>"}}}}
"#;

/// A document in which nothing is wrong.
const EMPTY: &str = r#"{"openapi":"3.1.0","info":{"title":"none","version":"1"},"paths":{}}"#;

fn apiarist(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(binary::apiarist().unwrap())
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn skip(why: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{why}");
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "skipped: {why}").ok();
}

#[test]
fn sarif_and_junit_fit_their_schemas() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let judges = schemas::fetch(target)
        .and_then(|schemas| Ok((schemas, environment(target, "reports", &["jsonschema", "lxml"])?)));
    let (schemas, programs) = match judges {
        Ok(judges) => judges,
        Err(error) => return skip(&format!("{error:#}")),
    };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    fs::write(directory.join("traffic.jsonl"), EXCHANGES).unwrap();
    // A name that is no reference to a URI as it stands.
    fs::write(directory.join("a document.yml"), DOCUMENT).unwrap();
    fs::write(directory.join("empty.json"), EMPTY).unwrap();
    let replayed = apiarist(directory, &["replay", "traffic.jsonl", "--store", "store"]);
    assert!(replayed.status.success(), "{replayed:?}");
    let mut reports = Vec::new();
    for (name, check) in [
        (
            "diff",
            &["spec", "diff", "a document.yml", "--store", "store"][..],
        ),
        ("lint", &["spec", "lint", "a document.yml"]),
        ("nothing", &["spec", "lint", "empty.json"]),
    ] {
        for (form, file) in [
            ("sarif", format!("{name}.sarif")),
            ("junit", format!("{name}.xml")),
        ] {
            // One that fails, and one that passes.
            let expected = usize::from(name != "nothing");
            for (gate, code) in [("none", 0), ("low", expected)] {
                let arguments = [check, &["-o", form, "--fail-on", gate, "--file", &file]].concat();
                let ended = apiarist(directory, &arguments);
                assert_eq!(
                    ended.status.code(),
                    i32::try_from(code).ok(),
                    "{arguments:?} {ended:?}"
                );
            }
            reports.push(file);
        }
    }
    let judged = Command::new(programs.join("python3"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reports.py"))
        .args([&schemas.sarif, &schemas.junit])
        .args(&reports)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        judged.status.success(),
        "{}",
        String::from_utf8_lossy(&judged.stderr)
    );
    let counts = String::from_utf8(judged.stdout).unwrap();
    let counts: Vec<u32> = counts
        .split_whitespace()
        .map(|count| count.parse().unwrap())
        .collect();
    assert!(
        counts.iter().all(|count| *count >= 5),
        "little was judged: {counts:?}"
    );
}
