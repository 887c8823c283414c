//! A service of a real systemd, which is the first process of namespaces of its own.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::{inventory::WorkloadView, workload::WorkloadKind};

use super::{
    agent::{Agent, PATIENCE},
    lacks,
    place::{Place, fixture},
    program::{Program, command, output},
    servers::{accepts, free_port},
    wait::until,
};

/// Control group of all that systemd starts.
const GROUP: &str = "apiarist-systemd";

/// Where the agent looks for the unit's file: systemd has one of its own, below a `/run` that only it sees.
const UNIT: &str = "/run/systemd/system/apiarist-shop.service";

pub(super) fn systemd_starts_a_service(place: &Place) -> Result<()> {
    if !Path::new("/lib/systemd/systemd").is_file() {
        return Err(lacks("systemd"));
    }
    let agent = Agent::start(place)?;
    let port = free_port()?;
    let groups = Groups;
    let unit_file = UnitFile::write("[Service]\nX-Owner=storefront\n")?;
    let mut systemd = command("sh")?;
    systemd.args([&fixture("systemd.sh"), GROUP, &port.to_string()]);
    let mut systemd = Program::start(&mut systemd, place)?;
    systemd.ready(|| accepts(port))?;
    output("curl", &["-sS", &format!("http://127.0.0.1:{port}/")], place)?;
    let shown = until(PATIENCE, || {
        let workloads = agent.workloads()?;
        let shown = workloads.iter().find(|row| row.name == "apiarist-shop").cloned();
        shown.with_context(|| format!("listed are {workloads:?}"))
    })?;
    drop(systemd);
    drop(groups);
    drop(unit_file);
    let WorkloadView {
        kind,
        unit,
        script,
        container,
        hits,
        owner,
        ..
    } = shown;
    ensure!(kind == WorkloadKind::Systemd, "it is a {kind:?}");
    ensure!(
        unit.as_deref() == Some("apiarist-shop.service"),
        "its unit is {unit:?}"
    );
    ensure!(
        script.as_deref() == Some("http.server"),
        "its script is {script:?}"
    );
    ensure!(container.is_none(), "its container is {container:?}");
    ensure!(owner.as_deref() == Some("storefront"), "its owner is {owner:?}");
    ensure!(hits == 1, "{hits} exchanges");
    Ok(())
}

/// The file of the unit, removed when dropped.
struct UnitFile;

impl UnitFile {
    fn write(content: &str) -> Result<Self> {
        let path = Path::new(UNIT);
        fs::create_dir_all(path.parent().unwrap_or(path))?;
        fs::write(path, content)?;
        Ok(Self)
    }
}

impl Drop for UnitFile {
    fn drop(&mut self) {
        fs::remove_file(UNIT).ok();
    }
}

/// Removes the control groups when dropped, as far as nothing runs in them.
struct Groups;

impl Drop for Groups {
    fn drop(&mut self) {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
        let groups: Vec<PathBuf> = hierarchies
            .map(|entry| entry.path())
            .chain([PathBuf::from("/sys/fs/cgroup")])
            .map(|hierarchy| hierarchy.join(GROUP))
            .collect();
        // What was killed is in its group for a moment yet. Groups that are left over are used by the next run.
        until(PATIENCE / 4, || {
            groups.iter().for_each(|group| remove(group));
            ensure!(!groups.iter().any(|group| group.exists()), "groups are in use");
            Ok(())
        })
        .ok();
    }
}

/// Removes a control group after those in it. What is in use stays.
fn remove(group: &Path) {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove(&entry.path());
    }
    fs::remove_dir(group).ok();
}
