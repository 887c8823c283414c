//! Every format of records, for every kind of event, read by schemas and parsers of others.
//!
//! Native records by the schema that the agent publishes and `jsonschema`, OCSF by py-ocsf-models, CEF by pycef, ECS by the
//! types that Elastic publishes (`@elastic/ecs` of npm) and the compiler of TypeScript: a field that is not in the schema, or
//! has another type there, does not compile. LEEF by rsyslog's `mmleefparse`, and by the rules of IBM's guide.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use apiarist::sink::{Event, Sinks, format::Format, target::Target};
use apiarist_tests::{
    collectors::{fed, free_port, offered, rsyslog, sample::of_every_kind, until},
    python::environment,
};
use serde_json::Value;

fn events() -> Vec<Event> {
    let events = of_every_kind().unwrap();
    assert!(events.len() > 40, "only {}", events.len());
    events
}

/// Where programs from elsewhere are kept between runs.
fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

#[test]
fn native_ocsf_and_cef_are_taken_by_libraries() {
    let packages = ["py-ocsf-models", "pycef", "jsonschema[format-nongpl]"];
    let Some(programs) = offered(environment(target(), "formats-2", &packages)).unwrap() else {
        return;
    };
    let events = events();
    let mut lines = String::new();
    for event in &events {
        for (name, format) in [
            ("native", Format::Native),
            ("ocsf", Format::Ocsf),
            ("cef", Format::Cef),
        ] {
            lines.push_str(&format!("{name}\t{}\n", format.render(event)));
        }
    }
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut reader = Command::new(programs.join("python3"));
    reader
        .arg(own.join("fixtures/formats.py"))
        .arg(own.join("../agent/src/control/openapi.json"));
    let read = fed(&mut reader, &lines).unwrap();
    assert_eq!(read.trim(), (3 * events.len()).to_string());
    // The judge is awake.
    let wrong = lines.replacen("\"severity\":\"", "\"severity\":\"very ", 1);
    assert!(fed(&mut reader, &wrong).is_err());
}

#[test]
fn ecs_holds_fields_of_the_schema_with_their_types() {
    let modules = target().join("ecs");
    let compiler = modules.join("node_modules/.bin/tsc");
    if !compiler.is_file() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"])
            .arg(&modules)
            .args(["@elastic/ecs@9.4.0", "typescript@5"]);
        if offered(fed(&mut npm, "")).unwrap().is_none() {
            return;
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

/// The attributes of a record, by the rules of IBM's guide: nothing is escaped, a tab separates.
fn attributes(record: &str) -> BTreeMap<&str, &str> {
    // Version, vendor, product, version, event id; then attributes.
    let parts: Vec<&str> = record.splitn(6, '|').collect();
    let [version, vendor, product, _, id, attributes] = parts.as_slice() else {
        unreachable!("{record}");
    };
    assert_eq!(
        (*version, *vendor, *product),
        ("LEEF:1.0", "apiarist", "apiarist")
    );
    assert!(!id.is_empty() && !id.contains(char::is_whitespace));
    let pairs = attributes.split('\t').map(|pair| pair.split_once('=').unwrap());
    let attributes: BTreeMap<&str, &str> = pairs.clone().collect();
    assert_eq!(attributes.len(), pairs.count(), "a key comes twice");
    attributes
}

#[test]
fn leef_follows_the_rules_of_its_guide() {
    for event in events() {
        let record = Format::Leef.render(&event);
        let attributes = attributes(&record);
        for (key, value) in &attributes {
            assert!(
                key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'),
                "{key}"
            );
            assert!(!value.chars().any(char::is_control), "{value}");
            match *key {
                "sev" => assert!((1..=10).contains(&value.parse::<u8>().unwrap())),
                "devTime" => assert_eq!(value.len(), 13, "milliseconds"),
                "src" => drop(value.parse::<std::net::IpAddr>().unwrap()),
                _ => {}
            }
        }
        for needed in ["cat", "sev", "devTime", "id", "resource"] {
            assert!(attributes.contains_key(needed), "no {needed}");
        }
    }
}

#[test]
fn leef_is_read_by_rsyslog_as_it_was_meant() {
    let directory = tempfile::tempdir().unwrap();
    let port = free_port().unwrap();
    let started = rsyslog::reads_leef(target(), directory.path(), port);
    let Some(rsyslog) = offered(started).unwrap() else {
        return;
    };
    let address = format!("syslog+tcp://127.0.0.1:{port}?format=leef&events=incident,anomaly,finding");
    let targets = [Target::parse(&address).unwrap()];
    let mut agent = Sinks::start(&targets, &directory.path().join("spool"), 64 << 20).unwrap();
    let events = events();
    for event in &events {
        agent.send(event);
    }
    let read = directory.path().join("read");
    let lines = until("not every event was read", || {
        let text = fs::read_to_string(&read).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        (lines.len() >= events.len()).then_some(lines)
    })
    .unwrap();
    drop((agent, rsyslog));
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(&events) {
        let record = Format::Leef.render(event);
        let (success, read) = line.split_once(' ').unwrap();
        assert_eq!(success, "OK", "{record}");
        let read: Value = serde_json::from_str(read).unwrap();
        let header = record.split('|').nth(4).unwrap();
        assert_eq!(read["header"]["eventID"], header);
        assert_eq!(read["header"]["protocolVersion"], "1.0");
        let fields: BTreeMap<String, String> = serde_json::from_value(read["fields"].clone()).unwrap();
        // rsyslog takes backslashes as CEF has them, which the guide knows nothing of.
        let plain = |value: &str| value.replace(r"\\", r"\").replace(r"\=", "=");
        let meant = attributes(&record).into_iter();
        let meant: BTreeMap<String, String> =
            meant.map(|(key, value)| (key.to_owned(), plain(value))).collect();
        assert_eq!(fields, meant);
    }
}
