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

/// What a client of rustls asks for.
const RESOURCE: &str = "tools";

/// A server among clients of other libraries, and of its own with connections side by side and one after the other.
pub(super) fn rustls_serves(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = watch(place, RING_BYTES)?;
    let binary = copy(place, "rustls-server")?;
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

/// Clients, of a server that is let alone: what is known comes from them, each exchange between its own addresses.
pub(super) fn rustls_asks(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let (recording, port) = (place.file("rustls.apr"), free_port()?);
    let configuration = place.write(
        "apiarist.toml",
        format!("{RING_BYTES}[capture.tls]\nexclude_comms = [\"nginx-unread\"]\n"),
    )?;
    let mut record = bare(&binary::apiarist()?);
    record.args(["record", "-o", &recording, "--config", &configuration]);
    let recorder = Program::start(&mut record, place)?;
    let _nginx = nginx_tls(place, "nginx-unread", &own, port)?;
    // Keeps its functions probed while clients come and go.
    let binary = copy(place, "rustls-idle")?;
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
    ask(place, &binary, port, "one")?;
    recorder.signal(Signal::TERM)?;
    recorder.end(PATIENCE)?.success()?;
    let mut seen: BTreeMap<(String, u64), usize> = BTreeMap::new();
    for row in trace(place, &recording)? {
        let Some((_, named)) = text(&row, "target").and_then(|target| target.split_once("?from=")) else {
            continue;
        };
        let addresses = text(&row, "client").zip(text(&row, "server"));
        ensure!(named.split_once("&to=") == addresses, "{row}");
        let method = text(&row, "method").context("no method")?.to_owned();
        let status = row.get("status").and_then(Value::as_u64).context("no status")?;
        *seen.entry((method, status)).or_default() += 1;
    }
    let expected = [("DELETE", 409), ("GET", 200), ("POST", 201)];
    let expected = expected.map(|(method, status)| ((method.to_owned(), status), 20));
    ensure!(seen == expected.into(), "{seen:?}");
    Ok(())
}

fn copy(place: &Place, name: &str) -> Result<PathBuf> {
    let copy = place.path().join(name);
    fs::copy(binary::beside("tls_rustls")?, &copy).context("cannot copy the program")?;
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
