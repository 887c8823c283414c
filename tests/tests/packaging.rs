//! What is shipped beside the binary, judged by others: systemd, lintian, and the schemas of Kubernetes.
//!
//! A judge that is not installed is named, and the test passes; in CI it fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use apiarist::workload::kubernetes::REQUESTS;
use apiarist_tests::{live::binary, python::environment};
use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether the judge is there; without it a test in CI fails.
fn has(program: &str) -> bool {
    let there = Command::new(program).arg("--version").output().is_ok();
    missing_unless(there, program);
    there
}

fn missing_unless(there: bool, what: &str) {
    if there {
        return;
    }
    assert!(
        std::env::var_os("CI").is_none_or(|value| value != "true"),
        "{what} is not installed: run `cargo xtask setup --for test`"
    );
    // Nothing can be done when this fails.
    writeln!(
        std::io::stderr(),
        "skipped: {what} is not installed: run `cargo xtask setup --for test`"
    )
    .ok();
}

fn text(output: &Output) -> String {
    let Output { stdout, stderr, .. } = output;
    String::from_utf8_lossy(stdout).into_owned() + &String::from_utf8_lossy(stderr)
}

#[test]
fn systemd_finds_little_exposed() {
    if !has("systemd-analyze") {
        return;
    }
    let unit = root().join("deploy/systemd/apiarist.service");
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--no-pager", "--threshold=30"])
        .arg(unit)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("Overall exposure level"));
}

#[test]
fn lintian_finds_nothing_and_the_package_is_reproducible() {
    if !has("lintian") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let built: Vec<PathBuf> = ["one", "two"]
        .map(|name| {
            let out = directory.path().join(name);
            let output = Command::new(env!("CARGO"))
                .current_dir(root())
                .args(["run", "--quiet", "--package", "xtask", "--", "package"])
                .arg("--binary")
                .arg(binary::apiarist().unwrap())
                .arg("--out")
                .arg(&out)
                .output()
                .unwrap();
            assert!(output.status.success(), "{}", text(&output));
            let mut files = fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
            let package = files.next().unwrap();
            assert!(
                files.next().is_none(),
                "more than a package was left in {}",
                out.display()
            );
            package
        })
        .into();
    let same = fs::read(&built[0]).unwrap() == fs::read(&built[1]).unwrap();
    assert!(same, "two packages of one binary differ");
    let output = Command::new("lintian")
        .args(["--allow-root", "--fail-on", "error,warning"])
        .arg(&built[0])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let packed = Command::new("sh")
        .args(["-c", "dpkg-deb --fsys-tarfile \"$0\" | tar -tf -"])
        .arg(&built[0])
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed));
    let held = files(&text(&packed));
    for promised in [
        "etc/apiarist/apiarist.toml",
        "usr/bin/apiarist",
        "usr/lib/systemd/system/apiarist.service",
        "usr/lib/sysusers.d/apiarist.conf",
        "usr/share/bash-completion/completions/apiarist",
        "usr/share/doc/apiarist/sbom.cdx.json",
        "usr/share/fish/vendor_completions.d/apiarist.fish",
        "usr/share/man/man1/apiarist.1.gz",
        "usr/share/zsh/vendor-completions/_apiarist",
    ] {
        assert!(held.contains(promised), "no {promised} in {held:?}");
    }
}

/// What a package or an image holds, by the list of an archiver: without the directories.
fn files(list: &str) -> BTreeSet<String> {
    let names = list.lines().map(|name| name.trim_start_matches("./"));
    names
        .filter(|name| !name.is_empty() && !name.ends_with('/'))
        .map(str::to_owned)
        .collect()
}

