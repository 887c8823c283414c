//! A pod as a cluster has it: its container runs here, and the API server knows whose it is.
//!
//! The agent uses the account that the manifests give it, from where the kubelet mounts it. Then the server goes away and comes
//! back with another token to be used and older versions gone: the agent has to find its way by itself. Each test is for the server
//! that was built and for the one that gives recorded answers.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{inventory::WorkloadView, workload::WorkloadKind};
use serde_json::{Value, json};

use super::{
    agent::{Agent, PATIENCE},
    api_server::ApiServer,
    binary, note,
    place::Place,
    podman::{Container, Image},
    program::find,
    wait::until,
};

pub(super) const NODE: &str = "node-1";

/// What the server calls the account of the manifests.
pub(super) const USER: &str = "system:serviceaccount:apiarist:apiarist";

const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

pub(super) fn an_api_server_names_pods(place: &Place) -> Result<()> {
    names_pods(place, ApiServer::built(place)?)
}

pub(super) fn recorded_answers_name_pods(place: &Place) -> Result<()> {
    // As long as the agent asks for.
    names_pods(place, ApiServer::recorded(place, 240)?)
}

fn names_pods(place: &Place, mut server: ApiServer<'_>) -> Result<()> {
    let image = Image::import(place, &[])?;
    install(&server)?;
    let account = account(&server, place)?;
    let first_token = new_token(&server, &account)?;
    for path in ["/api/v1/secrets", "/api/v1/nodes", "/apis/apps/v1/replicasets"] {
        let status = server.status(&first_token, path)?;
        ensure!(status == "403", "the agent's account gets {path}: {status}");
    }
    make_shop(&server)?;
    let log = ["--log", "info,apiarist::workload=debug"];
    let agent = Agent::launch(place, in_a_pod(&account, server.port)?, &log)?;
    let shop = run_pod(&server, &image)?;

    let shown = shown_as(&agent, &["shop"])?;
    let WorkloadView {
        name,
        kind,
        namespace,
        pod,
        controller,
        service_account,
        image: from,
        version,
        owner,
        ..
    } = shown;
    ensure!(
        (name.as_str(), kind) == ("shop", WorkloadKind::Pod),
        "it is the {kind:?} {name}"
    );
    ensure!(namespace.as_deref() == Some("prod"), "namespace {namespace:?}");
    ensure!(pod.as_deref() == Some("shop-7d4b9c6f58-x2x4z"), "pod {pod:?}");
    ensure!(
        controller.as_deref() == Some("Deployment/shop"),
        "controller {controller:?}"
    );
    ensure!(
        service_account.as_deref() == Some("shop-account"),
        "account {service_account:?}"
    );
    ensure!(from.as_deref() == Some("registry.test/shop:2"), "image {from:?}");
    ensure!(version.as_deref() == Some("sha256:ab12"), "version {version:?}");
    ensure!(owner.as_deref() == Some("payments"), "owner {owner:?}");
    ensure!(
        counter(&agent, "kubernetes_pods")? == 1,
        "pods of other nodes are known"
    );

    // The account is made anew, which ends the first token; then the server is away, and etcd forgets.
    server.send(
        "DELETE",
        "/api/v1/namespaces/apiarist/serviceaccounts/apiarist",
        &json!({}),
    )?;
    server.send(
        "POST",
        "/api/v1/namespaces/apiarist/serviceaccounts",
        &json!({"metadata": {"name": "apiarist"}}),
    )?;
    new_token(&server, &account)?;
    let lists = counter(&agent, "kubernetes_lists")?;
    server.pause();
    server.compact()?;
    server.resume()?;
    ensure!(
        server.status(&first_token, "/api/v1/pods")? == "401",
        "the first token is still good"
    );
    service(&server, "front")?;
    let again = until(PATIENCE * 6, || {
        shop.in_its_network("curl", &["-sSf", "http://127.0.0.1:8099/stock.json"])?;
        shown_as(&agent, &["front", "shop"]).with_context(|| said(place))
    })?;
    ensure!(again.name == "shop", "it is {}", again.name);
    let relisted = counter(&agent, "kubernetes_lists")? - lists;
    ensure!(relisted > 0, "no list was made anew: nothing was gone");
    note(&format!("{relisted} lists were made anew after 410 Gone"));

    // A change that comes by the watch.
    service(&server, "late")?;
    until(PATIENCE, || {
        shop.in_its_network("curl", &["-sSf", "http://127.0.0.1:8099/stock.json"])?;
        shown_as(&agent, &["front", "late", "shop"])
    })?;
    uses_its_role(&server)
}

