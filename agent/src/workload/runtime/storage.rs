//! CRI-O and podman: both keep containers in containers/storage, with the OCI bundle in `userdata`.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use super::{ContainerFacts, json, map, text};

const STORAGE: &str = "var/lib/containers/storage";

/// What may keep the file systems: each has directories of its own, and a host uses one of them.
const DRIVERS: &[&str] = &["overlay", "vfs", "btrfs", "zfs"];

pub(super) fn read(root: &Path, id: &str) -> Option<ContainerFacts> {
    let storage = root.join(STORAGE);
    let containers_of = |driver: &str| storage.join(format!("{driver}-containers"));
    let driver = DRIVERS
        .iter()
        .find(|driver| containers_of(driver).join(id).is_dir())?;
    let containers = containers_of(driver);
    let bundle = json(&containers.join(id).join("userdata/config.json"));
    let annotations = map(bundle.as_ref().and_then(|bundle| bundle.get("annotations")));
    let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty()).cloned();
    let entry = listed(&containers, id);
    if bundle.is_none() && entry.is_none() {
        return None;
    }
    let metadata = entry.as_ref().and_then(|entry| inner(&text(entry, "/metadata")?));
    let metadata = metadata.unwrap_or_default();
    // CRI-O keeps the labels as JSON in an annotation.
    let labels = get("io.kubernetes.cri-o.Labels").and_then(|labels| inner(&labels));
    // podman keeps those of a container in its database: what its image says is read, and what its annotations say counts more.
    let of_image = || {
        let images = storage.join(format!("{driver}-images"));
        image_labels(&images, &text(entry.as_ref()?, "/image")?)
    };
    let labels = match labels {
        Some(labels) => map(Some(&labels)),
        None => of_image()
            .into_iter()
            .flatten()
            .chain(annotations.clone())
            .collect(),
    };
    Some(ContainerFacts {
        name: get("io.kubernetes.container.name")
            .or_else(|| text(&metadata, "/name"))
            .or_else(|| entry.as_ref().and_then(|entry| text(entry, "/names/0"))),
        image: get("io.kubernetes.cri-o.ImageName").or_else(|| text(&metadata, "/image-name")),
        digest: get("io.kubernetes.cri-o.ImageRef")
            .or_else(|| entry.as_ref().and_then(|entry| text(entry, "/image"))),
        namespace: get("io.kubernetes.pod.namespace"),
        pod: get("io.kubernetes.pod.name"),
        labels,
        ..ContainerFacts::default()
    })
}

/// The entry of a container in the list of all.
fn listed(containers: &Path, id: &str) -> Option<Value> {
    let list = json(&containers.join("containers.json"))?;
    let entries = list.as_array()?.iter();
    entries
        .into_iter()
        .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
        .cloned()
}

/// The labels in the configuration of an image. Its file is named after its digest (containers/storage,
/// `makeBigDataBaseName`).
fn image_labels(images: &Path, id: &str) -> Option<BTreeMap<String, String>> {
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let name = format!("={}", STANDARD.encode(format!("sha256:{id}")));
    let configuration = is_id.then(|| json(&images.join(id).join(name)))??;
    Some(map(configuration.pointer("/config/Labels")))
}

/// JSON that is kept as text inside JSON.
fn inner(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
