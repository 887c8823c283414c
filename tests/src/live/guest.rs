//! TLS on other kernels: the same programs and the same rows on each, whatever the kernel has to offer for it.
//!
//! From 6.6 on the probes of a library hang on links, before that on perf events; without `bpf_loop` (before 5.17) programs
//! of their own copy what was read. None of that shows: the libraries are read on 5.10 as on the newest, and the coverage
//! report says so. An emulated processor takes seconds to start an interpreter: all servers run beside each other here, and
//! each client asks one of them.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE, bare},
    binary,
    certificate::Certificate,
    note,
    place::Place,
    program::{Program, command, find},
    servers::{accepts, free_port},
    tls_clients::{ask, seen},
    tls_life::{Deleted, RING_BYTES, contain, coverage, load_late, reads, twenty, upgrade, watch},
    tls_servers::{Hop, apache, caddy_proxy, haproxy, nginx_tls, node, puma, python},
    wait::until,
};

/// Whose TLS is read, and by which library: both ends of connections.
const READ: [(&str, &str); 14] = [
    ("tls_blocking.py", "openssl"),
    ("tls_looped.py", "openssl"),
    ("tls_server.js", "openssl"),
    ("nginx-tls", "openssl"),
    ("puma", "openssl"),
    ("tls-proxy", "openssl"),
    ("apache-tls", "openssl"),
    ("caddy-tls", "go"),
    ("curl", "openssl"),
    ("wget", "gnutls"),
    ("tls_client.py", "openssl"),
    ("tls_client.js", "openssl"),
    ("tls_client.php", "openssl"),
    ("tls_client.rb", "openssl"),
];

/// Servers of OpenSSL, GnuTLS and Go, clients and proxies: every exchange, its method, its status, its caller.
pub(super) fn tls_of_real_programs(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let ports = [
        free_port()?,
        free_port()?,
        free_port()?,
        free_port()?,
        free_port()?,
    ];
    let [at_nginx, at_puma, at_haproxy, at_apache, at_caddy] = ports;
    let hop = |port| Hop {
        port,
        behind: at_puma,
    };
    let agent = Agent::start(place)?;
    let mut node = node(place, &own)?;
    let mut puma = puma(place, &own, at_puma)?;
    let mut blocking = python(place, "tls_blocking.py", "blocking", &own)?;
    let mut looped = python(place, "tls_looped.py", "asyncio", &own)?;
    let mut caddy = caddy_proxy(place, "caddy-tls", &own, hop(at_caddy))?;
    let mut haproxy = haproxy(place, "tls-proxy", &own, hop(at_haproxy))?;
    let mut apache = apache(place, "apache-tls", &own, hop(at_apache))?;
    let _nginx = nginx_tls(place, "nginx-tls", &own, at_nginx)?;
    caddy.ready(|| accepts(at_caddy))?;
    haproxy.ready(|| accepts(at_haproxy))?;
    apache.ready(|| accepts(at_apache))?;
    puma.ready(|| accepts(at_puma))?;
    let [at_blocking, at_looped, at_node] = [blocking.port()?, looped.port()?, node.port()?];
    agent.probes(&place.path().join("caddy-tls"), 1)?;
    agent.probes(&find("node")?, 1)?;

    ask(
        place,
        &[
            ("tls_client.js", at_haproxy),
            ("tls_client.rb", at_apache),
            ("tls_client.php", at_node),
            ("tls_client.py", at_nginx),
            ("tls_async.py", at_looped),
            ("wget", at_blocking),
            ("curl", at_caddy),
        ],
    )?;
    let direct = [
        ("tls_server.js", "tls_client.php"),
        ("nginx-tls", "tls_client.py"),
        ("tls_looped.py", "tls_async.py"),
        ("tls_blocking.py", "wget"),
        ("tls-proxy", "tls_client.js"),
        ("apache-tls", "tls_client.rb"),
        ("caddy-tls", "curl"),
    ];
    for (server, client) in direct {
        agent.shows(server, &seen(&[(client, client)]))?;
    }
    let behind = seen(&[
        ("tls_client.js", "tls-proxy"),
        ("tls_client.rb", "apache-tls"),
        ("curl", "caddy-tls"),
    ]);
    agent.shows("puma", &behind)?;
    for (workload, library) in READ {
        let row = coverage(&agent, workload, |row| {
            row.bytes > 0 && row.tls_library.as_deref() == Some(library)
        })?;
        ensure!(row.read_pct == 100.0 && row.unreadable.is_empty(), "{row:?}");
    }
    let mut status = agent.status()?;
    // Of the whole guest, and known to happen from 7.0 on: the rows above say that it was none of these exchanges.
    status.lost.remove("left_out_operations");
    let lost: u64 = status.lost.values().sum();
    ensure!(lost == 0, "lost: {:?}", status.lost);
    note(&format!(
        "Linux {}, tier {}: TLS is read",
        status.kernel, status.tier
    ));
    agent.stop(Signal::TERM).map(drop)
}

/// Libraries that come and go, before one agent: deleted before it starts, replaced under a running server, loaded after the
/// start, another one inside a mount namespace.
pub(super) fn tls_libraries_come_and_go(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let deleted = Deleted::start(place, &own)?;
    let agent = watch(place, RING_BYTES)?;
    // First, while no other process has brought the library to the agent's knowledge.
    load_late(place, &own, &agent)?;
    deleted.is_read(place, &agent)?;
    upgrade(place, &own, &agent)?;
    contain(place, &own, &agent)?;
    agent.stop(Signal::TERM).map(drop)
}

/// Agents that are killed by [`killed_agents_harm_nobody`].
const KILLS: u64 = 6;

/// Longest life of one that is killed at any moment: an emulated processor takes as long for its start.
const LONGEST_MS: u64 = 30_000;

/// However the agent ends, those it watches go on: killed at any moment of its start, or while it reads them.
pub(super) fn killed_agents_harm_nobody(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let mut nginx = nginx_tls(place, "nginx-calm", &own, port)?;
    let mut load = command("h2load")?;
    // More than there is time for.
    load.args(["--h1", "-t1", "-c4", "-n100000000", "--rps=5"]);
    load.arg(format!("https://127.0.0.1:{port}/users/1/orders/7"));
    let load = Program::start(&mut load, place)?;
    let binary = binary::apiarist()?;
    let mut seed = 1_u64;
    for number in 0..KILLS {
        if number % 2 == 0 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let delay = Duration::from_millis((seed >> 33) % LONGEST_MS);
            let mut agent = bare(&binary);
            agent.args(["run", "--store", &place.file("store")]);
            agent.args(["--socket", &place.file("agent.sock")]);
            let agent = Program::start(&mut agent, place)?;
            // Until its time has come.
            until(delay, || -> Result<()> { bail!("waiting") }).unwrap_or(());
            agent.signal(Signal::KILL)?;
            agent.end(PATIENCE)?;
        } else {
            let agent = Agent::start(place)?;
            reads(&agent, "nginx-calm", 10)?;
            agent.signal(Signal::KILL)?;
            agent.kill()?;
        }
        // A server that stalls does not answer.
        twenty(place, port)?;
    }
    nginx.ready(|| accepts(port))?;
    load.signal(Signal::TERM)?;
    let ended = load.end(PATIENCE)?;
    ensure!(
        ended.status.code().is_none(),
        "the load ended early: {}",
        ended.out
    );
    note(&format!(
        "{KILLS} agents were killed, half of them while they read"
    ));
    Ok(())
}
