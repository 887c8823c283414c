//! The kubelet's log directories: `/var/log/pods/<namespace>_<pod>_<uid>/<container>` (kubelet, `BuildPodLogsDirectory`).
//! They are there with every runtime, and say who a pod is when the runtime's own files do not.

use std::{fs, path::Path};

use super::ContainerFacts;

/// Pods that are looked through, at most: a node has some hundred.
const MAX_PODS: usize = 4096;

/// Adds what the name of the directory tells and is not known yet.
pub(super) fn complete(root: &Path, uid: &str, facts: &mut ContainerFacts) {
    if facts.namespace.is_some() && facts.pod.is_some() {
        return;
    }
    let Ok(pods) = fs::read_dir(root.join("var/log/pods")) else {
        return;
    };
    for pod in pods.flatten().take(MAX_PODS) {
        let name = pod.file_name();
        let name = name.to_string_lossy();
        // Neither namespaces nor names of pods may hold an underscore (RFC 1123).
        let mut parts = name.splitn(3, '_');
        let (Some(namespace), Some(pod_name), Some(found)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        if found != uid {
            continue;
        }
        facts.namespace.get_or_insert_with(|| namespace.to_owned());
        facts.pod.get_or_insert_with(|| pod_name.to_owned());
        if facts.name.is_none() {
            facts.name = only_container(&pod.path());
        }
        return;
    }
}

/// The container of a pod that has but one.
fn only_container(pod: &Path) -> Option<String> {
    let mut containers = fs::read_dir(pod)
        .ok()?
        .flatten()
        .filter(|entry| entry.path().is_dir());
    let first = containers.next()?;
    containers
        .next()
        .is_none()
        .then(|| first.file_name().to_string_lossy().into_owned())
}
