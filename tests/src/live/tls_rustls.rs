//! HTTPS by rustls, which executables have linked in: read at either end by the names of its functions.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use super::{
    agent::bare,
    binary,
    certificate::Certificate,
    place::Place,
    program::{Program, output},
    rows::{row, sorted},
    servers::free_port,
    tls_clients::{self, seen},
    tls_life::{PATIENCE, RING_BYTES, coverage, watch},
    tls_peers::{text, trace},
    tls_servers::nginx_tls,
    wait::until,
};

/// Clients of other libraries, by OpenSSL: one connection, one after the other, and several at once.
const CLIENTS: [&str; 3] = ["curl", "tls_client.py", "tls_async.py"];

/// What clients of rustls are answered.
const ANSWERS: [(&str, u64); 3] = [("DELETE", 409), ("GET", 200), ("POST", 201)];

/// What they ask for.
const RESOURCE: &str = "tools";

/// A server among clients of other libraries, and of its own with connections side by side and one after the other.
pub(super) fn rustls_serves(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    let binary = copy(place, "tls_rustls", "rustls-server")?;
    let mut server = serve(place, &binary, &own)?;
    let port = server.port()?;
    agent.probes(&binary, 1)?;
    tls_clients::ask(place, &CLIENTS.map(|client| (client, port)))?;
    for (name, order) in [("rustls-all", "all"), ("rustls-one", "one")] {
        ask(place, &link(place, &binary, name)?, port, order)?;
    }
    let row = coverage(&agent, "rustls-server", |row| row.tls_library.is_some())?;
    ensure!(
        row.tls_library.as_deref() == Some("rustls") && row.read_pct == 100.0,
        "{row:?}"
    );
    agent.expect(
        "rustls-server",
        &sorted(
            [
                seen(&CLIENTS.map(|client| (client, client))),
                asked("rustls-all, rustls-one", 40),
            ]
            .concat(),
        ),
    )
}

/// A server of hyper on tokio-rustls, whose connections go from thread to thread, in HTTP/1 and HTTP/2.
pub(super) fn hyper_serves(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    let binary = copy(place, "tls_hyper", "hyper-server")?;
    let mut server = serve(place, &binary, &own)?;
    let port = server.port()?;
    agent.probes(&binary, 1)?;
    tls_clients::ask(place, &CLIENTS.map(|client| (client, port)))?;
    for (name, order) in [("hyper-all", "all"), ("hyper-h2", "h2"), ("hyper-one", "one")] {
        ask(place, &link(place, &binary, name)?, port, order)?;
    }
    agent.expect(
        "hyper-server",
        &sorted(
            [
                seen(&CLIENTS.map(|client| (client, client))),
                asked("hyper-all, hyper-h2, hyper-one", 60),
            ]
            .concat(),
        ),
    )
}

/// Clients, one connection after the other, and all at once.
pub(super) fn rustls_asks(place: &Place) -> Result<()> {
    asks(place, "tls_rustls")
}

/// Clients whose connections move between threads, after their handshakes and later.
pub(super) fn hyper_asks(place: &Place) -> Result<()> {
    asks(place, "tls_hyper")
}

/// Clients of a server that is let alone: what is known comes from them, each exchange between its own addresses.
fn asks(place: &Place, program: &str) -> Result<()> {
    let own = Certificate::new(place)?;
    let (recording, port) = (place.file("rustls.apr"), free_port()?);
    let recorder = record(place, &recording, "nginx-unread")?;
    let _nginx = nginx_tls(place, "nginx-unread", &own, port)?;
    // Keeps its functions probed while clients come and go.
    let binary = copy(place, program, "rustls-idle")?;
    let mut idle = serve(place, &binary, &own)?;
    let warm = format!("https://127.0.0.1:{}/warm", idle.port()?);
    until(PATIENCE, || {
        output("curl", &["-sSk", "--max-time", "20", &warm], place)?;
        let rows = trace(place, &recording)?;
        ensure!(
            rows.iter().any(|row| text(row, "target") == Some("/warm")),
            "not probed yet"
        );
        Ok(())
    })?;
    for order in ["one", "all"] {
        ask(place, &binary, port, order)?;
    }
    recorder.signal(Signal::TERM)?;
    recorder.end(PATIENCE)?.success()?;
    let expected = ANSWERS.map(|(method, status)| ((method.to_owned(), status), 40));
    let seen = answers(place, &recording)?;
    ensure!(seen == expected.into(), "{seen:?}");
    Ok(())
}

