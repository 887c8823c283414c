//! What the path of a control group says: container, pod, systemd unit.
//!
//! In: the text of `/proc/<pid>/cgroup` (v1, v2 or hybrid). Out: a [`Placement`]. Knows Docker, containerd
//! (CRI, nerdctl), CRI-O, podman, LXC, systemd-nspawn and the Kubernetes hierarchies of both cgroup drivers.
//! Sources: cgroups(7); systemd.unit(5) for escaping; the kubelet's `cgroup_manager_linux.go`. Refuses to guess:
//! a path that no rule knows names nothing.

/// Where a process is placed by its control groups.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Placement {
    /// The path that was used.
    pub path: Option<String>,
    /// Deepest systemd service or scope, escapes kept as systemd writes them.
    pub unit: Option<String>,
    /// Deepest container.
    pub container: Option<Container>,
    /// Kubernetes pod uid, with dashes.
    pub pod: Option<String>,
}

/// A container as a path names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `docker`, `containerd`, `cri-o`, `podman`, `lxc`, `nspawn`, or `oci` when the path does not tell.
    pub runtime: &'static str,
    /// 64 hex digits, or the name that LXC and systemd-nspawn use.
    pub id: String,
}

impl Container {
    /// Whether the id is a name that a person gave, not a random number.
    pub fn is_named(&self) -> bool {
        matches!(self.runtime, "lxc" | "nspawn")
    }
}

/// Bytes of one path that are looked at. Overflow policy: a longer path is ignored.
const MAX_PATH_BYTES: usize = 4096;

/// Parses the text of `/proc/<pid>/cgroup`. The path that says most wins: container, then pod, then unit; among
/// equals the v2 path, then the deepest.
pub fn parse(text: &str) -> Placement {
    text.lines()
        .filter_map(|line| {
            // hierarchy-id ":" controllers ":" path
            let (hierarchy, rest) = line.split_once(':')?;
            let (_, path) = rest.split_once(':')?;
            (path.len() <= MAX_PATH_BYTES).then(|| (hierarchy == "0", place(path)))
        })
        .max_by_key(|(v2, placement)| {
            let depth = placement
                .path
                .as_deref()
                .map_or(0, |path| path.matches('/').count());
            (
                placement.container.is_some(),
                placement.pod.is_some(),
                placement.unit.is_some(),
                *v2,
                depth,
            )
        })
        .map(|(_, placement)| placement)
        .unwrap_or_default()
}

fn place(path: &str) -> Placement {
    let mut placement = Placement {
        path: Some(path.to_owned()),
        ..Placement::default()
    };
    let mut parent = "";
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        if let Some(uid) = pod_uid(segment) {
            placement.pod = Some(uid);
        }
        if let Some(container) = container(segment, parent, placement.pod.is_some()) {
            placement.container = Some(container);
            // Units above a container belong to its runtime.
            placement.unit = None;
        } else if segment.ends_with(".service") || segment.ends_with(".scope") {
            placement.unit = Some(segment.to_owned());
        }
        parent = segment;
    }
    placement
}

/// Prefixes that OCI runtimes put before the id, with and without `.scope`. `…-conmon-<id>` is the monitor of a
/// container, not the container: its rest is no id and does not match.
const OCI_PREFIXES: &[(&str, &str)] = &[
    ("docker-", "docker"),
    ("cri-containerd-", "containerd"),
    ("nerdctl-", "containerd"),
    ("crio-", "cri-o"),
    // Under a unit that a person wrote, as quadlet does.
    ("libpod-payload-", "podman"),
    ("libpod-", "podman"),
];

fn container(segment: &str, parent: &str, in_pod: bool) -> Option<Container> {
    let stem = segment.strip_suffix(".scope").unwrap_or(segment);
    for (prefix, runtime) in OCI_PREFIXES {
        if let Some(id) = stem.strip_prefix(prefix).filter(|id| is_oci_id(id)) {
            return Some(named(runtime, id));
        }
    }
    if is_oci_id(segment) {
        let runtime = match parent {
            "docker" => "docker",
            "default" | "k8s.io" | "moby" | "nerdctl" => "containerd",
            _ if in_pod => "oci",
            _ if parent.starts_with("libpod") => "podman",
            _ => "oci",
        };
        return Some(named(runtime, segment));
    }
    // `<slice>:cri-containerd:<id>`: the systemd form of the path, used with the cgroupfs driver.
    if let Some((head, id)) = segment.rsplit_once(':').filter(|(_, id)| is_oci_id(id)) {
        let prefix = head.rsplit(':').next().unwrap_or(head);
        let runtime = OCI_PREFIXES
            .iter()
            .find(|(known, _)| known.trim_end_matches('-') == prefix)
            .map_or("oci", |(_, runtime)| runtime);
        return Some(named(runtime, id));
    }
    system_container(segment, stem, parent)
}

