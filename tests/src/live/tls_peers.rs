//! Addresses of exchanges that were read inside TLS libraries: each request names those of its own connection.
//!
//! One end of each connection is let alone, so that what is known comes from the library of the other: of servers with
//! blocking sockets (OpenSSL in Python), with sockets of their own loop (nginx), with memory in between (Python's asyncio,
//! Node), of Go, and of clients.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use anyhow::{Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::bare,
    binary,
    certificate::Certificate,
    place::{Place, fixture},
    program::{Program, renamed},
    servers::{accepts, free_port},
    tls_life::PATIENCE,
    tls_servers::{caddy, nginx_tls, node, python},
    wait::until,
};

/// Requests of one client: four connections, three on each.
const EXCHANGES: usize = 4 * 3;

/// Who is let alone.
const UNREAD: [&str; 2] = ["peer-unread", "nginx-unread"];

/// Who is read, by the path of its requests.
const READ: [&str; 7] = [
    "asyncio",
    "blocking",
    "client-asyncio",
    "client-blocking",
    "go",
    "nginx",
    "node",
];

pub(super) fn peers_are_those_of_the_sockets(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let (recording, go) = (place.file("peers.apr"), place.file("go"));
    let configuration = format!("[capture.tls]\nexclude_comms = {UNREAD:?}\n");
    let configuration = place.write("apiarist.toml", configuration)?;
    let mut record = bare(&binary::apiarist()?);
    record.args(["record", "-o", &recording, "--config", &configuration]);
    let recorder = Program::start(&mut record, place)?;

    let [shut, open, caddy_port] = [free_port()?, free_port()?, free_port()?];
    let _shut = nginx_tls(place, "nginx-unread", &own, shut)?;
    let _open = nginx_tls(place, "nginx-peers", &own, open)?;
    let mut caddy = caddy(place, "caddy-peers", &own, caddy_port, "respond \"{}\"")?;
    let mut on_a_loop = python(place, "tls_looped.py", "asyncio", &own)?;
    let mut blocking = python(place, "tls_blocking.py", "blocking", &own)?;
    let mut node = node(place, &own)?;
    caddy.ready(|| accepts(caddy_port))?;

    let unread = renamed("python3", UNREAD[0], place)?;
    let reader = renamed("python3", "peer-read", place)?;
    let asked = [
        (&unread, "asyncio", on_a_loop.port()?, "asyncio"),
        (&unread, "blocking", blocking.port()?, "blocking"),
        (&unread, "asyncio", caddy_port, "go"),
        (&unread, "blocking", open, "nginx"),
        (&unread, "asyncio", node.port()?, "node"),
        (&reader, "asyncio", shut, "client-asyncio"),
        (&reader, "blocking", shut, "client-blocking"),
    ];
    let mut clients = Vec::new();
    for (python, mode, port, who) in asked {
        let mut client = Command::new(python);
        client.args([&fixture("tls_peers.py"), mode, &port.to_string(), who, &go]);
        clients.push(Program::start(&mut client, place)?);
    }
    until(PATIENCE, || {
        let rows = trace(place, &recording)?;
        for who in READ {
            let warm = format!("/warm/{who}");
            ensure!(
                rows.iter().any(|row| text(row, "target") == Some(&warm)),
                "no {warm} yet"
            );
        }
        Ok(())
    })?;
    fs::write(&go, "")?;
    for client in clients {
        client.end(PATIENCE)?.success()?;
    }
    recorder.signal(Signal::TERM)?;
    recorder.end(PATIENCE)?.success()?;
    check(&trace(place, &recording)?)
}

/// What the agent makes of a recording, which may still grow.
pub(super) fn trace(place: &Place, recording: &str) -> Result<Vec<Value>> {
    let trace = place.file("trace.jsonl");
    // Of another time, if there is one.
    fs::remove_file(&trace).ok();
    let mut replay = bare(&binary::apiarist()?);
    replay.args(["replay", recording, "--trace", &trace]);
    let ended = Program::run(&mut replay, place, PATIENCE)?;
    ensure!(Path::new(&trace).exists(), "no trace: {}", ended.err);
    let text = fs::read_to_string(&trace)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}

pub(super) fn text<'a>(row: &'a Value, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Value::as_str)
}

/// All exchanges are there, each between the addresses that its request names.
fn check(rows: &[Value]) -> Result<()> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows {
        let named = text(row, "target").and_then(|target| {
            let (who, rest) = target.split_once("?from=")?;
            let (from, to) = rest.split_once("&to=")?;
            Some((who.trim_start_matches('/'), from, to))
        });
        // Others of this machine.
        let Some((who, from, to)) = named else { continue };
        ensure!(
            text(row, "client") == Some(from) && text(row, "server") == Some(to),
            "{row}"
        );
        *seen.entry(who).or_default() += 1;
    }
    let expected = READ.map(|who| (who, EXCHANGES)).into();
    ensure!(seen == expected, "exchanges by library: {seen:?}");
    Ok(())
}
