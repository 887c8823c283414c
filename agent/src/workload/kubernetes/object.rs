//! The parts of pods and services that say who somebody is (kubernetes, `core/v1`).
//!
//! In: JSON of the API server. Out: [`Pod`] and [`Service`]. Everything else of an object is skipped while it is read, and what is
//! kept is bounded. Names of environment variables, volumes or secrets are never kept.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Deserializer};

use super::super::controller;

/// Labels and annotations kept of an object, each. Overflow policy: further ones, in order of name, are left out.
const MAX_LABELS: usize = 32;

/// Bytes of a label's value that is kept: Kubernetes lets annotations be far longer. Overflow policy: a longer one is left out.
const MAX_VALUE_BYTES: usize = 256;

/// Containers kept of a pod. Overflow policy: further ones are named by the runtime's files.
const MAX_CONTAINERS: usize = 32;

/// Selectors and addresses kept of a service or pod. Overflow policy: further ones are left out.
const MAX_PARTS: usize = 16;

/// The kubelet names pods that come from a file by the hash of the file; their mirror in the API server tells it.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// A pod on this node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// By which the control group names it.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Kind and name of what made it: `Deployment/shop`.
    pub controller: Option<String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations that are short.
    pub annotations: BTreeMap<String, String>,
    /// As whom its processes speak to the API server.
    pub service_account: Option<String>,
    /// Its addresses; none when it uses the host's.
    pub addresses: Vec<IpAddr>,
    /// Its containers.
    pub containers: Vec<PodContainer>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PodContainer {
    /// As the runtime knows it, without the runtime's name; empty before it has started.
    pub id: String,
    /// Name in the pod.
    pub name: String,
    /// Image, as it was asked for.
    pub image: String,
    /// Digest of the image.
    pub digest: Option<String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Unique in the cluster.
    pub uid: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Labels of the pods behind it; none without pods of its own.
    pub selector: BTreeMap<String, String>,
    /// Its addresses in the cluster.
    pub addresses: Vec<IpAddr>,
    /// It has an address or port outside the cluster.
    pub is_exposed: bool,
}