/// Connections of both ends that are older than the agent: what they wrote before it knew them is missing, and nothing is taken
/// for something else.
pub(super) fn older_hyper_is_read(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let binary = copy(place, "tls_hyper", "hyper-older")?;
    let mut server = serve(place, &binary, &own)?;
    let mut load = Command::new(link(place, &binary, "hyper-load")?);
    load.args(["ask", &server.port()?.to_string(), RESOURCE, "on"]);
    let load = Program::start(&mut load, place)?;
    // An exchange is told by the server's end, or by the client's where that is let alone.
    for alone in ["nobody", "hyper-older"] {
        let recording = place.file(&format!("{alone}.apr"));
        let recorder = record(place, &recording, alone)?;
        let seen = until(PATIENCE, || {
            let mut seen = answers(place, &recording)?;
            // Of exchanges that were under way, the answer may not be known.
            seen.retain(|(_, status), _| *status != 0);
            let enough = ANSWERS.map(|(method, status)| seen.get(&(method.to_owned(), status)) >= Some(&50));
            ensure!(enough == [true; 3], "{alone} is let alone: {seen:?}");
            Ok(seen)
        })?;
        ensure!(seen.len() == ANSWERS.len(), "{alone} is let alone: {seen:?}");
        recorder.signal(Signal::TERM)?;
        recorder.end(PATIENCE)?.success()?;
    }
    load.signal(Signal::TERM)?;
    load.end(PATIENCE).map(drop)
}

/// Records, and lets TLS of programs of a name alone.
fn record(place: &Place, recording: &str, alone: &str) -> Result<Program> {
    let configuration = place.write(
        "apiarist.toml",
        format!("{RING_BYTES}[capture.tls]\nexclude_comms = [\"{alone}\"]\n"),
    )?;
    let mut record = bare(&binary::apiarist()?);
    record.args(["record", "-o", recording, "--config", &configuration]);
    Program::start(&mut record, place)
}

/// How often each answer was recorded, to requests that say between which addresses they are, and are.
fn answers(place: &Place, recording: &str) -> Result<BTreeMap<(String, u64), usize>> {
    let mut seen: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for row in trace(place, recording)? {
        let Some((_, named)) = text(&row, "target").and_then(|target| target.split_once("?from=")) else {
            continue;
        };
        let addresses = text(&row, "client").zip(text(&row, "server"));
        ensure!(named.split_once("&to=") == addresses, "{row}");
        let method = text(&row, "method").context("no method")?.to_owned();
        // Zero for an answer that is not known.
        let status = row.get("status").and_then(Value::as_u64).unwrap_or(0);
        *seen.entry((method, status)).or_default() += 1;
    }
    Ok(seen)
}

fn copy(place: &Place, program: &str, name: &str) -> Result<PathBuf> {
    let copy = place.path().join(name);
    fs::copy(binary::beside(program)?, &copy).context("cannot copy the program")?;
    Ok(copy)
}

/// The same file under another name: what is probed in one is probed in the other.
fn link(place: &Place, binary: &Path, name: &str) -> Result<PathBuf> {
    let link = place.path().join(name);
    fs::hard_link(binary, &link).context("cannot link the program")?;
    Ok(link)
}

/// Prints its port.
fn serve(place: &Place, binary: &Path, own: &Certificate) -> Result<Program> {
    let mut server = Command::new(binary);
    server.args(["serve", &own.certificate, &own.key]);
    Program::start(&mut server, place)
}

fn ask(place: &Place, binary: &Path, port: u16, order: &str) -> Result<()> {
    let mut client = Command::new(binary);
    client.args(["ask", &port.to_string(), RESOURCE, order]);
    Program::run(&mut client, place, PATIENCE)?.success().map(drop)
}

/// What is to be listed of such clients.
fn asked(callers: &str, count: u64) -> Vec<String> {
    let of = |method, path: &str, class| {
        row(
            method,
            &format!("/{RESOURCE}/{{toolId}}{path}"),
            class,
            count,
            callers,
        )
    };
    sorted(vec![
        of("GET", "/orders/{orderId}", "2xx"),
        of("POST", "/orders", "2xx"),
        of("DELETE", "", "4xx"),
    ])
}
