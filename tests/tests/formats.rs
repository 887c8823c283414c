//! Every format of records, read by schemas and parsers of others.
//!
//! OCSF by py-ocsf-models, CEF by pycef, ECS by the types that Elastic publishes (`@elastic/ecs` of npm) and the compiler of
//! TypeScript: a field that is not in the schema, or has another type there, does not compile. Of LEEF there is no
//! parser in a package registry or in Debian: the record is read by the rules of IBM's guide, in the test itself.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use apiarist::sink::{Event, format::Format};
use apiarist_tests::{
    collectors::sample::{finding, incident},
    python::environment,
};
use serde_json::Value;

fn events() -> [Event; 2] {
    [incident(1).unwrap(), finding().unwrap()]
}

/// What a program says to these lines; it must end well.
fn read_by(command: &mut Command, lines: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A package that cannot be had is named, and the test passes; in CI it fails.
fn skip(why: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{why}");
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "skipped: {why}").ok();
}

#[test]
fn ocsf_and_cef_are_taken_by_libraries() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let programs = match environment(target, "formats", &["py-ocsf-models", "pycef"]) {
        Ok(programs) => programs,
        Err(error) => return skip(&format!("{error:#}")),
    };
    let mut lines = String::new();
    for event in events() {
        for (name, format) in [("ocsf", Format::Ocsf), ("cef", Format::Cef)] {
            lines.push_str(&format!("{name}\t{}\n", format.render(&event)));
        }
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/formats.py");
    let read = read_by(Command::new(programs.join("python3")).arg(script), &lines);
    assert_eq!(read, "4");
}

#[test]
fn ecs_holds_fields_of_the_schema_with_their_types() {
    let modules = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ecs");
    let compiler = modules.join("node_modules/.bin/tsc");
    if !compiler.is_file() {
        let installed = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&modules)
            .args(["@elastic/ecs@9.4.0", "typescript@5"])
            .output();
        match installed {
            Ok(output) if output.status.success() => {}
            Ok(output) => return skip(&String::from_utf8_lossy(&output.stderr)),
            Err(error) => return skip(&format!("npm cannot be started: {error}")),
        }
    }
    let mut source = "import { Ecs } from '@elastic/ecs';\n".to_owned();
    for (number, event) in events().iter().enumerate() {
        let mut record: Value = serde_json::from_str(&Format::Ecs.render(event)).unwrap();
        // What is ours is under our own name, as the guidelines of ECS want it.
        assert!(record.as_object_mut().unwrap().remove("apiarist").is_some());
        // The types take one version only; the fields are the same in both.
        record["ecs"]["version"] = "9.4.0".into();
        source.push_str(&format!("export const record{number}: Ecs = {record};\n"));
    }
    let compiles = |source: &str| {
        let file = modules.join("records.ts");
        std::fs::write(&file, source).unwrap();
        let output = Command::new(&compiler)
            .args([
                "--noEmit",
                "--strict",
                "--skipLibCheck",
                "--moduleResolution",
                "node",
            ])
            .arg(&file)
            .current_dir(&modules)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap())
    };
    let (taken, said) = compiles(&source);
    assert!(taken, "{said}");
    // The judge is awake.
    let (taken, said) = compiles(&source.replace("\"action\"", "\"aktion\""));
    assert!(!taken && said.contains("aktion"), "{said}");
}

#[test]
fn leef_follows_the_rules_of_its_guide() {
    for event in events() {
        let record = Format::Leef.render(&event);
        // Version, vendor, product, version, event id, delimiter; then attributes. Nothing is escaped in LEEF.
        let parts: Vec<&str> = record.splitn(7, '|').collect();
        let [version, vendor, product, _, id, delimiter, attributes] = parts.as_slice() else {
            unreachable!("{record}");
        };
        assert_eq!(
            (*version, *vendor, *product),
            ("LEEF:2.0", "apiarist", "apiarist")
        );
        assert!(!id.is_empty() && !id.contains(char::is_whitespace));
        let delimiter = u8::from_str_radix(delimiter.trim_start_matches('x'), 16).unwrap() as char;
        let mut keys = Vec::new();
        for attribute in attributes.split(delimiter) {
            let (key, value) = attribute.split_once('=').unwrap();
            assert!(
                key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{key}"
            );
            assert!(!value.chars().any(char::is_control), "{value}");
            match key {
                "sev" => assert!((1..=10).contains(&value.parse::<u8>().unwrap())),
                "devTime" => assert_eq!(value.len(), 13, "milliseconds"),
                "src" => drop(value.parse::<std::net::IpAddr>().unwrap()),
                _ => {}
            }
            assert!(!keys.contains(&key), "{key} twice");
            keys.push(key);
        }
        assert!(keys.contains(&"cat") && keys.contains(&"sev") && keys.contains(&"devTime"));
    }
}