/// Fails unless the requests that the server granted the agent took exactly the rights that the manifests give it.
fn uses_its_role(server: &ApiServer<'_>) -> Result<()> {
    let manifest = manifest()?;
    let role = manifest
        .iter()
        .find(|document| document.get("kind").and_then(Value::as_str) == Some("ClusterRole"));
    let rules = role.and_then(|role| role.get("rules")?.as_array());
    let mut given = BTreeSet::new();
    for rule in rules.context("the manifest holds no rules")? {
        let texts = |member: &str| {
            let all = rule.get(member).and_then(Value::as_array).into_iter().flatten();
            all.filter_map(Value::as_str)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for group in texts("apiGroups") {
            for resource in texts("resources") {
                given.extend(
                    texts("verbs")
                        .into_iter()
                        .map(|verb| [group.clone(), resource.clone(), verb]),
                );
            }
        }
    }
    until(PATIENCE, || {
        let used = ApiServer::rights(&server.granted(USER)?);
        ensure!(used == given, "used are {used:?}, given are {given:?}");
        Ok(())
    })
}

/// Puts what the kubelet would mount, but for the token, in a directory.
pub(super) fn account(server: &ApiServer<'_>, place: &Place) -> Result<PathBuf> {
    let account = place.open_to_all("account")?;
    fs::copy(server.authority(), account.join("ca.crt"))?;
    Ok(account)
}

/// What the manifests hold, as an administrator would apply it.
pub(super) fn install(server: &ApiServer<'_>) -> Result<()> {
    for document in manifest()? {
        let path = match document.get("kind").and_then(Value::as_str) {
            Some("Namespace") => "/api/v1/namespaces",
            Some("ServiceAccount") => "/api/v1/namespaces/apiarist/serviceaccounts",
            Some("ClusterRole") => "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            Some("ClusterRoleBinding") => "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
            Some("ConfigMap") => "/api/v1/namespaces/apiarist/configmaps",
            Some("DaemonSet") => "/apis/apps/v1/namespaces/apiarist/daemonsets",
            kind => anyhow::bail!("the manifest holds a {kind:?}"),
        };
        server.send("POST", path, &document)?;
    }
    Ok(())
}

fn manifest() -> Result<Vec<Value>> {
    use serde::Deserialize as _;
    let manifest =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/kubernetes/apiarist.yaml"))?;
    let documents = serde_norway::Deserializer::from_str(&manifest);
    Ok(documents.map(Value::deserialize).collect::<Result<_, _>>()?)
}

/// Has a token made for the agent's account, and puts it where the kubelet would.
pub(super) fn new_token(server: &ApiServer<'_>, account: &Path) -> Result<String> {
    let path = "/api/v1/namespaces/apiarist/serviceaccounts/apiarist/token";
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 3600}});
    let answer = server.send("POST", path, &request)?;
    let token = answer
        .pointer("/status/token")
        .and_then(Value::as_str)
        .context("no token")?;
    fs::write(account.join("token"), token)?;
    Ok(token.to_owned())
}

/// The binary, with the account of its pod where it looks for it; the rest of the machine as it is.
pub(super) fn in_a_pod(account: &Path, port: u16) -> Result<Command> {
    let script = format!(
        "mount -t tmpfs none /run && mkdir -p {ACCOUNT} && mount --bind '{}' {ACCOUNT} && exec \"$@\"",
        account.display()
    );
    let mut command = Command::new(find("unshare")?);
    command
        .args(["--mount", "sh", "-c", &script, "sh"])
        .arg(binary::apiarist()?);
    command
        .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        .env("KUBERNETES_SERVICE_PORT", port.to_string());
    command
        .env("NODE_NAME", NODE)
        .env_remove("RUST_LOG")
        .env_remove("APIARIST_CONFIG");
    Ok(command)
}

