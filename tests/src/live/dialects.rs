//! Protocols that ride on HTTP, by programs that people use: gRPC, HTTP/2 under load, WebSocket, GraphQL, MCP. Every call is
//! counted under its name.

use std::{process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use apiarist::inventory::EndpointView;
use rustix::process::Signal;

use super::{
    agent::{Agent, stored},
    certificate::Certificate,
    lacks,
    place::{Place, fixture},
    program::{Program, command, output, renamed},
    same,
    servers::{accepts, free_port},
    wait::until,
};
use crate::python::interpreter;

/// Longest wait for a client to end, and for its calls to be listed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Room for a load that comes faster than an agent without optimisation reads it.
const RING_BYTES: &str = "[capture]\nring_bytes = 67108864\n";

/// What is compared of an endpoint.
fn line(row: &EndpointView) -> String {
    format!(
        "{} {} [{}] {} of {}",
        serde_json::to_value(row.kind)
            .map_or(String::new(), |kind| kind.as_str().unwrap_or_default().to_owned()),
        row.template,
        row.operation.as_deref().unwrap_or("-"),
        row.completeness.complete,
        row.hits
    )
}

fn lines(rows: &[EndpointView], workload: &str) -> Vec<String> {
    let own = rows.iter().filter(|row| row.workload == workload);
    let mut lines: Vec<String> = own.map(line).collect();
    lines.sort();
    lines
}

fn watch(place: &Place) -> Result<Agent<'_>> {
    let configuration = place.write("apiarist.toml", RING_BYTES)?;
    Agent::of(place, &["--config", &configuration])
}

/// Waits until the endpoints are these, and asks the store for the same when the agent has stopped.
fn conclude(agent: Agent<'_>, place: &Place, workload: &str, expected: &[&str]) -> Result<()> {
    let mut expected: Vec<String> = expected.iter().map(|line| (*line).to_owned()).collect();
    expected.sort();
    until(PATIENCE, || {
        let seen = lines(&agent.endpoints()?, workload);
        same(&format!("endpoints of {workload}"), &seen, &expected)
    })
    .with_context(|| agent.lost())?;
    agent.stop(Signal::TERM)?;
    same("stored endpoints", &lines(&stored(place)?, workload), &expected)
}

/// Runs server and client of `kind`, both scripts, and compares.
fn scripted(place: &Place, kind: &str, module: &str, expected: &[&str]) -> Result<()> {
    secured(place, kind, module, None, expected)
}

/// The same, over TLS if there is a certificate.
fn secured(
    place: &Place,
    kind: &str,
    module: &str,
    own: Option<&Certificate>,
    expected: &[&str],
) -> Result<()> {
    let script = fixture("dialects.py");
    if output("python3", &["-c", &format!("import {module}")], place).is_err() {
        return Err(lacks(&format!("python3-{module}")));
    }
    let agent = watch(place)?;
    let python = || {
        let mut python = command("python3")?;
        if let Some(Certificate { certificate, key }) = own {
            python.env("CERTIFICATE", certificate).env("KEY", key);
        }
        anyhow::Ok(python)
    };
    let mut server = Program::start(python()?.args([&script, "serve", kind]), place)?;
    let port = server.first_line()?;
    let mut client = python()?;
    client.args([&script, "call", kind, &port]);
    Program::run(&mut client, place, PATIENCE)?.success()?;
    conclude(agent, place, "dialects.py", expected)
}

pub(super) fn grpcio_calls(place: &Place) -> Result<()> {
    grpcio(place, None)
}

pub(super) fn grpcio_calls_over_tls(place: &Place) -> Result<()> {
    grpcio(place, Some(&Certificate::new(place)?))
}

fn grpcio(place: &Place, own: Option<&Certificate>) -> Result<()> {
    let name = |method: &str, count| {
        format!("grpc /shop.v1.Cart/{method} [shop.v1.Cart/{method}] {count} of {count}")
    };
    let expected = [
        name("Get", 100),
        name("List", 20),
        name("Add", 20),
        name("Chat", 20),
        name("Drop", 20),
    ];
    let expected = expected.each_ref().map(String::as_str);
    secured(place, "grpc", "grpc", own, &expected)
}

pub(super) fn websockets_talk(place: &Place) -> Result<()> {
    scripted(
        place,
        "websocket",
        "websockets",
        &["websocket /rooms/{roomId} [-] 20 of 20"],
    )
}

pub(super) fn graphql_answers(place: &Place) -> Result<()> {
    scripted(
        place,
        "graphql",
        "graphql",
        &[
            "graphql /graphql [query GetUser] 30 of 30",
            "graphql /graphql [query users] 20 of 20",
            "graphql /graphql [mutation Rename] 10 of 10",
        ],
    )
}

