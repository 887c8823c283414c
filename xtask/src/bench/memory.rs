//! `cargo xtask bench memory`: what the agent holds with many connections and endpoints.
//!
//! A client here keeps connections to nginx open and asks on one after the other, calls of JSON-RPC whose methods are
//! endpoints each. Both ends are on this host, so the agent follows twice as many sockets. The configuration is the default.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{
    agent::{Agent, Resident},
    process::{Place, Process, free_port, listening},
};
use crate::shell::{run, say};

const CONNECTIONS: usize = 10_000;
const ENDPOINTS: usize = 1_000;

/// Calls on each connection.
const ROUNDS: usize = 20;

/// Descriptors that the client and the server need.
const DESCRIPTORS: u64 = CONNECTIONS as u64 + 1_000;

/// Time for the agent to write its store twice: what that takes is part of what it holds.
const REST: Duration = Duration::from_secs(25);

/// Measures, and prints a line for each state. The figures.
pub(super) fn measure(binary: &Path) -> Result<Value> {
    let place = Place::new()?;
    // Of this process and those that it starts.
    let (pid, limit) = (
        std::process::id(),
        format!("--nofile={DESCRIPTORS}:{DESCRIPTORS}"),
    );
    run(Command::new("prlimit").args([&limit, "--pid", &pid.to_string()]))?;
    let (address, _server) = server(&place)?;
    let agent = Agent::start(binary, &place)?;
    let mut states = Vec::new();
    let mut note = |state: &str, resident: Resident| {
        say(format!("memory, {state}: {resident}"));
        states.push(json!({"state": state, "resident": resident.json()}));
    };
    note("at the start", agent.resident());
    let before = agent.figures()?;
    let mut connections = (0..CONNECTIONS)
        .map(|_| TcpStream::connect(address).context("cannot connect"))
        .collect::<Result<Vec<_>>>()?;
    let mut asked = 0;
    for _ in 0..ROUNDS {
        for connection in &mut connections {
            ask(connection, asked)?;
            asked += 1;
        }
    }
    note("after the last call", agent.resident());
    let cost = agent.settled()?.since(&before);
    std::thread::park_timeout(REST);
    note("at rest", agent.resident());
    say(format!(
        "memory: {} of {asked} exchanges seen, {} events and bytes lost, {} endpoints",
        cost.exchanges,
        cost.lost,
        agent.endpoints()?
    ));
    agent.stop()?;
    Ok(json!({
        "work": "memory",
        "connections": CONNECTIONS,
        "endpoints": ENDPOINTS,
        "exchanges": asked,
        "seen": cost.exchanges,
        "lost": cost.lost,
        "states": states,
    }))
}

/// Each connection meets all endpoints in turn.
fn ask(connection: &mut TcpStream, number: usize) -> Result<()> {
    let endpoint = (number / CONNECTIONS + number) % ENDPOINTS;
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"shop.call{endpoint}\"}}");
    let head = format!(
        "POST /rpc HTTP/1.1\r\nHost: bench.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write_all(format!("{head}{body}").as_bytes())?;
    let mut room = [0; 1024];
    let read = connection.read(&mut room)?;
    ensure!(read > 0, "the server closed a connection");
    Ok(())
}

fn server(place: &Place) -> Result<(SocketAddr, Process)> {
    let port = free_port()?;
    let configuration = place.file("nginx.conf");
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {pid}; error_log {log};\n\
         worker_rlimit_nofile {DESCRIPTORS};\n\
         events {{ worker_connections {DESCRIPTORS}; }}\n\
         http {{ access_log off; keepalive_requests 100000000; keepalive_timeout 600s;\n\
         default_type application/json;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096;\n\
         location / {{ return 200 '{{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":true}}'; }} }} }}\n",
        pid = place.file("nginx.pid").display(),
        log = place.file("nginx.err").display(),
    );
    fs::write(&configuration, text)?;
    let server = Process::start(
        Command::new("nginx").arg("-c").arg(&configuration),
        &place.file("nginx.log"),
    )?;
    listening(port)?;
    Ok((SocketAddr::from(([127, 0, 0, 1], port)), server))
}
