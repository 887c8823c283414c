//! containerd: the OCI bundle of each task, whose annotations are written by its CRI plugin
//! (containerd, `internal/cri/annotations`) and by nerdctl.

use std::{fs, path::Path};

use super::{ContainerFacts, json, map};

/// Namespaces of containerd that are looked into, at most.
const MAX_NAMESPACES: usize = 16;

pub(super) fn read(root: &Path, id: &str) -> Option<ContainerFacts> {
    let tasks = root.join("run/containerd/io.containerd.runtime.v2.task");
    let namespaces = fs::read_dir(tasks).ok()?.flatten().take(MAX_NAMESPACES);
    let bundle = namespaces
        .map(|namespace| namespace.path().join(id).join("config.json"))
        .find_map(|path| json(&path))?;
    let mut annotations = map(bundle.get("annotations"));
    let mut take = |name: &str| annotations.remove(name).filter(|value| !value.is_empty());
    let mut facts = ContainerFacts {
        name: take("io.kubernetes.cri.container-name").or_else(|| take("nerdctl/name")),
        image: take("io.kubernetes.cri.image-name"),
        digest: None,
        namespace: take("io.kubernetes.cri.sandbox-namespace"),
        pod: take("io.kubernetes.cri.sandbox-name"),
        ..ContainerFacts::default()
    };
    facts.labels = annotations;
    Some(facts)
}
