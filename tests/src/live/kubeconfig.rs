//! Ways to the API server: users of a kubeconfig, by token and by certificate, and watches that end.

use std::fs;

use anyhow::{Result, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    agent::{Agent, PATIENCE},
    api_server::ApiServer,
    kubernetes::{NODE, USER, account, counter, in_a_pod, install, make_shop, new_token, pod, service},
    note,
    place::Place,
    wait::until,
};

/// By its certificate.
const CERTIFIED: &str = "node-agent";

/// Life of a watch.
const WATCH_SECONDS: u32 = 2;

pub(super) fn kubeconfigs_are_followed(place: &Place) -> Result<()> {
    users_of_kubeconfigs(place, &ApiServer::recorded(place, 240)?)
}

pub(super) fn an_api_server_takes_kubeconfigs(place: &Place) -> Result<()> {
    users_of_kubeconfigs(place, &ApiServer::built(place)?)
}

fn users_of_kubeconfigs(place: &Place, server: &ApiServer<'_>) -> Result<()> {
    install(server)?;
    make_shop(server)?;
    server.send(
        "POST",
        "/api/v1/namespaces/prod/pods",
        &pod("shop-7d4b9c6f58-x2x4z"),
    )?;
    new_token(server, place.path())?;
    let (certificate, key) = server.certificate(CERTIFIED, "extendedKeyUsage=clientAuth")?;
    server.send(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        &json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": CERTIFIED},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "apiarist"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": CERTIFIED}]}),
    )?;
    let data = |path: &str| -> Result<String> { Ok(STANDARD.encode(fs::read(path)?)) };
    let authority = json!({"certificate-authority-data": data(&server.authority())?});
    let by_name = json!({"certificate-authority": "authority.crt"});
    let users = [
        (USER, &by_name, json!({"tokenFile": "token"})),
        (
            CERTIFIED,
            &authority,
            json!({"client-certificate-data": data(&certificate)?, "client-key-data": data(&key)?}),
        ),
    ];
    for (user, cluster, means) in users {
        ensure!(server.granted(user)?.is_empty(), "{user} has asked before");
        let agent = by_kubeconfig(place, server.port, cluster, &means)?;
        until(PATIENCE, || {
            let known = (
                counter(&agent, "kubernetes_pods")?,
                counter(&agent, "kubernetes_services")?,
            );
            // The server itself has a service, too.
            ensure!(
                known.0 == 1 && known.1 >= 1,
                "known are {known:?} pods and services"
            );
            Ok(())
        })?;
        agent.stop(rustix::process::Signal::TERM)?;
        // Some servers log a watch at its end.
        until(PATIENCE, || {
            let rights = ApiServer::rights(&server.granted(user)?);
            ensure!(rights.len() == 4, "{user} used {rights:?}");
            Ok(())
        })?;
    }
    // Who is not vouched for is told nothing, the token least of all.
    let stranger = json!({"certificate-authority-data": data(&certificate)?});
    let before = server.granted(USER)?.len();
    let agent = by_kubeconfig(place, server.port, &stranger, &json!({"tokenFile": "token"}))?;
    until(PATIENCE, || agent.has_said("the API server cannot be reached"))?;
    ensure!(counter(&agent, "kubernetes_pods")? == 0, "pods are known");
    ensure!(
        server.granted(USER)?.len() == before,
        "a server that is not trusted was asked"
    );
    Ok(())
}

/// An agent that is told so by a file as kubectl writes it.
fn by_kubeconfig<'a>(place: &'a Place, port: u16, cluster: &Value, user: &Value) -> Result<Agent<'a>> {
    let mut cluster = cluster.clone();
    if let Some(members) = cluster.as_object_mut() {
        members.insert("server".to_owned(), format!("https://127.0.0.1:{port}").into());
    }
    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": "node@here",
        "clusters": [{"name": "here", "cluster": cluster}],
        "contexts": [{"name": "node@here", "context": {"cluster": "here", "user": "node"}}],
        "users": [{"name": "node", "user": user}]});
    // JSON is YAML.
    let kubeconfig = place.write("kubeconfig", kubeconfig.to_string())?;
    let configuration = format!("[workloads.kubernetes]\nkubeconfig = \"{kubeconfig}\"\nnode = \"{NODE}\"\n");
    let configuration = place.write("apiarist.toml", configuration)?;
    Agent::of(place, &["--config", &configuration])
}

/// A watch that the server ends is taken up where its last bookmark was: what is before that has been forgotten.
pub(super) fn watches_are_taken_up_again(place: &Place) -> Result<()> {
    let server = ApiServer::recorded(place, WATCH_SECONDS)?;
    install(&server)?;
    make_shop(&server)?;
    let account = account(&server, place)?;
    new_token(&server, &account)?;
    let agent = Agent::launch(place, in_a_pod(&account, server.port)?, &[])?;
    let counted = |name: &str, expected: u64| {
        until(PATIENCE, || {
            let found = counter(&agent, name)?;
            ensure!(found == expected, "{name} is {found}");
            Ok(())
        })
    };
    counted("kubernetes_services", 1)?;
    // Of pods and of services.
    counted("kubernetes_lists", 2)?;
    let watched = |at_least: usize| {
        until(PATIENCE, || {
            let watches = watches(&server)?;
            ensure!(watches.len() >= at_least, "{} watches", watches.len());
            Ok(watches)
        })
    };
    let begun = watched(2)?.len();
    // Versions pass that neither pods nor services have.
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let made = server.send("POST", "/api/v1/namespaces/prod/configmaps", &other)?;
    let passed: u64 = made
        .pointer("/metadata/resourceVersion")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .parse()?;
    let versions = watched(begun + 6)?;
    ensure!(
        versions.iter().rev().take(2).all(|version| *version >= passed),
        "after version {passed} watches began at {versions:?}"
    );
    service(&server, "late")?;
    counted("kubernetes_services", 2)?;
    counted("kubernetes_lists", 2)?;
    note(&format!(
        "{} watches were taken up again, with no new list",
        versions.len() - 2
    ));
    Ok(())
}

/// The versions from which on the agent watched, in order.
fn watches(server: &ApiServer<'_>) -> Result<Vec<u64>> {
    let requests = server.granted(USER)?;
    let addresses = requests
        .iter()
        .filter_map(|request| request.get("requestURI").and_then(Value::as_str));
    Ok(addresses
        .filter(|address| address.contains("watch=true"))
        .filter_map(|address| address.split_once("resourceVersion=")?.1.parse().ok())
        .collect())
}
