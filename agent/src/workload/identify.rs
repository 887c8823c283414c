//! The rule that names a process: pure, so that every runtime has a test.
//!
//! In: [`ProcessFacts`]. Out: a [`Workload`]. The most specific name wins: container or pod, systemd unit, script
//! of an interpreter, executable, task name.

use super::{
    Workload, WorkloadKind, cgroup, cgroup::Placement, controller, runtime::ContainerFacts, script, stable_id,
};

/// What /proc says about one process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessFacts {
    /// Target of `/proc/<pid>/exe`.
    pub executable: Option<String>,
    /// `/proc/<pid>/cmdline`, split at its NULs.
    pub arguments: Vec<String>,
    /// Target of `/proc/<pid>/cwd`: resolves a relative script.
    pub directory: Option<String>,
    /// Name of the task.
    pub comm: String,
    /// Text of `/proc/<pid>/cgroup`.
    pub cgroup: String,
}

/// What the kernel appends to the path of an executable that was replaced on disk.
const DELETED: &str = " (deleted)";

/// Names a process of whose container nothing is known. See [`identify_in`].
pub fn identify(facts: &ProcessFacts) -> Workload {
    identify_in(facts, None)
}

/// Names a process. Equal facts give equal workloads; the id depends on nothing that changes at a restart.
pub fn identify_in(facts: &ProcessFacts, container: Option<&ContainerFacts>) -> Workload {
    let placement = cgroup::parse(&facts.cgroup);
    let executable = facts
        .executable
        .as_deref()
        .map(|path| path.strip_suffix(DELETED).unwrap_or(path))
        .filter(|path| !path.is_empty());
    let own_name = executable
        .or(facts.arguments.first().map(String::as_str))
        .map(script::file_name)
        .unwrap_or_default();
    let script = script::script(own_name, &facts.arguments);
    let program = script
        .map(script::file_name)
        .or(executable.map(script::file_name))
        .filter(|name| !name.is_empty())
        .unwrap_or(&facts.comm);
    let script = script.map(|script| absolute(script, facts.directory.as_deref()));

    let nothing = ContainerFacts::default();
    let container = container.unwrap_or(&nothing);
    let (kind, name) = name(&placement, container, program);
    let detail = match kind {
        // Two scripts of one name in two directories are two programs; so are two containers' programs.
        WorkloadKind::Process => script.as_deref().unwrap_or_default(),
        WorkloadKind::Pod | WorkloadKind::Container => script.as_deref().or(executable).unwrap_or_default(),
        WorkloadKind::Systemd | WorkloadKind::Unknown => "",
    };
    // Names of controllers are unique in their namespace only, those of containers in their pod only.
    let scope = [
        container.namespace.as_deref(),
        container.name.as_deref().filter(|_| kind == WorkloadKind::Pod),
    ];
    let detail = scope
        .into_iter()
        .flatten()
        .chain([detail])
        .collect::<Vec<_>>()
        .join("\u{1f}");
    Workload {
        id: stable_id(kind, &name, &detail),
        name,
        kind,
        executable: executable.map(str::to_owned),
        unit: placement.unit.as_deref().map(cgroup::unescape),
        container: placement
            .container
            .as_ref()
            .map(|container| format!("{}://{}", container.runtime, container.id)),
        cgroup: placement.path.filter(|path| path != "/"),
        script,
        image: container.image.clone(),
        version: container.digest.clone(),
        namespace: container.namespace.clone(),
        pod: container.pod.clone(),
        controller: container.controller.clone(),
        service_account: container.service_account.clone(),
        services: container.services.clone(),
        owner: None,
    }
}

fn name(placement: &Placement, facts: &ContainerFacts, program: &str) -> (WorkloadKind, String) {
    let service = placement.unit.as_deref().and_then(service_name);
    match &placement.container {
        // A system container runs several services: file them apart.
        Some(container) if container.is_named() => {
            let inner = service.as_deref().unwrap_or(program);
            (WorkloadKind::Container, format!("{}/{inner}", container.id))
        }
        Some(_) if placement.pod.is_some() || facts.pod.is_some() => {
            let told = facts.controller.as_deref().and_then(|told| told.split_once('/'));
            let controller = told
                .map(|(_, name)| name)
                .or_else(|| Some(controller::of(facts.pod.as_deref()?, &facts.labels)));
            (WorkloadKind::Pod, controller.unwrap_or(program).to_owned())
        }
        Some(_) => (
            WorkloadKind::Container,
            facts.name.as_deref().unwrap_or(program).to_owned(),
        ),
        None => match service {
            Some(service) => (WorkloadKind::Systemd, service),
            None => (WorkloadKind::Process, program.to_owned()),
        },
    }
}

/// Starts of units that hold whatever a person or a tool started in them: they name nothing.
const GENERIC_UNITS: &[&str] = &[
    "session-",
    "user@",
    "user-runtime-dir@",
    "init.scope",
    "run-",
    "app-",
    "vte-spawn-",
    "tmux-spawn-",
    "dbus-",
    "gnome-terminal-server",
];

/// The name of a service or scope without its suffix, unless it is a generic one.
fn service_name(unit: &str) -> Option<String> {
    if GENERIC_UNITS.iter().any(|generic| unit.starts_with(generic)) {
        return None;
    }
    let stem = unit
        .strip_suffix(".service")
        .or_else(|| unit.strip_suffix(".scope"))
        .unwrap_or(unit);
    (!stem.is_empty()).then(|| cgroup::unescape(stem))
}