/// An object as the API server writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Raw {
    pub(super) metadata: RawMetadata,
    spec: RawSpec,
    status: RawStatus,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct RawMetadata {
    pub(super) uid: String,
    namespace: String,
    name: String,
    pub(super) resource_version: String,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    #[serde(deserialize_with = "nullable")]
    owner_references: Vec<RawOwner>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawOwner {
    kind: String,
    name: String,
    controller: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawSpec {
    service_account_name: Option<String>,
    host_network: bool,
    #[serde(deserialize_with = "nullable")]
    containers: Vec<RawContainer>,
    selector: Option<BTreeMap<String, String>>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Option<String>,
    #[serde(rename = "clusterIPs", deserialize_with = "nullable")]
    cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "nullable")]
    external_ips: Vec<String>,
    r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawContainer {
    name: String,
    image: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawStatus {
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs", deserialize_with = "nullable")]
    pod_ips: Vec<RawAddress>,
    #[serde(deserialize_with = "nullable")]
    container_statuses: Vec<RawContainerStatus>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawAddress {
    ip: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RawContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: String,
    #[serde(rename = "imageID")]
    image_id: String,
}

/// A list; the server writes `null` for some that are empty, as that of the containers in a bookmark.
fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Option::<Vec<T>>::deserialize(from).map(Option::unwrap_or_default)
}

/// What lists and watches bring.
pub(super) trait Object: Sized {
    /// Takes what is kept.
    fn of(raw: Raw) -> Self;
}

impl Object for Pod {
    fn of(raw: Raw) -> Self {
        let Raw {
            metadata,
            spec,
            status,
        } = raw;
        let labels = bounded(metadata.labels);
        let annotations = bounded(metadata.annotations);
        let owner = metadata
            .owner_references
            .into_iter()
            .find(|owner| owner.controller);
        let own = status
            .pod_ips
            .into_iter()
            .map(|address| address.ip)
            .chain(status.pod_ip);
        let addresses = if spec.host_network {
            Vec::new()
        } else {
            addresses(own)
        };
        let containers = spec.containers.into_iter().take(MAX_CONTAINERS);
        let containers = containers.map(|container| {
            let mut statuses = status.container_statuses.iter();
            let status = statuses.find(|status| status.name == container.name);
            PodContainer {
                id: status
                    .map_or("", |status| after_scheme(&status.container_id))
                    .to_owned(),
                digest: status.and_then(|status| digest(&status.image_id)),
                name: container.name,
                image: container.image,
            }
        });
        Self {
            containers: containers.collect(),
            uid: annotations.get(CONFIG_HASH).cloned().unwrap_or(metadata.uid),
            controller: owner.map(|owner| controller::above(&owner.kind, &owner.name, &labels)),
            namespace: metadata.namespace,
            name: metadata.name,
            labels,
            annotations,
            service_account: spec.service_account_name.filter(|name| !name.is_empty()),
            addresses,
        }
    }
}

impl Object for Service {
    fn of(raw: Raw) -> Self {
        let Raw {
            metadata,
            spec,
            status: _,
        } = raw;
        let is_exposed =
            matches!(spec.r#type.as_str(), "LoadBalancer" | "NodePort") || !spec.external_ips.is_empty();
        let mut selector = spec.selector.unwrap_or_default();
        if selector.len() > MAX_PARTS {
            // Cut off it would fit more pods than it does: one that is not known fits none.
            selector.clear();
        }
        Self {
            uid: metadata.uid,
            namespace: metadata.namespace,
            name: metadata.name,
            selector,
            addresses: addresses(spec.cluster_ips.into_iter().chain(spec.cluster_ip)),
            is_exposed,
        }
    }
}

/// Addresses, each once; `None` is what headless services have in their place.
fn addresses(texts: impl Iterator<Item = String>) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for address in texts.filter_map(|text| text.parse().ok()) {
        if !found.contains(&address) && found.len() < MAX_PARTS {
            found.push(address);
        }
    }
    found
}

fn bounded(labels: Option<BTreeMap<String, String>>) -> BTreeMap<String, String> {
    let labels = labels.into_iter().flatten();
    labels
        .filter(|(name, value)| name.len() + value.len() <= MAX_VALUE_BYTES)
        .take(MAX_LABELS)
        .collect()
}

/// `containerd://3f2a…` is `3f2a…`.
fn after_scheme(id: &str) -> &str {
    id.split_once("://").map_or(id, |(_, id)| id)
}

/// `docker.io/library/redis@sha256:ab12` and `docker-pullable://…@sha256:ab12` are `sha256:ab12`.
fn digest(image: &str) -> Option<String> {
    let found = image
        .rsplit_once('@')
        .map_or(after_scheme(image), |(_, digest)| digest);
    (!found.is_empty()).then(|| found.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(in super::super) const POD: &str = r#"{
        "metadata": {"uid": "u1", "namespace": "prod", "name": "shop-7d4b9c6f58-x2x4z", "resourceVersion": "7",
            "labels": {"app": "shop", "pod-template-hash": "7d4b9c6f58"},
            "annotations": {"team": "payments", "kubectl.kubernetes.io/last-applied-configuration": "LONG"},
            "ownerReferences": [{"kind": "Node", "name": "n"}, {"kind": "ReplicaSet", "name": "shop-7d4b9c6f58", "controller": true}]},
        "spec": {"serviceAccountName": "shop-sa", "containers": [{"name": "api", "image": "reg/shop:2", "env": [{"name": "A", "value": "secret"}]}]},
        "status": {"podIP": "10.1.0.5", "podIPs": [{"ip": "10.1.0.5"}, {"ip": "fd00::5"}],
            "containerStatuses": [{"name": "api", "containerID": "containerd://3f2a", "imageID": "reg/shop@sha256:ab12"}]}}"#;

    fn pod(text: &str) -> Pod {
        Pod::of(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_pod_has_a_controller_an_account_and_containers() {
        let pod = pod(&POD.replace("LONG", &"x".repeat(1000)));
        assert_eq!(pod.controller.as_deref(), Some("Deployment/shop"));
        assert_eq!(pod.service_account.as_deref(), Some("shop-sa"));
        assert_eq!(pod.addresses.len(), 2);
        assert_eq!(pod.annotations.len(), 1);
        let container = &pod.containers[0];
        assert_eq!((container.id.as_str(), container.name.as_str()), ("3f2a", "api"));
        assert_eq!(container.digest.as_deref(), Some("sha256:ab12"));
    }

    #[test]
    fn a_list_may_be_null() {
        // The object of a bookmark, as a server of version 1.20 writes it.
        let bookmark = pod(
            r#"{"kind":"Pod","apiVersion":"v1","metadata":{"resourceVersion":"9","creationTimestamp":null,
            "ownerReferences":null},"spec":{"containers":null},"status":{"podIPs":null,"containerStatuses":null}}"#,
        );
        assert_eq!(bookmark, Pod::default());
    }

    #[test]
    fn a_pod_from_a_file_is_known_by_the_hash_of_the_file() {
        let mirror = pod(
            r#"{"metadata": {"uid": "u2", "annotations": {"kubernetes.io/config.hash": "h1"}},
            "spec": {"hostNetwork": true}, "status": {"podIP": "192.0.2.1"}}"#,
        );
        assert_eq!((mirror.uid.as_str(), mirror.addresses.len()), ("h1", 0));
    }

    #[test]
    fn a_service_without_pods_of_its_own_selects_none() {
        let service = |text| Service::of(serde_json::from_str(text).unwrap());
        let headless =
            service(r#"{"metadata": {"name": "db"}, "spec": {"clusterIP": "None", "clusterIPs": ["None"]}}"#);
        assert!(headless.addresses.is_empty() && headless.selector.is_empty() && !headless.is_exposed);
        let shown = service(
            r#"{"spec": {"clusterIP": "10.96.0.9", "type": "NodePort", "selector": {"app": "shop"}}}"#,
        );
        assert!(shown.is_exposed && shown.addresses.len() == 1);
    }
}