/// Server and client are of the protocol's own SDK.
pub(super) fn mcp_tools_are_called(place: &Place) -> Result<()> {
    let python = interpreter("mcp-python", &["mcp==2.3.0"])?;
    let script = fixture("tools.py");
    let agent = watch(place)?;
    let mut server = Program::start(Command::new(&python).args([&script, "serve"]), place)?;
    let port = server.first_line()?;
    let mut client = Command::new(&python);
    Program::run(client.args([&script, "call", &port]), place, PATIENCE)?.success()?;
    conclude(
        agent,
        place,
        "tools.py",
        &[
            "mcp /mcp [-] 1 of 1",
            "mcp /mcp [initialize] 1 of 1",
            "mcp /mcp [notifications/initialized] 1 of 1",
            "mcp /mcp [server/discover] 1 of 1",
            "mcp /mcp [tools/call search] 50 of 50",
            "mcp /mcp [tools/list] 2 of 2",
            "rest /mcp [-] 1 of 1",
        ],
    )
}

pub(super) fn etcd_serves(place: &Place) -> Result<()> {
    etcd(place, "http", &[], &[])
}

/// gRPC over TLS, by Go on both sides.
pub(super) fn etcd_serves_tls(place: &Place) -> Result<()> {
    let Certificate { certificate, key } = Certificate::new(place)?;
    etcd(
        place,
        "https",
        &["--cert-file", &certificate, "--key-file", &key],
        &["--cacert", &certificate],
    )
}

fn etcd(place: &Place, scheme: &str, of_server: &[&str], of_client: &[&str]) -> Result<()> {
    command("etcdctl")?;
    let (port, peers) = (free_port()?, free_port()?);
    let (url, peer_url) = (
        format!("{scheme}://127.0.0.1:{port}"),
        format!("http://127.0.0.1:{peers}"),
    );
    let etcd = renamed("etcd", "etcd-orders", place)?;
    let agent = watch(place)?;
    let mut etcd = Command::new(etcd);
    etcd.args(["--name", "default", "--data-dir", &place.file("etcd")])
        .args(of_server)
        .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
        .args([
            "--listen-peer-urls",
            &peer_url,
            "--initial-advertise-peer-urls",
            &peer_url,
        ])
        .args(["--initial-cluster", &format!("default={peer_url}")]);
    let mut etcd = Program::start(&mut etcd, place)?;
    etcd.ready(|| accepts(port))?;
    if scheme == "https" {
        agent.probes(&place.path().join("etcd-orders"), 1)?;
    }
    let control = |arguments: &[&str]| {
        let mut control = command("etcdctl")?;
        control
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &url])
            .args(of_client)
            .args(arguments);
        Program::run(&mut control, place, PATIENCE)?.success()
    };
    let large = "v".repeat(100_000);
    for number in 0..10 {
        let key = format!("/orders/{number}");
        control(&["put", &key, if number == 0 { &large } else { "v" }])?;
        let got = control(&["get", &key, "--print-value-only"])?;
        ensure!(
            got.trim_end().len() == if number == 0 { large.len() } else { 1 },
            "etcd gave {got:?}"
        );
    }
    control(&["del", "/orders/", "--prefix"])?;
    conclude(
        agent,
        place,
        "etcd-orders",
        &[
            "grpc /etcdserverpb.KV/Put [etcdserverpb.KV/Put] 10 of 10",
            "grpc /etcdserverpb.KV/Range [etcdserverpb.KV/Range] 10 of 10",
            "grpc /etcdserverpb.KV/DeleteRange [etcdserverpb.KV/DeleteRange] 1 of 1",
        ],
    )
}

/// Many streams at once.
pub(super) fn h2load_against_nghttpd(place: &Place) -> Result<()> {
    command("h2load")?;
    let port = free_port()?;
    let root = place.open_to_all("www")?;
    std::fs::write(root.join("small"), b"small")?;
    std::fs::write(root.join("large"), vec![b'l'; 1 << 20])?;
    let server = renamed("nghttpd", "nghttpd-load", place)?;
    let agent = watch(place)?;
    let mut server = Program::start(
        Command::new(server)
            .args(["--no-tls", "-d"])
            .arg(&root)
            .arg(port.to_string()),
        place,
    )?;
    server.ready(|| accepts(port))?;
    for (path, count) in [("small", 2000), ("large", 60)] {
        let url = format!("http://127.0.0.1:{port}/{path}");
        let said = output(
            "h2load",
            &["-n", &count.to_string(), "-c", "4", "-m", "10", &url],
            place,
        )?;
        ensure!(said.contains(&format!("{count} succeeded")), "{said}");
    }
    conclude(
        agent,
        place,
        "nghttpd-load",
        &["rest /large [-] 60 of 60", "rest /small [-] 2000 of 2000"],
    )
}
