//! Whole texts of `/proc/<pid>/cgroup`, of every runtime, on hosts with the first, the second and both versions of control groups.

use super::cgroup::parse;

const ID: &str = "3f2a9c4e5b6d7081923a4b5c6d7e8f90112233445566778899aabbccddeeff00";
const UID: &str = "2f8a1b3c-4d5e-6f70-8192-a3b4c5d6e7f8";

/// Hosts, by the lines that a process in `PATH` has.
const HOSTS: [(&str, &str); 3] = [
    (
        "v1",
        "12:pids:PATH\n11:memory:PATH\n4:cpu,cpuacct:PATH\n3:freezer:PATH\n1:name=systemd:PATH\n",
    ),
    ("v2", "0::PATH\n"),
    // The second version is there, but only the first is used for limits.
    (
        "hybrid",
        "9:memory:PATH\n8:pids:PATH\n1:name=systemd:PATH\n0::PATH\n",
    ),
];

/// What wrote the path, the runtime that is named, whether it is a pod's, and the path.
const PATHS: [(&str, &str, bool, &str); 18] = [
    (
        "docker, systemd",
        "docker",
        false,
        "/system.slice/docker-ID.scope",
    ),
    ("docker, cgroupfs", "docker", false, "/docker/ID"),
    (
        "docker in docker",
        "docker",
        false,
        "/docker/0000000000000000000000000000000000000000000000000000000000000000/docker/ID",
    ),
    (
        "docker, rootless",
        "docker",
        false,
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
    ),
    (
        "containerd, nerdctl and systemd",
        "containerd",
        false,
        "/system.slice/nerdctl-ID.scope",
    ),
    (
        "containerd, nerdctl and cgroupfs",
        "containerd",
        false,
        "/default/ID",
    ),
    (
        "containerd, kubelet and systemd",
        "containerd",
        true,
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope",
    ),
    (
        "containerd, kubelet and cgroupfs",
        "oci",
        true,
        "/kubepods/besteffort/podUID/ID",
    ),
    (
        "containerd, guaranteed",
        "containerd",
        true,
        "/kubepods.slice/kubepods-podUNDER.slice/cri-containerd-ID.scope",
    ),
    (
        "containerd, in kind",
        "containerd",
        true,
        "/docker/0000000000000000000000000000000000000000000000000000000000000000/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-podUNDER.slice/cri-containerd-ID.scope",
    ),
    (
        "CRI-O, systemd",
        "cri-o",
        true,
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUNDER.slice/crio-ID.scope",
    ),
    (
        "CRI-O, cgroupfs",
        "cri-o",
        true,
        "/kubepods/burstable/podUID/crio-ID",
    ),
    (
        "CRI-O, with a group of its own inside",
        "cri-o",
        true,
        "/kubepods.slice/kubepods-podUNDER.slice/crio-ID.scope/container",
    ),
    (
        "podman, systemd",
        "podman",
        false,
        "/machine.slice/libpod-ID.scope",
    ),
    ("podman, cgroupfs", "podman", false, "/libpod_parent/libpod-ID"),
    (
        "podman, rootless",
        "podman",
        false,
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
    ),
    (
        "podman, a pod of its own",
        "podman",
        false,
        "/machine.slice/machine-libpod_pod_0000.slice/libpod-ID.scope",
    ),
    (
        "podman, quadlet",
        "podman",
        false,
        "/system.slice/web.service/libpod-payload-ID",
    ),
];

#[test]
fn every_runtime_on_every_version() {
    for (written_by, runtime, is_pod, path) in PATHS {
        let path = path
            .replace("UNDER", &UID.replace('-', "_"))
            .replace("podUID", &format!("pod{UID}"));
        let path = path.replace("ID", ID);
        for (version, lines) in HOSTS {
            let placement = parse(&lines.replace("PATH", &path));
            let what = format!("{written_by}, {version}: {path}");
            let container = placement.container.expect(&what);
            assert_eq!(
                (container.runtime, container.id.as_str()),
                (runtime, ID),
                "{what}"
            );
            assert_eq!(placement.pod.as_deref(), is_pod.then_some(UID), "{what}");
        }
    }
}

#[test]
fn on_hybrid_hosts_either_version_may_be_the_one_that_tells() {
    let path = format!("/docker/{ID}");
    for lines in [
        "5:pids:PATH\n1:name=systemd:/\n0::/\n",
        "5:pids:/\n1:name=systemd:/\n0::PATH\n",
        "1:name=systemd:PATH\n0::/system.slice/docker.service\n",
    ] {
        let placement = parse(&lines.replace("PATH", &path));
        assert_eq!(
            placement.container.map(|container| container.id).as_deref(),
            Some(ID),
            "{lines}"
        );
    }
}
