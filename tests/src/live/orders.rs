//! Twenty clients at once, five hundred requests each, against three servers: small bodies and large, with a length,
//! chunked and close-delimited, connections kept and closed, IPv4, IPv6 and unix sockets.
//!
//! The client checks that each answer is the one to its request. Every kind of request has a status class of its own,
//! so that an exchange put together wrongly shows as a class where none belongs.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;
use serde_json::json;

use super::{
    agent::{Agent, stored},
    note,
    place::{Place, fixture},
    program::{Program, command},
    rows::{row, sorted},
    servers,
};

const CLIENTS: u64 = 20;
const REQUESTS: u64 = 500;

/// Bytes of the ring: an agent built without optimisation is slower than these programs together.
const ROOM: u32 = 128 << 20;

const NGINX: &str = "nginx-orders";

/// The one class of answers of each endpoint.
const CLASSES: [(&str, &str); 10] = [
    ("GET /users/{userId}/orders/{orderId}", "2xx"),
    ("POST /users/{userId}/orders", "2xx"),
    ("PUT /files/{fileId}", "2xx"),
    ("GET /reports/{reportId}", "2xx"),
    ("HEAD /reports/{reportId}", "2xx"),
    ("GET /links/{linkId}", "3xx"),
    ("DELETE /locks/{lockId}", "4xx"),
    ("GET /jobs/{jobId}", "5xx"),
    ("GET /marks/{markId}", "2xx"),
    ("GET /streams/{streamId}", "2xx"),
];

/// Longest wait for the clients.
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) fn python_serves(place: &Place) -> Result<()> {
    scripted(place, "python3", "orders_server.py")
}

pub(super) fn node_serves(place: &Place) -> Result<()> {
    scripted(place, "node", "orders_server.js")
}

fn scripted(place: &Place, interpreter: &str, script: &str) -> Result<()> {
    let mut command = command(interpreter)?;
    command.args([&fixture(script), &place.file("orders.sock")]);
    let agent = watch(place, ROOM)?;
    let mut server = Program::start(&mut command, place)?;
    let at = server.first_line()?;
    let at: Vec<&str> = at.split(' ').collect();
    drive(place, &at)?;
    conclude(agent, script)
}

pub(super) fn nginx_serves(place: &Place) -> Result<()> {
    let agent = watch(place, ROOM)?;
    let _server = serve_by_nginx(place)?;
    conclude(agent, NGINX)
}

/// With far too little room most events are lost: what is listed nevertheless is right, and the loss is counted.
pub(super) fn a_ring_too_small_mixes_nothing_up(place: &Place) -> Result<()> {
    let agent = watch(place, 64 << 10)?;
    let _server = serve_by_nginx(place)?;
    let lost = agent.lost_events()?;
    if lost == 0 {
        return conclude(agent, NGINX);
    }
    agent.stop(Signal::TERM)?;
    let classes = BTreeMap::from(CLASSES);
    let mut hits = 0;
    for row in stored(place)?.iter().filter(|row| row.workload == NGINX) {
        let endpoint = format!("{} {}", row.method, row.template);
        let class = classes.get(endpoint.as_str()).copied();
        ensure!(
            row.status.keys().all(|seen| Some(seen.as_str()) == class),
            "{endpoint} was answered with {:?}, not {class:?}",
            row.status
        );
        hits += row.hits;
    }
    let all = CLIENTS * REQUESTS;
    ensure!(hits <= all, "{hits} exchanges were made of {all}");
    note(&format!("{all} requests: {hits} exchanges, {lost} events lost"));
    Ok(())
}

