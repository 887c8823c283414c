//! TLS of Go where its runtime gets in the way: functions that start twice.

use std::process::Command;

use anyhow::{Result, ensure};

use super::{
    certificate::Certificate,
    place::{Place, fixture},
    program::{Program, command, output},
    tls_life::{PATIENCE, RING_BYTES, get, watch},
};

/// Answers on one connection, each written a call deeper than the last. Stacks start with 2 KiB and double: they grow at
/// a write for several depths of these.
const ANSWERS: u64 = 400;

/// A write that starts again, for its stack had to grow, is one write.
pub(super) fn writes_from_growing_stacks_are_told_once(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let binary = place.path().join("go-deep");
    let mut build = command("go")?;
    build
        .env("GO111MODULE", "off")
        .env("GOCACHE", place.path().join("go-cache"));
    build
        .args(["build", "-o"])
        .arg(&binary)
        .arg(fixture("tls_deep.go"));
    Program::run(&mut build, place, PATIENCE)?.success()?;
    let agent = watch(place, RING_BYTES)?;
    let mut server = Command::new(&binary);
    server.args([&own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    let port: u16 = server.first_line()?.parse()?;
    agent.probes(&binary, 1)?;
    let url = format!("https://127.0.0.1:{port}/users/[1-{ANSWERS}]/orders/7");
    output("curl", &["-sSk", "--http1.1", "--max-time", "60", &url], place)?;
    agent.shows("go-deep", &get(ANSWERS, "curl"))?;
    // What comes twice is an answer that nobody asked for.
    let counters = agent.status()?.counters;
    for name in ["orphan_responses", "malformed"] {
        ensure!(counters.get(name) == Some(&0), "{name}: {:?}", counters.get(name));
    }
    agent.expect("go-deep", &get(ANSWERS, "curl"))
}
