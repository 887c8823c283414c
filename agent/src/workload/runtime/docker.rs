//! Docker: `config.v2.json` in the directory of each container (moby, `container/container.go`), below the directory that
//! `daemon.json` names.

use std::path::{Path, PathBuf};

use super::{ContainerFacts, json, map, text};

/// Names by which compose and swarm know what a container is one of.
const SERVICE_LABELS: &[&str] = &["com.docker.compose.service", "com.docker.swarm.service.name"];

pub(super) fn read(root: &Path, id: &str) -> Option<ContainerFacts> {
    let directory = data_root(root).join("containers").join(id);
    let state = json(&directory.join("config.v2.json"))?;
    let labels = map(state.pointer("/Config/Labels"));
    let service = SERVICE_LABELS
        .iter()
        .find_map(|label| labels.get(*label).cloned());
    let own = text(&state, "/Name").map(|name| name.trim_start_matches('/').to_owned());
    Some(ContainerFacts {
        // A service outlives its containers, which are numbered.
        name: labels
            .get("io.kubernetes.container.name")
            .cloned()
            .or(service)
            .or(own),
        image: text(&state, "/Config/Image"),
        digest: text(&state, "/Image"),
        namespace: labels.get("io.kubernetes.pod.namespace").cloned(),
        pod: labels.get("io.kubernetes.pod.name").cloned(),
        labels,
        ..ContainerFacts::default()
    })
}

/// Where the daemon keeps its data; `graph` is the older name.
fn data_root(root: &Path) -> PathBuf {
    let configuration = json(&root.join("etc/docker/daemon.json"));
    let named = configuration.and_then(|json| text(&json, "/data-root").or_else(|| text(&json, "/graph")));
    let named = named.unwrap_or_else(|| "/var/lib/docker".to_owned());
    root.join(named.trim_start_matches('/'))
}