/// Containers that run a whole system and carry a name: LXC, systemd-nspawn.
fn system_container(segment: &str, stem: &str, parent: &str) -> Option<Container> {
    if let Some(name) = segment.strip_prefix("lxc.payload.") {
        return Some(named("lxc", name));
    }
    if matches!(parent, "lxc" | "lxc.payload") && !segment.ends_with(".service") {
        return Some(named("lxc", segment));
    }
    if let Some(name) = segment
        .strip_prefix("systemd-nspawn@")
        .and_then(|rest| rest.strip_suffix(".service"))
    {
        return Some(named("nspawn", &unescape(name)));
    }
    let machine = stem.strip_prefix("machine-").filter(|_| stem != segment)?;
    let name = unescape(machine);
    // libvirt registers its guests here too.
    let virtual_machine = name.starts_with("qemu-") || name.starts_with("lxc-");
    (!virtual_machine).then(|| named("nspawn", &name))
}

fn named(runtime: &'static str, id: &str) -> Container {
    Container {
        runtime,
        id: id.to_owned(),
    }
}

/// The id of an OCI container: 64 lower-case hex digits.
fn is_oci_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The uid in `pod<uid>` (cgroupfs driver) or `kubepods[-burstable|-besteffort]-pod<uid>.slice` (systemd driver,
/// which writes dashes as underscores).
fn pod_uid(segment: &str) -> Option<String> {
    let stem = segment.split(':').next().unwrap_or(segment);
    let rest = match stem.strip_suffix(".slice") {
        Some(stem) => stem.rsplit_once("-pod").map(|(_, rest)| rest)?,
        None => stem.strip_prefix("pod")?,
    };
    let digits = rest.bytes().filter(u8::is_ascii_hexdigit).count();
    let rest_is_dashes = rest
        .bytes()
        .all(|b| b.is_ascii_hexdigit() || b == b'-' || b == b'_');
    (digits == 32 && rest_is_dashes).then(|| rest.replace('_', "-"))
}

/// Undoes systemd's escaping of unit names (`\x2d` is `-`) for display; what is no escape stays.
pub fn unescape(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let escaped = match rest {
            [b'\\', b'x', high, low, after @ ..] => {
                hex(*high).zip(hex(*low)).map(|(h, l)| (h << 4 | l, after))
            }
            _ => None,
        };
        let (byte, next) = escaped.unwrap_or((*first, tail));
        bytes.push(byte);
        rest = next;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c4e5b6d7081923a4b5c6d7e8f90112233445566778899aabbccddeeff00";
    const UID: &str = "2f8a1b3c-4d5e-6f70-8192-a3b4c5d6e7f8";

    fn at(path: &str) -> Placement {
        parse(&format!("0::{path}\n"))
    }

    #[track_caller]
    fn assert_container(path: &str, runtime: &str) {
        let container = at(path).container.expect(path);
        assert_eq!(
            (container.runtime, container.id.as_str()),
            (runtime, ID),
            "{path}"
        );
    }

    #[test]
    fn oci_runtimes() {
        assert_container(&format!("/system.slice/docker-{ID}.scope"), "docker");
        assert_container(&format!("/docker/{ID}"), "docker");
        assert_container(&format!("/docker/{ID}/init.scope"), "docker");
        assert_container(&format!("/system.slice/nerdctl-{ID}.scope"), "containerd");
        assert_container(&format!("/default/{ID}"), "containerd");
        assert_container(&format!("/k8s.io/{ID}"), "containerd");
        assert_container(&format!("/machine.slice/libpod-{ID}.scope/container"), "podman");
        assert_container(&format!("/libpod_parent/libpod-{ID}"), "podman");
        assert_container(
            &format!("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
            "podman",
        );
        assert_container(&format!("/../../system.slice/docker-{ID}.scope"), "docker");
    }

    #[test]
    fn pods_of_both_drivers() {
        let systemd_uid = UID.replace('-', "_");
        for (path, runtime) in [
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{systemd_uid}.slice/cri-containerd-{ID}.scope"
                ),
                "containerd",
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{systemd_uid}.slice/crio-{ID}.scope/container"
                ),
                "cri-o",
            ),
            (
                format!("/kubepods.slice/kubepods-pod{systemd_uid}.slice/docker-{ID}.scope"),
                "docker",
            ),
            (format!("/kubepods/burstable/pod{UID}/{ID}"), "oci"),
            (format!("/kubepods/pod{UID}/crio-{ID}"), "cri-o"),
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{systemd_uid}.slice:cri-containerd:{ID}"
                ),
                "containerd",
            ),
        ] {
            assert_container(&path, runtime);
            assert_eq!(at(&path).pod.as_deref(), Some(UID), "{path}");
            assert_eq!(at(&path).unit, None, "{path}");
        }
        let static_pod = at("/kubepods/besteffort/pod0123456789abcdef0123456789abcdef");
        assert_eq!(
            static_pod.pod.as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
    }

    #[test]
    fn system_containers_by_name() {
        for (path, runtime, name) in [
            ("/lxc/web", "lxc", "web"),
            ("/lxc.payload.web/system.slice/nginx.service", "lxc", "web"),
            ("/lxc.payload/web", "lxc", "web"),
            (
                "/machine.slice/systemd-nspawn@build\\x2dbox.service/payload",
                "nspawn",
                "build-box",
            ),
            ("/machine.slice/machine-web\\x2d1.scope", "nspawn", "web-1"),
        ] {
            let container = at(path).container.expect(path);
            assert_eq!(
                (container.runtime, container.id.as_str()),
                (runtime, name),
                "{path}"
            );
            assert!(container.is_named());
        }
        assert_eq!(
            at("/lxc.payload.web/system.slice/nginx.service").unit.as_deref(),
            Some("nginx.service")
        );
        assert_eq!(
            at("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope").container,
            None
        );
        assert_eq!(at("/lxc.monitor.web").container, None);
    }

    #[test]
    fn monitors_are_not_containers() {
        assert_eq!(
            at(&format!("/machine.slice/libpod-conmon-{ID}.scope")).container,
            None
        );
        assert_eq!(
            at(&format!("/system.slice/crio-conmon-{ID}.scope")).container,
            None
        );
        assert_eq!(
            at("/process_api/657afe3f6403e4943af66c501c9b91f7").container,
            None
        );
    }

    #[test]
    fn deepest_unit_wins() {
        let unit = |path| at(path).unit;
        assert_eq!(
            unit("/system.slice/nginx.service").as_deref(),
            Some("nginx.service")
        );
        assert_eq!(
            unit("/user.slice/user-1000.slice/user@1000.service/app.slice/api.service").as_deref(),
            Some("api.service")
        );
        assert_eq!(
            unit("/user.slice/user-1000.slice/session-3.scope").as_deref(),
            Some("session-3.scope")
        );
        assert_eq!(unit("/"), None);
        assert_eq!(unit("/system.slice"), None);
    }

    #[test]
    fn hybrid_and_v1_hierarchies() {
        let hybrid = format!(
            "12:pids:/docker/{ID}\n1:name=systemd:/docker/{ID}\n0::/system.slice/containerd.service\n"
        );
        assert_eq!(parse(&hybrid).container.expect("container").runtime, "docker");
        let v1 = "9:memory:/\n3:cpu,cpuacct:/\n1:name=systemd:/system.slice/api.service\n";
        assert_eq!(parse(v1).unit.as_deref(), Some("api.service"));
        assert_eq!(parse(v1).path.as_deref(), Some("/system.slice/api.service"));
    }

    #[test]
    fn nonsense_names_nothing() {
        for text in ["", "\n\n", "0", "0::", ":::", "0::/\u{fffd}/\\x", "a:b"] {
            let placement = parse(text);
            assert_eq!(
                (placement.unit, placement.container, placement.pod),
                (None, None, None)
            );
        }
        assert_eq!(unescape("a\\x2db\\x"), "a-b\\x");
        assert_eq!(unescape("\\xzz\\x2"), "\\xzz\\x2");
    }
}