/// A namespace with a service, and a pod on another node.
pub(super) fn make_shop(server: &ApiServer<'_>) -> Result<()> {
    server.send(
        "POST",
        "/api/v1/namespaces",
        &json!({"metadata": {"name": "prod"}}),
    )?;
    service(server, "shop")?;
    let mut elsewhere = pod("shop-7d4b9c6f58-zzzzz");
    let specification = elsewhere.get_mut("spec").and_then(Value::as_object_mut);
    let specification = specification.context("a pod has a specification")?;
    specification.insert("nodeName".to_owned(), "node-2".into());
    server
        .send("POST", "/api/v1/namespaces/prod/pods", &elsewhere)
        .map(drop)
}

pub(super) fn service(server: &ApiServer<'_>, name: &str) -> Result<()> {
    let service =
        json!({"metadata": {"name": name}, "spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}});
    server
        .send("POST", "/api/v1/namespaces/prod/services", &service)
        .map(drop)
}

pub(super) fn pod(name: &str) -> Value {
    json!({
        "metadata": {
            "name": name,
            "labels": {"app": "shop", "pod-template-hash": "7d4b9c6f58"},
            "annotations": {"team": "payments"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "shop-7d4b9c6f58",
                "uid": "5a1f6c1e-0000-4000-8000-000000000001", "controller": true}],
        },
        "spec": {
            "nodeName": NODE,
            "serviceAccountName": "shop-account",
            "containers": [{"name": "api", "image": "registry.test/shop:2"}],
        },
    })
}

/// Does what a scheduler and a kubelet do: the pod's container runs in its control group, and its status says so.
fn run_pod<'a>(server: &ApiServer<'_>, image: &Image<'a>) -> Result<Container<'a>> {
    let made = server.send(
        "POST",
        "/api/v1/namespaces/prod/pods",
        &pod("shop-7d4b9c6f58-x2x4z"),
    )?;
    let uid = made
        .pointer("/metadata/uid")
        .and_then(Value::as_str)
        .context("no uid")?;
    let serve = ["python3", "-m", "http.server", "8099", "--directory", "/srv"];
    let shop = image.start_in(
        &format!("/kubepods/burstable/pod{uid}"),
        "apiarist-pod",
        "none",
        &serve,
    )?;
    let status = json!({"status": {"containerStatuses": [{"name": "api", "image": "registry.test/shop:2", "ready": true,
        "restartCount": 0, "imageID": "registry.test/shop@sha256:ab12", "containerID": format!("cri-o://{}", shop.id()?)}]}});
    server.send(
        "PATCH",
        "/api/v1/namespaces/prod/pods/shop-7d4b9c6f58-x2x4z/status",
        &status,
    )?;
    until(PATIENCE, || {
        shop.in_its_network("curl", &["-sSf", "http://127.0.0.1:8099/stock.json"])
    })?;
    Ok(shop)
}

/// Waits until the pod's workload is listed with these services.
fn shown_as(agent: &Agent<'_>, services: &[&str]) -> Result<WorkloadView> {
    until(PATIENCE / 10, || {
        let workloads = agent.workloads()?;
        let shown = workloads
            .iter()
            .find(|row| row.namespace.as_deref() == Some("prod") && row.services == services);
        shown
            .cloned()
            .with_context(|| format!("listed are {workloads:?}"))
    })
}

/// What the agent has logged, for the reader of a failure.
fn said(place: &Place) -> String {
    let files = fs::read_dir(place.path())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let logs = files.filter(|path| {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        name.starts_with("unshare") && name.ends_with(".err")
    });
    logs.map(|path| fs::read_to_string(path).unwrap_or_default())
        .collect()
}

pub(super) fn counter(agent: &Agent<'_>, name: &str) -> Result<u64> {
    agent
        .status()?
        .counters
        .get(name)
        .copied()
        .with_context(|| format!("no counter {name}"))
}
