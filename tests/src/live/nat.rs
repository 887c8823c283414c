//! Translated addresses, by the kernel's own NAT: a server in a network of its own, called at an address that is not its own, by
//! a client that it does not see.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use apiarist::inventory::{EndpointView, Exposure};
use rustix::process::Signal;

use super::{
    Skipped,
    agent::{Agent, PATIENCE},
    note,
    place::Place,
    program::{Program, command, find, output, renamed},
    wait::until,
};

const CALLER: &str = "nat-caller";
const SHOP: &str = "nat_shop.py";

/// Requests of each kind, each on a connection of its own, one right after the other.
const CALLS: u64 = 20;

/// Addresses for documentation (RFC 5737): what is asked for, and who asks.
const SERVICE: &str = "203.0.113.80";
const CLIENT: &str = "203.0.113.9";

/// Between host and server.
const HOST: &str = "10.77.1.1";
const SERVER: &str = "10.77.1.2";

/// A server that says where it was called from.
const SERVE: &str = "
import http.server, socketserver
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.client_address[0].encode()
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
socketserver.ThreadingTCPServer(('', 8080), Handler).serve_forever()
";

pub(super) fn translated_addresses_are_undone(place: &Place) -> Result<()> {
    if !Path::new("/proc/1/net/nf_conntrack").exists() {
        let reason = "the kernel keeps no table of connections in /proc (CONFIG_NF_CONNTRACK_PROCFS)";
        return Err(Skipped(reason.to_owned()).into());
    }
    let network = Network::new(place)?;
    let caller = renamed("curl", CALLER, place)?;
    let script = place.write(SHOP, SERVE)?;
    let mut serve = command("ip")?;
    serve.args(["netns", "exec", Network::NAME, "python3", &script]);
    let mut server = Program::start(&mut serve, place)?;
    // Seen by the server as `seen`.
    let call = |from: &str, seen: &str| {
        let mut call = std::process::Command::new(&caller);
        call.args([
            "-sS",
            "--max-time",
            "5",
            "--interface",
            from,
            &format!("http://{SERVICE}/stock"),
        ]);
        let told = Program::run(&mut call, place, PATIENCE)?.success()?;
        ensure!(told == seen, "the server was called by {told}, not {seen}");
        Ok(())
    };
    server.ready(|| call(HOST, HOST))?;

    // Both ends are observed: each exchange is told once, by the server's, with its caller.
    let agent = Agent::start(place)?;
    let ways = [("its destination", HOST), ("both addresses", CLIENT)];
    for (round, (translated, from)) in (1..).zip(ways) {
        for _ in 0..CALLS {
            call(from, HOST)?;
        }
        let told = shown(&agent, round * CALLS)?;
        ensure!(
            told.callers == [CALLER],
            "with {translated} translated, called by {:?}",
            told.callers
        );
        ensure!(
            told.exposure == Exposure::Host,
            "it is open to the {:?}",
            told.exposure
        );
    }
    let undone = agent.status()?.counters.get("nat_undone").copied();
    note(&format!(
        "{} of {} exchanges were called by {CALLER}; undone {undone:?}",
        2 * CALLS,
        2 * CALLS
    ));
    agent.stop(Signal::TERM)?;
    fs::remove_dir_all(place.path().join("store"))?;

    // The client is not observed, as if it were on another host: its own address counts.
    let agent = Agent::of(place, &["--port", "8080"])?;
    for _ in 0..CALLS {
        call(CLIENT, HOST)?;
    }
    let told = shown(&agent, CALLS)?;
    ensure!(
        told.exposure == Exposure::Internet,
        "it is open to the {:?}",
        told.exposure
    );
    drop(network);
    Ok(())
}

/// The only endpoint with this path, once it has so many exchanges.
fn shown(agent: &Agent<'_>, hits: u64) -> Result<EndpointView> {
    until(PATIENCE, || {
        let endpoints = agent.endpoints()?;
        let mut shown = endpoints.iter().filter(|row| row.template == "/stock");
        let told = shown.next().context("it is not listed")?;
        ensure!(
            told.workload == SHOP && told.hits == hits,
            "{} has {} exchanges",
            told.workload,
            told.hits
        );
        if let Some(again) = shown.next() {
            anyhow::bail!("told again by {}: {} exchanges", again.workload, again.hits);
        }
        Ok(told.clone())
    })
}

/// A network namespace behind a pair of devices, and rules that lead there; all removed when dropped.
struct Network<'a> {
    place: &'a Place,
}

impl<'a> Network<'a> {
    const NAME: &'static str = "apiarist-nat";
    const DEVICE: &'static str = "apiarist-nat0";

    fn new(place: &'a Place) -> Result<Self> {
        find("iptables")?;
        let network = Self { place };
        // What a run left that was killed.
        network.remove();
        let (name, device) = (Self::NAME, Self::DEVICE);
        let (host, server, client) = (
            format!("{HOST}/24"),
            format!("{SERVER}/24"),
            format!("{CLIENT}/32"),
        );
        for line in [
            &["netns", "add", name][..],
            &[
                "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", name,
            ],
            &["address", "add", &host, "dev", device],
            &["link", "set", device, "up"],
            &["-n", name, "address", "add", &server, "dev", "eth0"],
            &["-n", name, "link", "set", "eth0", "up"],
            &["address", "add", &client, "dev", device],
            &["route", "add", SERVICE, "dev", device],
        ] {
            output("ip", line, place)?;
        }
        network.rules("-A")?;
        Ok(network)
    }

    /// As a service of a cluster, or a published port of a container, has them.
    fn rules(&self, action: &str) -> Result<()> {
        let to = format!("{SERVER}:8080");
        let destination = [
            "OUTPUT",
            "-d",
            SERVICE,
            "-p",
            "tcp",
            "--dport",
            "80",
            "-j",
            "DNAT",
            "--to-destination",
            &to,
        ];
        let source = [
            "POSTROUTING",
            "-s",
            CLIENT,
            "-d",
            SERVER,
            "-j",
            "SNAT",
            "--to-source",
            HOST,
        ];
        for rule in [&destination[..], &source] {
            output(
                "iptables",
                &[&["-w", "-t", "nat", action], rule].concat(),
                self.place,
            )?;
        }
        Ok(())
    }

    fn remove(&self) {
        // What is not there cannot be removed; the other end of the device goes with it.
        self.rules("-D").ok();
        output("ip", &["link", "delete", Self::DEVICE], self.place).ok();
        output("ip", &["netns", "delete", Self::NAME], self.place).ok();
    }
}

impl Drop for Network<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}
