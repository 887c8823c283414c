//! A connection that was there before the agent, and requests that do not wait for answers.

use std::{fs, time::Duration};

use anyhow::Result;

use super::{
    agent::Agent,
    place::{Place, fixture},
    program::{Program, command},
    rows::{row, sorted},
    servers::{accepts, free_port, nginx},
};

/// Longest wait for the client.
const PATIENCE: Duration = Duration::from_secs(30);

/// From its next message on, an older connection is listed like any other: with its server and its caller.
pub(super) fn joins_an_older_connection(place: &Place) -> Result<()> {
    let port = free_port()?;
    fs::create_dir(place.path().join("temp"))?;
    let servers = format!(
        "server {{
           listen 127.0.0.1:{port};
           location /users/ {{ return 200 '{{\"total\": 12.5}}'; }}
           location /links/ {{ return 302 /elsewhere; }}
           location /jobs/ {{ return 503 'later'; }}
         }}"
    );
    let mut server = nginx(place, "nginx-older", port, &servers)?;
    server.ready(|| accepts(port))?;
    let mut client = command("python3")?;
    client.args([&fixture("steady_client.py"), &port.to_string(), &place.file("go")]);
    let mut client = Program::start(&mut client, place)?;
    client.first_line()?;

    let agent = Agent::start(place)?;
    let go = place.write("go", "")?;
    // Fifty of each alone; of ten at a time, the first is asked for once more than the others.
    let row = |template, class, count| row("GET", template, class, count, "steady_client.py");
    let expected = sorted(vec![
        row("/users/{userId}/orders/{orderId}", "2xx", 50 + 20 * 4),
        row("/links/{linkId}", "3xx", 50 + 20 * 3),
        row("/jobs/{jobId}", "5xx", 50 + 20 * 3),
    ]);
    agent.shows("nginx-older", &expected)?;
    fs::remove_file(go)?;
    client.end(PATIENCE)?.success()?;
    agent.expect("nginx-older", &expected)
}