/// A relative path of a script file under the working directory; modules and classes as they are.
fn absolute(script: &str, directory: Option<&str>) -> String {
    let is_file = script.contains('/')
        || script
            .rsplit_once('.')
            .is_some_and(|(_, end)| SCRIPT_ENDINGS.contains(&end));
    match directory {
        Some(directory) if is_file && !script.starts_with('/') => {
            format!(
                "{}/{}",
                directory.trim_end_matches('/'),
                script.trim_start_matches("./")
            )
        }
        _ => script.to_owned(),
    }
}

const SCRIPT_ENDINGS: &[&str] = &[
    "py", "pyz", "js", "mjs", "cjs", "ts", "mts", "rb", "ru", "pl", "psgi", "php", "phar", "sh", "jar", "dll",
];

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2a9c4e5b6d7081923a4b5c6d7e8f90112233445566778899aabbccddeeff00";

    fn facts(executable: &str, line: &str, cgroup: &str) -> ProcessFacts {
        ProcessFacts {
            executable: (!executable.is_empty()).then(|| executable.to_owned()),
            arguments: line
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect(),
            directory: Some("/srv/shop".into()),
            comm: "task".into(),
            cgroup: format!("0::{cgroup}\n"),
        }
    }

    #[track_caller]
    fn assert_name(facts: &ProcessFacts, kind: WorkloadKind, name: &str) {
        let workload = identify(facts);
        assert_eq!((workload.kind, workload.name.as_str()), (kind, name));
    }

    #[test]
    fn the_most_specific_name_wins() {
        let python = |cgroup: &str| facts("/usr/bin/python3.11", "python3 app.py", cgroup);
        assert_name(
            &python(&format!("/system.slice/docker-{ID}.scope")),
            WorkloadKind::Container,
            "app.py",
        );
        assert_name(
            &python(&format!(
                "/kubepods/burstable/pod2f8a1b3c-4d5e-6f70-8192-a3b4c5d6e7f8/{ID}"
            )),
            WorkloadKind::Pod,
            "app.py",
        );
        assert_name(
            &python("/lxc.payload.web/system.slice/shop.service"),
            WorkloadKind::Container,
            "web/shop",
        );
        assert_name(&python("/lxc/web"), WorkloadKind::Container, "web/app.py");
        assert_name(
            &python("/system.slice/shop\\x2dapi.service"),
            WorkloadKind::Systemd,
            "shop-api",
        );
        assert_name(
            &python("/system.slice/shop@1.service"),
            WorkloadKind::Systemd,
            "shop@1",
        );
        for generic in [
            "/user.slice/user-0.slice/session-3.scope",
            "/user.slice/user-0.slice/user@0.service/init.scope",
            "/init.scope",
            "/system.slice/run-r1234.scope",
            "/",
        ] {
            assert_name(&python(generic), WorkloadKind::Process, "app.py");
        }
        assert_name(
            &facts("/usr/sbin/nginx", "nginx: worker process", "/"),
            WorkloadKind::Process,
            "nginx",
        );
        assert_name(&facts("", "", "/"), WorkloadKind::Process, "task");
    }

    #[test]
    fn a_container_has_the_name_its_runtime_knows_and_a_pod_its_controllers() {
        let facts = facts("/usr/bin/python3.11", "python3 app.py", &format!("/docker/{ID}"));
        let container = ContainerFacts {
            name: Some("web".into()),
            image: Some("shop/web:1".into()),
            ..ContainerFacts::default()
        };
        let workload = identify_in(&facts, Some(&container));
        assert_eq!(
            (workload.kind, workload.name.as_str()),
            (WorkloadKind::Container, "web")
        );
        assert_eq!(workload.image.as_deref(), Some("shop/web:1"));
        let pod = |namespace: &str, pod: &str| {
            let known = ContainerFacts {
                namespace: Some(namespace.into()),
                pod: Some(pod.into()),
                ..container.clone()
            };
            identify_in(&facts, Some(&known))
        };
        let (one, two) = (
            pod("prod", "shop-7d4b9c6f58-x2x4z"),
            pod("prod", "shop-7d4b9c6f58-b2b4z"),
        );
        assert_eq!((one.kind, one.name.as_str()), (WorkloadKind::Pod, "shop"));
        assert_eq!(one.id, two.id);
        assert_ne!(one.id, pod("test", "shop-7d4b9c6f58-x2x4z").id);
    }

    #[test]
    fn a_replaced_executable_keeps_its_name() {
        let workload = identify(&facts("/usr/bin/caddy (deleted)", "caddy run", "/"));
        assert_eq!(workload.executable.as_deref(), Some("/usr/bin/caddy"));
        assert_eq!(workload.name, "caddy");
    }

    #[test]
    fn scripts_are_told_apart_by_directory() {
        let mut here = facts("/usr/bin/python3", "python3 ./app.py", "/");
        let first = identify(&here);
        assert_eq!(first.script.as_deref(), Some("/srv/shop/app.py"));
        here.directory = Some("/srv/other".into());
        let second = identify(&here);
        assert_eq!(first.name, second.name);
        assert_ne!(first.id, second.id);
        let module = identify(&facts("/usr/bin/python3", "python3 -m http.server", "/"));
        assert_eq!(module.script.as_deref(), Some("http.server"));
    }

    #[test]
    fn a_restarted_container_is_the_same_workload() {
        let one = identify(&facts("/usr/sbin/nginx", "nginx", &format!("/docker/{ID}")));
        let other_id = ID.replace('3', "4");
        let two = identify(&facts("/usr/sbin/nginx", "nginx", &format!("/docker/{other_id}")));
        assert_eq!(one.id, two.id);
        assert_ne!(one.container, two.container);
        assert_eq!(one.container.as_deref(), Some(format!("docker://{ID}").as_str()));
    }
}