/// The image holds the agent and nothing else, and starts. The Dockerfile's first stage needs an image from a registry and is
/// not tried: the agent is built here, as it does it, and its last stage makes the image. Takes a build of its own.
#[test]
fn the_image_is_the_agent_and_nothing_else() {
    let wanted = |name| std::env::var_os(name).is_some();
    if !wanted("CI") && !wanted("APIARIST_LONG_TESTS") {
        writeln!(
            std::io::stderr(),
            "skipped: APIARIST_LONG_TESTS=1 builds an image, for minutes"
        )
        .ok();
        return;
    }
    if !has("podman") {
        return;
    }
    let image = "localhost/apiarist-packaging:1";
    let xtask = ["run", "--quiet", "--package", "xtask", "--"];
    let output = Command::new(env!("CARGO"))
        .current_dir(root())
        .args(xtask)
        .args(["image", "--profile", "dev", "--name", image])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("image.tar");
    let podman = |arguments: &[&str]| {
        let output = Command::new("podman").args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    podman(&["save", "--quiet", "--output", archive.to_str().unwrap(), image]);
    let list = Command::new("tar").arg("-tf").arg(&archive).output().unwrap();
    let layers: Vec<String> = files(&text(&list))
        .into_iter()
        // Older names of the layers are links to these.
        .filter(|name| name.ends_with(".tar") && !name.contains('/'))
        .collect();
    let mut held = BTreeSet::new();
    for layer in layers {
        let mut unpack = Command::new("tar");
        unpack.arg("-xf").arg(&archive).arg("-C").arg(directory.path());
        assert!(unpack.arg(&layer).status().unwrap().success());
        let list = Command::new("tar")
            .arg("-tf")
            .arg(directory.path().join(&layer))
            .output();
        held.extend(files(&text(&list.unwrap())));
    }
    assert_eq!(held, BTreeSet::from(["usr/bin/apiarist".to_owned()]));
    let starts = podman(&[
        "image",
        "inspect",
        "--format",
        "{{.Config.Entrypoint}} {{.Config.Cmd}}",
        image,
    ]);
    assert_eq!(starts.trim(), "[/usr/bin/apiarist] [run]");
    podman(&["image", "rm", image]);
}

/// Fails unless Kubernetes' own schemas accept each document.
fn accepted(file: &Path) {
    let programs = environment(
        Path::new(env!("CARGO_TARGET_TMPDIR")),
        "kubernetes-validate",
        &["kubernetes-validate"],
    )
    .unwrap();
    let output = Command::new(programs.join("kubernetes-validate"))
        .arg("--strict")
        .arg(file)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("daemonset/"), "{}", text(&output));
}

fn documents(yaml: &str) -> Vec<Value> {
    use serde::Deserialize as _;
    serde_norway::Deserializer::from_str(yaml)
        .map(|document| Value::deserialize(document).unwrap())
        .filter(|document| !document.is_null())
        .collect()
}

fn of_kind<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    documents
        .iter()
        .find(|document| document["kind"] == kind)
        .unwrap_or_else(|| panic!("no {kind}"))
}

#[test]
fn the_manifests_are_valid() {
    if has("python3") {
        accepted(&root().join("deploy/kubernetes/apiarist.yaml"));
    }
}

#[test]
fn the_pipelines_fit_the_schemas_of_github_and_gitlab() {
    if !has("python3") {
        return;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let programs = environment(target, "check-jsonschema", &["check-jsonschema"]).unwrap();
    for (file, schema) in [
        (
            "github-actions.yml",
            &["--builtin-schema", "vendor.github-workflows"][..],
        ),
        (
            "gitlab-ci.yml",
            &[
                "--builtin-schema",
                "vendor.gitlab-ci",
                "--data-transform",
                "gitlab-ci",
            ],
        ),
    ] {
        let output = Command::new(programs.join("check-jsonschema"))
            .args(schema)
            .arg(root().join("deploy/ci").join(file))
            .output()
            .unwrap();
        assert!(output.status.success(), "{file}: {}", text(&output));
    }
}

/// What the pipelines run is what the command line takes, and leaves the files that they keep.
#[test]
fn the_pipelines_run_what_there_is() {
    for file in ["github-actions.yml", "gitlab-ci.yml"] {
        let pipeline = fs::read_to_string(root().join("deploy/ci").join(file)).unwrap();
        assert!(pipeline.contains("apiarist observe --spec openapi.yaml --fail-on high,shadow_endpoint"));
    }
    // A document that is not there is found out after the options, and before anything is run.
    let observe = [
        "observe",
        "--spec",
        "none.yaml",
        "--fail-on",
        "high,shadow_endpoint",
        "--out",
        "x",
        "--",
        "true",
    ];
    let output = Command::new(binary::apiarist().unwrap())
        .args(observe)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output).contains("cannot read none.yaml"),
        "{}",
        text(&output)
    );
}

