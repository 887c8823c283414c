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

/// A container that nobody has called yet is known by the socket it listens on.
pub(super) fn podman_listens(place: &Place) -> Result<()> {
    let image = Image::import(place, &["team=payments"])?;
    let serve = ["python3", "-m", "http.server", "8099", "--directory", "/srv"];
    let shop = image.start("apiarist-idle", "none", &serve)?;
    until(PATIENCE, || {
        let sockets = shop.in_its_network("ss", &["-Hltn"])?;
        ensure!(sockets.contains(":8099"), "it listens on {sockets}");
        Ok(())
    })?;
    let agent = Agent::start(place)?;
    let listed = |exchanges: u64| {
        until(PATIENCE, || {
            let status = agent.status()?;
            let found = status
                .listeners
                .iter()
                .find(|row| row.workload == "apiarist-idle")
                .cloned();
            let found = found.with_context(|| format!("listed are {:?}", status.listeners))?;
            ensure!(found.exchanges == exchanges, "{} exchanges", found.exchanges);
            Ok(found)
        })
    };
    let found = listed(0)?;
    let seen = (
        found.address.as_str(),
        found.port,
        found.exposure.as_str(),
        found.owner.as_deref(),
    );
    // Its network has a loopback device and nothing else.
    let expected = ("0.0.0.0", 8099, "host", Some("payments"));
    ensure!(seen == expected, "it shows {seen:?}, not {expected:?}");
    ensure!(
        agent.workloads()?.iter().all(|row| row.name != "apiarist-idle"),
        "it is listed as one that was called"
    );
    shop.in_its_network("curl", &["-sSf", "http://127.0.0.1:8099/stock.json"])?;
    listed(1).map(drop)
}

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
