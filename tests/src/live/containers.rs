//! Real containers, in networks of their own: what the agent calls them is what podman calls them.

use anyhow::{Context as _, Result, ensure};
use apiarist::{inventory::WorkloadView, workload::WorkloadKind};

use super::{
    agent::{Agent, PATIENCE},
    place::Place,
    podman::{IMAGE, Image},
    wait::until,
};

/// A caller that lives on, as services do.
const CALLER: &str = "
import time, urllib.request
for _ in range(5):
    urllib.request.urlopen('http://127.0.0.1:8099/stock.json').read()
time.sleep(600)
";

/// One container serves, another calls it; both share a network that the host is not in.
pub(super) fn podman_serves(place: &Place) -> Result<()> {
    let image = Image::import(place, &["team=payments"])?;
    let agent = Agent::start(place)?;
    let serve = ["python3", "-m", "http.server", "8099", "--directory", "/srv"];
    let shop = image.start("apiarist-shop", "none", &serve)?;
    until(PATIENCE, || {
        shop.in_its_network("curl", &["-sSf", "http://127.0.0.1:8099/stock.json"])
    })?;
    let _batch = image.start(
        "apiarist-batch",
        "container:apiarist-shop",
        &["python3", "-c", CALLER],
    )?;
    let shown = until(PATIENCE, || {
        let workloads = agent.workloads()?;
        let shown = workloads.iter().find(|row| row.name == "apiarist-shop").cloned();
        let shown = shown.with_context(|| format!("listed are {workloads:?}"))?;
        ensure!(shown.hits == 6, "{} exchanges", shown.hits);
        Ok(shown)
    })?;
    let WorkloadView {
        kind,
        container,
        image: from,
        version,
        owner,
        script,
        calls_from,
        ..
    } = shown;
    ensure!(kind == WorkloadKind::Container, "it is a {kind:?}");
    ensure!(
        container == Some(format!("podman://{}", shop.id()?)),
        "its id is {container:?}"
    );
    ensure!(from.as_deref() == Some(IMAGE), "its image is {from:?}");
    ensure!(
        version.as_deref() == Some(image.id.as_str()),
        "its version is {version:?}"
    );
    ensure!(owner.as_deref() == Some("payments"), "its owner is {owner:?}");
    ensure!(
        script.as_deref() == Some("http.server"),
        "its script is {script:?}"
    );
    ensure!(
        calls_from.get("apiarist-batch") == Some(&5),
        "called by {calls_from:?}"
    );
    Ok(())
}