#[test]
fn the_role_allows_what_is_asked_for_and_no_more() {
    let plain = fs::read_to_string(root().join("deploy/kubernetes/apiarist.yaml")).unwrap();
    let plain = documents(&plain);
    let role = of_kind(&plain, "ClusterRole");
    let texts = |rule: &Value, member: &str| -> Vec<String> {
        let members = rule[member].as_array().into_iter().flatten();
        members.map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut allowed = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        for group in texts(rule, "apiGroups") {
            for resource in texts(rule, "resources") {
                for verb in texts(rule, "verbs") {
                    allowed.insert((group.clone(), resource.clone(), verb));
                }
            }
        }
    }
    let used = REQUESTS.map(|right| {
        (
            right.group.to_owned(),
            right.resource.to_owned(),
            right.verb.to_owned(),
        )
    });
    assert_eq!(allowed, BTreeSet::from(used));
    let binding = of_kind(&plain, "ClusterRoleBinding");
    assert_eq!(binding["roleRef"]["name"], role["metadata"]["name"]);
    let account = of_kind(&plain, "ServiceAccount");
    assert_eq!(binding["subjects"][0]["name"], account["metadata"]["name"]);
    assert_eq!(binding["subjects"].as_array().unwrap().len(), 1);
    assert!(!plain.iter().any(|document| document["kind"] == "Role"));
}

#[test]
fn the_chart_comes_to_the_manifests() {
    let there = Command::new("go").arg("version").output().is_ok();
    missing_unless(there, "go");
    if !there {
        return;
    }
    let chart = root().join("deploy/helm/apiarist");
    let values = fs::read_to_string(chart.join("values.yaml")).unwrap();
    let values: Value = serde_norway::from_str(&values).unwrap();
    let data = json!({
        "Values": values,
        "Release": {"Name": "apiarist", "Namespace": "apiarist", "Service": "Helm"},
        "Chart": {"AppVersion": env!("CARGO_PKG_VERSION")},
    });
    let output = Command::new("go")
        .args(["run", "render.go"])
        .arg(fs::canonicalize(&chart).unwrap())
        .arg(data.to_string())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/chart"))
        // Debian's packages of Go libraries lie there.
        .env("GOPATH", "/usr/share/gocode")
        .env("GO111MODULE", "off")
        .env("GOCACHE", Path::new(env!("CARGO_TARGET_TMPDIR")).join("go"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let rendered = String::from_utf8(output.stdout).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rendered.yaml");
    fs::write(&file, &rendered).unwrap();
    accepted(&file);

    let plain = fs::read_to_string(root().join("deploy/kubernetes/apiarist.yaml")).unwrap();
    let (rendered, plain) = (documents(&rendered), documents(&plain));
    let pod = |documents: &[Value]| of_kind(documents, "DaemonSet")["spec"]["template"]["spec"].clone();
    assert_eq!(pod(&rendered), pod(&plain));
    for kind in ["ClusterRole", "ClusterRoleBinding"] {
        let without_labels = |documents: &[Value]| {
            let mut document = of_kind(documents, kind).clone();
            document["metadata"]["labels"].take();
            document
        };
        assert_eq!(without_labels(&rendered), without_labels(&plain));
    }
    let configuration = |documents: &[Value]| of_kind(documents, "ConfigMap")["data"].clone();
    assert_eq!(configuration(&rendered), configuration(&plain));
}
