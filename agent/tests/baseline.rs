//! Baselines on their way from one host to another: what arrives is what left, and what is no baseline is refused.

#![expect(clippy::unwrap_used, reason = "a test may be blunt")]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

fn apiarist(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_apiarist"));
    command.args(arguments).stdin(Stdio::null());
    for name in ["RUST_LOG", "APIARIST_CONFIG", "APIARIST_SOCKET", "NO_COLOR"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

fn succeeds(arguments: &[&str]) -> String {
    let output = apiarist(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// A store that has seen a shop for an hour.
fn learned(directory: &Path) -> String {
    let mut lines = String::new();
    for number in 0..300 {
        writeln!(
            lines,
            "{{\"ts\":{}.0,\"workload\":\"shop\",\"client\":\"10.0.0.{}\",\"method\":\"GET\",\
             \"target\":\"/v1/users/{}?page=1\",\"status\":200,\"response\":{{\"headers\":[],\"body\":\"{{}}\"}}}}",
            1_700_000_000 + 12 * number,
            number % 7,
            number % 90,
        )
        .unwrap();
    }
    let file = directory.join("traffic.jsonl");
    fs::write(&file, lines).unwrap();
    let store = directory.join("store").display().to_string();
    succeeds(&["replay", &file.display().to_string(), "--store", &store]);
    store
}

#[test]
fn what_is_exported_is_what_was_imported() {
    let directory = tempfile::tempdir().unwrap();
    let store = learned(directory.path());
    let exported = succeeds(&["baseline", "export", "--store", &store]);
    assert!(exported.lines().count() >= 1, "{exported}");
    let file = directory.path().join("baselines.jsonl").display().to_string();
    fs::write(&file, &exported).unwrap();
    let other = directory.path().join("other").display().to_string();
    for _ in 0..2 {
        let said = succeeds(&["baseline", "import", &file, "--store", &other]);
        assert!(said.ends_with("baselines imported\n"), "{said}");
        assert_eq!(succeeds(&["baseline", "export", "--store", &other]), exported);
    }
    assert!(!exported.contains("10.0.0."), "no values leave the host");
}

#[test]
fn what_is_no_baseline_is_refused_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let store = learned(directory.path());
    let exported = succeeds(&["baseline", "export", "--store", &store]);
    let good = exported.lines().next().unwrap();
    let other = directory.path().join("other").display().to_string();
    let file = directory.path().join("hostile.jsonl").display().to_string();
    for bad in [
        "no json".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        good.get(..good.len() / 2).unwrap().to_owned(),
        good.replace("\"version\":1", "\"version\":99"),
        good.replace("\"n\":", "\"n\":-"),
        format!(
            "{{\"id\":\"x\",\"workload\":\"y\",\"updated\":0,\"baseline\":{}{}}}",
            "[".repeat(100_000),
            "]".repeat(100_000)
        ),
        format!("{{\"id\":\"{}\"", "x".repeat(2 * 1024 * 1024)),
        "\u{0}\u{1}".repeat(100),
    ] {
        fs::write(&file, format!("{good}\n{bad}\n")).unwrap();
        let output = apiarist(&["baseline", "import", &file, "--store", &other]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let shown: String = bad.chars().take(60).collect();
        assert_eq!(output.status.code(), Some(2), "{shown}: {said}");
        assert_eq!(said.lines().count(), 1, "{shown}: {said}");
        assert!(said.contains("line 2"), "{shown}: {said}");
        assert!(
            !Path::new(&other).join("apiarist.db").exists(),
            "nothing of it is kept"
        );
    }
}
