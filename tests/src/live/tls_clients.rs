//! Clients that speak HTTPS, each by a library of its own or in another way. Every one does twenty of each kind of request
//! on a resource of its own, so that each has rows of its own.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{
    agent,
    place::{Place, fixture},
    program::{Program, command, output},
    rows::{row, sorted},
};

/// Clients: the name by which they are known, and the resource that they use.
pub(super) const CLIENTS: [(&str, &str); 7] = [
    ("curl", "users"),
    ("wget", "reports"),
    ("tls_client.py", "carts"),
    ("tls_async.py", "parts"),
    ("tls_client.js", "zones"),
    ("tls_client.php", "books"),
    ("tls_client.rb", "desks"),
];

/// Longest wait for a client.
const PATIENCE: Duration = Duration::from_secs(60);

/// Requests of each kind.
const TIMES: u64 = 20;

/// Lets every client do its requests at one port.
pub(super) fn clients(place: &Place, port: u16) -> Result<()> {
    ask(place, &CLIENTS.map(|(client, _)| (client, port)))
}

/// Lets clients do their requests, each at a port of its own: scripts all at once, the others beside them.
pub(super) fn ask(place: &Place, asked: &[(&str, u16)]) -> Result<()> {
    let mut running = Vec::new();
    for (client, port) in asked {
        if let Some(mut script) = script(place, client, *port)? {
            running.push(Program::start(&mut script, place)?);
        }
    }
    for (client, port) in asked {
        match *client {
            "curl" => curl(place, *port)?,
            "wget" => wget(place, *port)?,
            _ => {}
        }
    }
    for script in running {
        script.end(PATIENCE)?.success()?;
    }
    Ok(())
}

/// The command of a client that is a script.
fn script(place: &Place, client: &str, port: u16) -> Result<Option<std::process::Command>> {
    let Some((_, resource)) = CLIENTS.iter().find(|(name, _)| *name == client) else {
        bail!("there is no client {client}");
    };
    let (program, path, mode) = match client {
        "curl" | "wget" => return Ok(None),
        "tls_client.js" => ("node", fixture(client), None),
        "tls_client.php" => ("php", fixture(client), None),
        "tls_client.rb" => ("ruby", fixture(client), None),
        "tls_client.py" => ("python3", fixture(client), Some("blocking")),
        // The same under another name.
        _ => {
            let copy = place.write(client, std::fs::read(fixture("tls_client.py"))?)?;
            ("python3", copy, Some("asyncio"))
        }
    };
    let mut script = command(program)?;
    script.arg(path).args(mode).arg(port.to_string()).arg(resource);
    Ok(Some(script))
}

fn curl(place: &Place, port: u16) -> Result<()> {
    let at = |path: &str| format!("https://127.0.0.1:{port}/{path}");
    let curl = |arguments: &[&str]| {
        output(
            "curl",
            &[&["-sSk", "--max-time", "60"], arguments].concat(),
            place,
        )
    };
    curl(&[&at("users/[1-20]/orders/7")])?;
    curl(&["-d", "{\"item\": 5}", &at("users/[1-20]/orders")])?;
    curl(&["-X", "DELETE", &at("users/[1-20]")])?;
    Ok(())
}

fn wget(place: &Place, port: u16) -> Result<()> {
    let got = place.file("got");
    let wget = |more: &[&str], after: &str| {
        let urls = (1..=TIMES).map(|number| format!("https://127.0.0.1:{port}/reports/{number}{after}"));
        let mut wget = command("wget")?;
        wget.args(["-q", "--no-check-certificate", "-O", &got])
            .args(more)
            .args(urls);
        Program::run(&mut wget, place, agent::PATIENCE)
    };
    wget(&[], "/orders/7")?.success()?;
    wget(&["--post-data", "{}"], "/orders")?.success()?;
    // It counts an answer of 409 as its own failure.
    wget(&["--method=DELETE"], "")?;
    Ok(())
}

/// What is to be listed of all of them.
pub(super) fn expected() -> Vec<String> {
    seen(&CLIENTS.map(|(client, _)| (client, client)))
}

/// What is to be listed of some clients, each with the caller that is seen in its place: itself, or a proxy.
pub(super) fn seen(clients: &[(&str, &str)]) -> Vec<String> {
    let known = |client: &str| CLIENTS.iter().find(|(name, _)| *name == client);
    let rows = clients
        .iter()
        .filter_map(|(client, caller)| Some((known(client)?.1, caller)))
        .flat_map(|(resource, caller)| {
            let id = format!("{}Id", resource.trim_end_matches('s'));
            let of = |method, path: &str, class| {
                row(
                    method,
                    &format!("/{resource}/{{{id}}}{path}"),
                    class,
                    TIMES,
                    caller,
                )
            };
            [
                of("GET", "/orders/{orderId}", "2xx"),
                of("POST", "/orders", "2xx"),
                of("DELETE", "", "4xx"),
            ]
        });
    sorted(rows.collect())
}
