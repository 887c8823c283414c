//! What a container runtime has written down about a container: name, image, pod, labels.
//!
//! In: where the control group places a process, and the root of the host's files. Out: [`ContainerFacts`]. Reads the
//! runtimes' own state files, bounded, once per container; each runtime has a file here that knows where and in what
//! form. Refuses to talk to a runtime's socket: that would need rights to start containers. What no file tells stays
//! unknown.

mod containerd;
mod docker;
mod pod_logs;
mod storage;

use std::{
    collections::BTreeMap,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lru::LruCache;
use serde_json::Value;

use super::{
    cgroup::Placement,
    kubernetes::{Cluster, Pod},
};
use crate::bounded::remember;

/// Containers that are remembered. Overflow policy: the one not asked for the longest is read again when needed.
const REMEMBERED: usize = 2048;

/// Longest state file, in bytes. Overflow policy: a longer one is not read; those of pods with many mounts have some 100 KiB.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Labels kept of a container, and bytes of a name or value. Overflow policy: further labels, in order of name, and longer
/// ones are left out.
const MAX_LABELS: usize = 32;
const MAX_LABEL_BYTES: usize = 256;

/// What is known about a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContainerFacts {
    /// Its name, as a person gave it.
    pub name: Option<String>,
    /// Its image, as it was asked for.
    pub image: Option<String>,
    /// Digest or id of the image: changes with each build.
    pub digest: Option<String>,
    /// Kubernetes namespace.
    pub namespace: Option<String>,
    /// Name of the pod.
    pub pod: Option<String>,
    /// Labels of the container, or of its pod.
    pub labels: BTreeMap<String, String>,
    /// Kind and name of what made the pod; only the API server tells.
    pub controller: Option<String>,
    /// As whom the pod speaks to the API server; only it tells.
    pub service_account: Option<String>,
    /// Services that the pod stands behind; only the API server tells.
    pub services: Vec<String>,
}

impl ContainerFacts {
    /// The same, with what the API server knows of the pod and of the container that has this id: it goes before what is written
    /// down on the node, which may be older.
    #[must_use]
    pub fn told_by(mut self, cluster: &Cluster, pod: &Pod, id: &str) -> Self {
        let mut containers = pod.containers.iter();
        if let Some(container) = containers.find(|container| container.id == id) {
            self.name = Some(container.name.clone());
            self.image = Some(container.image.clone());
            self.digest = container.digest.clone().or(self.digest);
        } else if let [only] = pod.containers.as_slice() {
            // The watch is a little behind: its status does not say the id yet.
            self.name.get_or_insert_with(|| only.name.clone());
            self.image.get_or_insert_with(|| only.image.clone());
        }
        self.namespace = Some(pod.namespace.clone());
        self.pod = Some(pod.name.clone());
        self.controller.clone_from(&pod.controller);
        self.service_account.clone_from(&pod.service_account);
        self.services = cluster.services_of(pod);
        self.labels.extend(pod.annotations.clone());
        self.labels.extend(pod.labels.clone());
        self
    }
}

/// Reads and remembers what runtimes have written down.
#[derive(Debug)]
pub struct Runtimes {
    root: PathBuf,
    known: LruCache<String, Arc<ContainerFacts>>,
}

impl Runtimes {
    /// `root` is where the host's files are: `/`, or `/proc/1/root` from inside a container.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            known: remember(REMEMBERED),
        }
    }

    /// What is known about the container of a process; `None` when it is in none.
    pub fn describe(&mut self, placement: &Placement) -> Option<Arc<ContainerFacts>> {
        let container = placement
            .container
            .as_ref()
            .filter(|container| !container.is_named())?;
        if let Some(facts) = self.known.get(&container.id) {
            return Some(Arc::clone(facts));
        }
        let mut facts = self.read(container.runtime, &container.id).unwrap_or_default();
        if let Some(uid) = &placement.pod {
            pod_logs::complete(&self.root, uid, &mut facts);
        }
        bound(&mut facts.labels);
        let facts = Arc::new(facts);
        // Nothing found may mean that the file is about to be written: asked again with the next process.
        if *facts != ContainerFacts::default() {
            self.known.put(container.id.clone(), Arc::clone(&facts));
        }
        Some(facts)
    }

    fn read(&self, runtime: &str, id: &str) -> Option<ContainerFacts> {
        match runtime {
            "docker" => docker::read(&self.root, id),
            "containerd" => containerd::read(&self.root, id),
            "cri-o" | "podman" => storage::read(&self.root, id),
            // The path did not tell which.
            _ => containerd::read(&self.root, id)
                .or_else(|| storage::read(&self.root, id))
                .or_else(|| docker::read(&self.root, id)),
        }
    }
}

