//! HTTPS between real programs: the same is listed as for HTTP, read inside the TLS libraries of either end.

use anyhow::Result;

use super::{
    agent::Agent,
    certificate::Certificate,
    place::Place,
    program::Program,
    servers::{accepts, free_port},
    tls_clients::{CLIENTS, clients, expected, seen},
    tls_servers::{Hop, apache, caddy_proxy, haproxy, nginx_tls, node, puma, python},
};

pub(super) fn python_serves_tls(place: &Place) -> Result<()> {
    python_serves(place, "blocking")
}

pub(super) fn asyncio_serves_tls(place: &Place) -> Result<()> {
    python_serves(place, "asyncio")
}

fn python_serves(place: &Place, mode: &str) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    let mut server = python(place, "tls_server.py", mode, &own)?;
    clients(place, server.port()?)?;
    agent.expect("tls_server.py", &expected())
}

pub(super) fn node_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    let mut server = node(place, &own)?;
    clients(place, server.port()?)?;
    agent.expect("tls_server.js", &expected())
}

pub(super) fn puma_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = Agent::start(place)?;
    let mut server = puma(place, &own, port)?;
    server.ready(|| accepts(port))?;
    clients(place, port)?;
    agent.expect("puma", &expected())
}

pub(super) fn nginx_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = Agent::start(place)?;
    let _server = nginx_tls(place, "nginx-tls", &own, port)?;
    clients(place, port)?;
    agent.expect("nginx-tls", &expected())
}

pub(super) fn haproxy_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "tls-proxy", haproxy)
}

pub(super) fn apache_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "apache-tls", apache)
}

/// Go on both sides, in an executable without symbols.
pub(super) fn caddy_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "caddy-tls", caddy_proxy)
}

/// TLS on both sides of a proxy: each hop is listed with the one before it as its caller.
fn proxied(
    place: &Place,
    name: &str,
    start: fn(&Place, &str, &Certificate, Hop) -> Result<Program>,
) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    // It reads each request to its end before it answers.
    let mut server = python(place, "tls_server.py", "asyncio", &own)?;
    let hop = Hop {
        port: free_port()?,
        behind: server.port()?,
    };
    let mut proxy = start(place, name, &own, hop)?;
    proxy.ready(|| accepts(hop.port))?;
    if name == "caddy-tls" {
        agent.probes(&place.path().join(name), 1)?;
    }
    clients(place, hop.port)?;
    agent.shows(name, &expected())?;
    agent.expect("tls_server.py", &seen(&CLIENTS.map(|(client, _)| (client, name))))
}
