//! What a thousand containers cost in memory: names, images, labels, pods and services, as the agent keeps them.
//!
//! The only test in its process: the measure is what the kernel says of the whole.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{collections::BTreeMap, fs, io::Write as _, os::unix::fs::symlink, path::Path};

use apiarist::{
    event::ProcessRef,
    workload::{
        Directory, WorkloadKind,
        kubernetes::{Change, Pod, PodContainer, Service, Update},
    },
};

const CONTAINERS: u32 = 1000;
const PROCESSES_OF_EACH: u32 = 4;
const LABELS: u32 = 20;

/// Of metadata, in bytes.
const BUDGET: u64 = 20_000_000;

fn uid(number: u32) -> String {
    format!("2f8a1b3c-4d5e-6f70-8192-{number:012x}")
}

fn container(number: u32) -> String {
    format!("{number:064x}")
}

fn labels() -> BTreeMap<String, String> {
    let label = |number| {
        (
            format!("example.test/label-{number:02}"),
            format!("a value of ordinary length, {number}"),
        )
    };
    (0..LABELS).map(label).collect()
}

/// A proc file system with the processes of a thousand pods, and what their runtime has written.
fn host(root: &Path) {
    let labels: Vec<String> = labels()
        .iter()
        .map(|(name, value)| format!("{name:?}:{value:?}"))
        .collect();
    for number in 0..CONTAINERS {
        let (id, uid) = (container(number), uid(number));
        let directory = root.join("1/root/var/lib/docker/containers").join(&id);
        fs::create_dir_all(&directory).unwrap();
        let state = format!(
            r#"{{"Name":"/k8s_api_{number}","Image":"sha256:{id}","Config":{{"Image":"registry.test/shop:{number}","Labels":{{{}}}}}}}"#,
            labels.join(",")
        );
        fs::write(directory.join("config.v2.json"), state).unwrap();
        for process in 0..PROCESSES_OF_EACH {
            let pid = 2 + number * PROCESSES_OF_EACH + process;
            let directory = root.join(pid.to_string());
            fs::create_dir(&directory).unwrap();
            symlink("/usr/local/bin/shop", directory.join("exe")).unwrap();
            fs::write(directory.join("cmdline"), "shop\0--port\08080\0").unwrap();
            let path = format!("0::/kubepods/burstable/pod{uid}/docker-{id}.scope\n");
            fs::write(directory.join("cgroup"), path).unwrap();
            let stat = format!("{pid} (shop) S 1 1 1 0 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 {pid} 0 0\n");
            fs::write(directory.join("stat"), stat).unwrap();
        }
    }
}

fn app(number: u32) -> (String, String) {
    ("app".to_owned(), format!("shop-{number}"))
}

fn pod(number: u32) -> Pod {
    Pod {
        uid: uid(number),
        namespace: "prod".into(),
        name: format!("shop-{number}-7d4b9c6f58-x2x4z"),
        controller: Some(format!("Deployment/shop-{number}")),
        labels: labels().into_iter().chain([app(number)]).collect(),
        annotations: labels(),
        service_account: Some("shop".into()),
        addresses: vec![[10, 1, (number >> 8) as u8, number as u8].into()],
        containers: vec![PodContainer {
            id: container(number),
            name: "api".into(),
            image: format!("registry.test/shop:{number}"),
            digest: Some(format!("sha256:{}", container(number))),
        }],
    }
}

fn service(number: u32) -> Service {
    Service {
        uid: format!("service-{number}"),
        namespace: "prod".into(),
        name: format!("shop-{number}"),
        selector: [app(number)].into(),
        addresses: vec![[10, 96, (number >> 8) as u8, number as u8].into()],
        is_exposed: false,
    }
}

/// Memory of this process that belongs to no file, in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn a_thousand_containers_take_less_than_20_mb() {
    let place = tempfile::tempdir().unwrap();
    host(place.path());
    let before = resident();
    let mut directory = Directory::new(place.path());
    directory.apply(Update::Services(Change::All(
        (0..CONTAINERS).map(service).collect(),
    )));
    directory.apply(Update::Pods(Change::All((0..CONTAINERS).map(pod).collect())));
    for pid in 2..2 + CONTAINERS * PROCESSES_OF_EACH {
        let process = ProcessRef {
            pid,
            start_ns: u64::from(pid) * 10_000_000,
            cgroup: 0,
            comm: "shop".into(),
        };
        let workload = directory.resolve(&process);
        assert_eq!(workload.kind, WorkloadKind::Pod);
        assert_eq!(workload.name, format!("shop-{}", (pid - 2) / PROCESSES_OF_EACH));
        assert_eq!(workload.services, std::slice::from_ref(&workload.name));
    }
    let taken = resident().saturating_sub(before);
    writeln!(std::io::stderr(), "{CONTAINERS} containers: {taken} bytes").unwrap();
    assert!(taken <= BUDGET, "{taken} bytes");
    // Kept until here.
    assert_eq!(directory.stats().gone, 0);
}