fn bound(labels: &mut BTreeMap<String, String>) {
    labels.retain(|name, value| name.len() <= MAX_LABEL_BYTES && value.len() <= MAX_LABEL_BYTES);
    while labels.len() > MAX_LABELS {
        labels.pop_last();
    }
}

/// The JSON in a file; `None` if there is none, it is too long, or it is no JSON.
fn json(path: &Path) -> Option<Value> {
    let file = File::open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text).ok()?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return None;
    }
    serde_json::from_slice(&text).ok()
}

fn text(value: &Value, pointer: &str) -> Option<String> {
    let found = value.pointer(pointer)?.as_str()?;
    (!found.is_empty()).then(|| found.to_owned())
}

/// The members of an object that are text.
fn map(value: Option<&Value>) -> BTreeMap<String, String> {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::{super::cgroup, *};

    const ID: &str = "3f2a9c4e5b6d7081923a4b5c6d7e8f90112233445566778899aabbccddeeff00";
    const UID: &str = "2f8a1b3c-4d5e-6f70-8192-a3b4c5d6e7f8";

    fn host(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path.replace("UID", UID).replace("ID", ID));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content.replace("$UID", UID).replace("$ID", ID)).unwrap();
        }
        root
    }

    fn described(files: &[(&str, &str)], path: &str) -> ContainerFacts {
        let root = host(files);
        let placement = cgroup::parse(&format!("0::{}\n", path.replace("UID", UID).replace("ID", ID)));
        let facts = Runtimes::new(root.path()).describe(&placement).unwrap();
        (*facts).clone()
    }

    #[test]
    fn docker_names_its_containers() {
        let facts = described(
            &[(
                "var/lib/docker/containers/ID/config.v2.json",
                r#"{"ID":"$ID","Name":"/shop-web-1","Image":"sha256:ab12","Config":{"Image":"shop/web:1.4",
                    "Labels":{"com.docker.compose.service":"web","team":"payments","n":7}}}"#,
            )],
            "/system.slice/docker-ID.scope",
        );
        assert_eq!(facts.name.as_deref(), Some("web"));
        assert_eq!(facts.image.as_deref(), Some("shop/web:1.4"));
        assert_eq!(facts.digest.as_deref(), Some("sha256:ab12"));
        assert_eq!(facts.labels.get("team").map(String::as_str), Some("payments"));
        assert!(!facts.labels.contains_key("n"));
        let elsewhere = described(
            &[
                ("etc/docker/daemon.json", r#"{"data-root": "/srv/docker"}"#),
                ("srv/docker/containers/ID/config.v2.json", r#"{"Name":"/cache"}"#),
            ],
            "/docker/ID",
        );
        assert_eq!(elsewhere.name.as_deref(), Some("cache"));
    }

    #[test]
    fn containerd_names_containers_of_pods() {
        let facts = described(
            &[(
                "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
                r#"{"annotations":{"io.kubernetes.cri.container-name":"api","io.kubernetes.cri.image-name":"reg/shop:2",
                    "io.kubernetes.cri.sandbox-name":"shop-7d4b9c-x2x4z","io.kubernetes.cri.sandbox-namespace":"prod"}}"#,
            )],
            "/kubepods.slice/kubepods-pod2f8a1b3c_4d5e_6f70_8192_a3b4c5d6e7f8.slice/cri-containerd-ID.scope",
        );
        assert_eq!(facts.name.as_deref(), Some("api"));
        assert_eq!(facts.image.as_deref(), Some("reg/shop:2"));
        assert_eq!(
            (facts.namespace.as_deref(), facts.pod.as_deref()),
            (Some("prod"), Some("shop-7d4b9c-x2x4z"))
        );
    }

    #[test]
    fn cri_o_and_podman_share_a_store() {
        let crio = described(
            &[(
                "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
                r#"{"annotations":{"io.kubernetes.container.name":"api","io.kubernetes.pod.name":"shop-0",
                    "io.kubernetes.pod.namespace":"prod","io.kubernetes.cri-o.ImageName":"reg/shop:2",
                    "io.kubernetes.cri-o.ImageRef":"sha256:cd","io.kubernetes.cri-o.Labels":"{\"app\":\"shop\"}"}}"#,
            )],
            "/kubepods/podUID/crio-ID",
        );
        assert_eq!(crio.pod.as_deref(), Some("shop-0"));
        assert_eq!(crio.digest.as_deref(), Some("sha256:cd"));
        assert_eq!(crio.labels.get("app").map(String::as_str), Some("shop"));
        let podman = described(
            &[
                (
                    "var/lib/containers/storage/overlay-containers/ID/userdata/config.json",
                    r#"{"annotations":{"io.container.manager":"libpod","org.opencontainers.image.version":"12"}}"#,
                ),
                (
                    "var/lib/containers/storage/overlay-containers/containers.json",
                    r#"[{"id":"other","names":["no"]},{"id":"$ID","names":["cache"],"image":"ee99",
                        "metadata":"{\"image-name\":\"docker.io/library/redis:7\",\"name\":\"cache\"}"}]"#,
                ),
            ],
            "/machine.slice/libpod-ID.scope/container",
        );
        assert_eq!(podman.name.as_deref(), Some("cache"));
        assert_eq!(podman.image.as_deref(), Some("docker.io/library/redis:7"));
        assert_eq!(podman.digest.as_deref(), Some("ee99"));
        let image = ID.replace('3', "4");
        let name = format!("={}", STANDARD.encode(format!("sha256:{image}")));
        let labelled = described(
            &[
                (
                    "var/lib/containers/storage/vfs-containers/ID/userdata/config.json",
                    r#"{"annotations":{"team":"search"}}"#,
                ),
                (
                    "var/lib/containers/storage/vfs-containers/containers.json",
                    &format!(r#"[{{"id":"$ID","names":["cache"],"image":"{image}"}}]"#),
                ),
                (
                    &format!("var/lib/containers/storage/vfs-images/{image}/{name}"),
                    r#"{"config":{"Labels":{"team":"payments","owner":"shop"}}}"#,
                ),
            ],
            "/machine.slice/libpod-ID.scope/container",
        );
        let label = |name: &str| labelled.labels.get(name).map(String::as_str);
        assert_eq!((label("team"), label("owner")), (Some("search"), Some("shop")));
    }

    #[test]
    fn the_names_of_log_directories_tell_the_pod_when_nothing_else_does() {
        let facts = described(
            &[("var/log/pods/prod_shop-7d4b9c-x2x4z_UID/api/0.log", "")],
            "/kubepods/burstable/podUID/ID",
        );
        assert_eq!(
            (facts.namespace.as_deref(), facts.pod.as_deref()),
            (Some("prod"), Some("shop-7d4b9c-x2x4z"))
        );
        assert_eq!(facts.name.as_deref(), Some("api"));
    }

    #[test]
    fn hostile_files_tell_nothing_and_cost_little() {
        let long = "x".repeat(MAX_FILE_BYTES as usize + 10);
        let at = "var/lib/docker/containers/ID/config.v2.json";
        for content in ["", "{", "[]", "null", r#"{"Name":7,"Config":[]}"#, long.as_str()] {
            let facts = described(&[(at, content)], "/docker/ID");
            assert_eq!(
                facts,
                ContainerFacts::default(),
                "{}",
                &content[..content.len().min(20)]
            );
        }
        let labels: Vec<String> = (0..1000)
            .map(|number| format!("\"l{number:04}\":\"v\""))
            .collect();
        let many = format!(
            r#"{{"Name":"/a","Config":{{"Labels":{{{}}}}}}}"#,
            labels.join(",")
        );
        assert_eq!(described(&[(at, &many)], "/docker/ID").labels.len(), MAX_LABELS);
    }

    #[test]
    fn a_process_in_no_container_is_not_described() {
        let root = host(&[]);
        let mut runtimes = Runtimes::new(root.path());
        assert!(
            runtimes
                .describe(&cgroup::parse("0::/system.slice/nginx.service\n"))
                .is_none()
        );
        assert!(runtimes.describe(&cgroup::parse("0::/lxc/web\n")).is_none());
    }
}
