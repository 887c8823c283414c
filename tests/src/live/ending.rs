//! How the agent ends: told to, or not.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use apiarist::clock::monotonic_ns;
use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::{Agent, PATIENCE, stored},
    note,
    place::{Place, fixture},
    program::{Program, command, output},
    rows::{self, row},
    same,
    wait::until,
};

pub(super) fn stops_on_sigterm(place: &Place) -> Result<()> {
    stops_on(place, Signal::TERM)
}

pub(super) fn stops_on_sigint(place: &Place) -> Result<()> {
    stops_on(place, Signal::INT)
}

fn stops_on(place: &Place, signal: Signal) -> Result<()> {
    let agent = Agent::start(place)?;
    let ended = agent.stop(signal)?;
    // What it looks for in libraries is logged for other tests.
    let complains = ended.err.lines().any(|line| !line.contains("DEBUG"));
    ensure!(
        ended.out.lines().count() >= 2 && !complains,
        "said: {}{}",
        ended.out,
        ended.err
    );
    ensure!(
        !place.path().join("agent.sock").exists(),
        "the socket was left behind"
    );
    Ok(())
}

/// The kernel has the programs and maps that it had before, told by somebody else's tool: at a usual end, and at none.
pub(super) fn leaves_the_kernel_as_it_was(place: &Place) -> Result<()> {
    let before = kernel_objects(place)?;
    for is_killed in [false, true] {
        let agent = Agent::start(place)?;
        let with_agent = kernel_objects(place)?;
        for kind in KINDS {
            let more = with_agent.iter().filter(|object| object.starts_with(kind));
            let more = more.filter(|object| !before.contains(object));
            ensure!(more.count() >= 8, "the agent has hardly a {kind}: {with_agent:?}");
        }
        if is_killed {
            agent.kill()?;
        } else {
            agent.stop(Signal::TERM)?;
        }
        // The kernel frees them a moment after their last use.
        until(PATIENCE, || {
            same("programs and maps", &kernel_objects(place)?, &before)
        })?;
    }
    Ok(())
}

/// Libraries that are probed, each a file of its own and mapped by a process of its own.
const LIBRARIES: usize = 20;

/// Ends as soon with many probed files as with none: what the kernel waits for at each probe is waited for together.
pub(super) fn many_libraries_are_let_go_of(place: &Place) -> Result<()> {
    let before = kernel_objects(place)?;
    let library = format!("/usr/lib/{}-linux-gnu/libssl.so.3", std::env::consts::ARCH);
    let copies: Vec<PathBuf> = (0..LIBRARIES)
        .map(|number| place.path().join(format!("libssl-{number}.so.3")))
        .collect();
    for copy in &copies {
        fs::copy(&library, copy).with_context(|| format!("cannot copy {library}"))?;
    }
    let mut mapping = command("python3")?;
    mapping.args([&fixture("tls_mapped.py"), &LIBRARIES.to_string()]);
    let mut mapping = Program::start(mapping.args(&copies), place)?;
    mapping.first_line()?;
    for is_killed in [false, true] {
        let agent = Agent::start(place)?;
        for copy in &copies {
            agent.probes(copy, 1)?;
        }
        let asked_ns = monotonic_ns();
        if is_killed {
            agent.kill()?;
        } else {
            agent.stop(Signal::TERM)?;
        }
        note(&format!(
            "{LIBRARIES} probed libraries, {}: gone after {:.1} s",
            if is_killed { "killed" } else { "stopped" },
            (monotonic_ns() - asked_ns) as f64 / 1e9
        ));
        until(PATIENCE, || {
            same("programs and maps", &kernel_objects(place)?, &before)
        })?;
    }
    Ok(())
}

/// What bpftool lists.
const KINDS: [&str; 2] = ["prog", "map"];

/// Kind, id and name of what bpftool finds in the kernel; it leaves out its own.
fn kernel_objects(place: &Place) -> Result<Vec<String>> {
    let mut objects = Vec::new();
    for kind in KINDS {
        let listed: Vec<Value> = serde_json::from_str(&output("bpftool", &["-j", kind, "show"], place)?)?;
        objects.extend(listed.iter().filter_map(|object| {
            let name = object.get("name").and_then(Value::as_str).unwrap_or_default();
            Some(format!("{kind} {} {name}", object.get("id")?))
        }));
    }
    objects.sort();
    Ok(objects)
}

/// What was written is there after `kill -9`, for a query without an agent and for the next one, which goes on counting.
pub(super) fn keeps_what_it_knew_when_killed(place: &Place) -> Result<()> {
    let mut server = Program::start(
        command("python3")?.args([&fixture("orders_server.py"), &place.file("orders.sock")]),
        place,
    )?;
    let at = server.first_line()?;
    let port = at.split(' ').next().unwrap_or_default();
    let url = format!("http://127.0.0.1:{port}/users/[1-5]/orders/7");
    let seen = |count| {
        [row(
            "GET",
            "/users/{userId}/orders/{orderId}",
            "2xx",
            count,
            "curl",
        )]
    };

    let agent = Agent::start(place)?;
    output("curl", &["-sS", &url], place)?;
    agent.shows("orders_server.py", &seen(5))?;
    // What is shown is not yet what is kept: the store is written now and then.
    until(PATIENCE, || {
        same(
            "stored endpoints",
            &rows::of(&stored(place)?, "orders_server.py"),
            &seen(5),
        )
    })?;
    agent.kill()?;
    same(
        "stored endpoints",
        &rows::of(&stored(place)?, "orders_server.py"),
        &seen(5),
    )?;

    let agent = Agent::start(place)?;
    agent.shows("orders_server.py", &seen(5))?;
    output("curl", &["-sS", &url], place)?;
    agent.expect("orders_server.py", &seen(10))
}
