//! CRI-O and podman: both keep containers in containers/storage, with the OCI bundle in `userdata`.

use std::path::Path;

use serde_json::Value;

use super::{ContainerFacts, json, map, text};

const CONTAINERS: &str = "var/lib/containers/storage/overlay-containers";

pub(super) fn read(root: &Path, id: &str) -> Option<ContainerFacts> {
    let bundle = json(&root.join(CONTAINERS).join(id).join("userdata/config.json"));
    let annotations = map(bundle.as_ref().and_then(|bundle| bundle.get("annotations")));
    let get = |name: &str| annotations.get(name).filter(|value| !value.is_empty()).cloned();
    let entry = listed(root, id);
    if bundle.is_none() && entry.is_none() {
        return None;
    }
    let metadata = entry.as_ref().and_then(|entry| inner(&text(entry, "/metadata")?));
    let metadata = metadata.unwrap_or_default();
    // CRI-O keeps the labels as JSON in an annotation.
    let labels = get("io.kubernetes.cri-o.Labels").and_then(|labels| inner(&labels));
    Some(ContainerFacts {
        name: get("io.kubernetes.container.name")
            .or_else(|| text(&metadata, "/name"))
            .or_else(|| entry.as_ref().and_then(|entry| text(entry, "/names/0"))),
        image: get("io.kubernetes.cri-o.ImageName").or_else(|| text(&metadata, "/image-name")),
        digest: get("io.kubernetes.cri-o.ImageRef")
            .or_else(|| entry.as_ref().and_then(|entry| text(entry, "/image"))),
        namespace: get("io.kubernetes.pod.namespace"),
        pod: get("io.kubernetes.pod.name"),
        labels: labels.map_or_else(|| annotations.clone(), |labels| map(Some(&labels))),
    })
}

/// The entry of a container in the list of all.
fn listed(root: &Path, id: &str) -> Option<Value> {
    let list = json(&root.join(CONTAINERS).join("containers.json"))?;
    let entries = list.as_array()?.iter();
    entries
        .into_iter()
        .find(|entry| entry.get("id").and_then(Value::as_str) == Some(id))
        .cloned()
}

/// JSON that is kept as text inside JSON.
fn inner(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}