/// Starts nginx and runs the clients against it.
fn serve_by_nginx(place: &Place) -> Result<Program> {
    for directory in ["reports", "files", "temp"] {
        fs::create_dir(place.path().join(directory))?;
    }
    for size in [0, 1, 512, 4096, 8191, 8192, 8193, 65536, (1 << 20) + 1, 5 << 20] {
        place.write(&format!("reports/{size}"), vec![b'x'; size])?;
    }
    let port = servers::free_port()?;
    let socket = place.file("orders.sock");
    let root = place.file("");
    // Included text makes the length unknown, which makes nginx send it in chunks.
    let servers = format!(
        "server {{
           listen 127.0.0.1:{port};
           listen [::1]:{port};
           listen unix:{socket};
           root {root};
           sendfile on;
           add_header X-Id $http_x_id always;
           location ~ ^/users/[0-9]+/orders/[0-9]+$ {{ return 200 '{{\"total\": 12.5}}'; }}
           location ~ ^/users/[0-9]+/orders$ {{ return 201 '{{\"received\": true}}'; }}
           location /files/ {{ dav_methods PUT; }}
           location ~ ^/reports/[0-9]*[13579]$ {{ ssi on; ssi_types *; }}
           location /reports/ {{ }}
           location /streams/ {{ keepalive_timeout 0; alias {root}/reports/; }}
           location /links/ {{ return 302 /elsewhere; }}
           location /locks/ {{ return 409 'held by somebody else'; }}
           location /jobs/ {{ return 503 'later'; }}
           location /marks/ {{ return 204; }}
         }}"
    );
    let server = servers::nginx(place, NGINX, port, &servers)?;
    let port = port.to_string();
    drive(place, &[&port, &port, &socket])?;
    Ok(server)
}

fn watch(place: &Place, ring_bytes: u32) -> Result<Agent<'_>> {
    let configuration = place.write("apiarist.toml", format!("[capture]\nring_bytes = {ring_bytes}\n"))?;
    Agent::of(place, &["--config", &configuration])
}

/// Runs the clients and checks that all was answered as it should be.
fn drive(place: &Place, at: &[&str]) -> Result<()> {
    let mut clients = command("python3")?;
    clients
        .args([
            fixture("orders_client.py"),
            CLIENTS.to_string(),
            REQUESTS.to_string(),
        ])
        .args(at);
    let said = Program::run(&mut clients, place, PATIENCE)?.success()?;
    let said: serde_json::Value = serde_json::from_str(&said)?;
    let all_right = json!({"right": CLIENTS * REQUESTS, "wrong": []});
    ensure!(said == all_right, "the clients saw {said}");
    Ok(())
}

/// Compares all that the agent says of the server.
fn conclude(agent: Agent<'_>, workload: &str) -> Result<()> {
    agent.shows(workload, &expected())?;
    let workloads = agent.workloads()?;
    let rows: Vec<_> = workloads.iter().filter(|row| row.name == workload).collect();
    let [row] = rows.as_slice() else {
        bail!("{workload} is listed {} times", rows.len());
    };
    let seen = (row.hits, row.unrouted, row.endpoints, row.callers.as_slice());
    let callers = ["orders_client.py".to_owned()];
    let expected_row = (CLIENTS * REQUESTS, 0, 10, callers.as_slice());
    ensure!(
        seen == expected_row,
        "the workload shows {seen:?}, not {expected_row:?}"
    );
    let lost = agent.status()?.lost;
    ensure!(lost.values().all(|count| *count == 0), "lost: {lost:?}");
    agent.expect(workload, &expected())
}

/// What the clients did: of ten requests, one or two to each endpoint.
fn expected() -> Vec<String> {
    let tenth = CLIENTS * REQUESTS / 10;
    let rows = CLASSES.iter().filter_map(|(endpoint, class)| {
        let (method, template) = endpoint.split_once(' ')?;
        let count = match template {
            "/users/{userId}/orders/{orderId}" => 2 * tenth,
            "/marks/{markId}" | "/streams/{streamId}" => tenth / 2,
            _ => tenth,
        };
        Some(row(method, template, class, count, "orders_client.py"))
    });
    sorted(rows.collect())
}
