//! TLS on other kernels: the same programs and the same rows on each, whatever the kernel has to offer for it.
//!
//! From 6.6 on the probes of a library hang on links, before that on perf events; without `bpf_loop` (before 5.17) programs
//! of their own copy what was read. None of that shows: the libraries are read on 5.10 as on the newest, and the coverage
//! report says so.

use std::{fs, path::Path};

use anyhow::{Result, ensure};
use rustix::process::Signal;

use super::{
    Skipped,
    agent::Agent,
    note,
    place::Place,
    program::output,
    rows::{row, sorted},
    servers::free_port,
    tls::Certificate,
    tls_life::{coverage, server},
};

/// Requests of each kind.
const TIMES: u64 = 20;

/// By what a guest's programs find out who they run as: nobody else has an entry.
const ACCOUNTS: [(&str, &str); 2] = [("passwd", "root:x:0:0::/:/\n"), ("group", "root:x:0:\n")];

/// OpenSSL in a server and a client, GnuTLS in another client: every exchange, its method, its status, its caller.
pub(super) fn tls_of_real_programs(place: &Place) -> Result<()> {
    if !Path::new("/etc/certificate.pem").exists() {
        let reason = "no programs were packed: the host has another processor";
        return Err(Skipped(reason.to_owned()).into());
    }
    for (name, text) in ACCOUNTS {
        fs::write(Path::new("/etc").join(name), text)?;
    }
    let own = Certificate {
        certificate: "/etc/certificate.pem".to_owned(),
        key: "/etc/key.pem".to_owned(),
    };
    let port = free_port()?;
    let agent = Agent::start(place)?;
    let _server = server(place, "nginx-tls", &own, port)?;
    let at = |path: &str| format!("https://127.0.0.1:{port}/{path}");
    let curl = |arguments: &[&str]| output("curl", &[&["-sSk"], arguments].concat(), place);
    curl(&[&at("users/[1-20]/orders/7")])?;
    curl(&["-d", "{\"item\": 5}", &at("users/[1-20]/orders")])?;
    curl(&["-X", "DELETE", &at("users/[1-20]")])?;
    let got = place.file("got");
    let mut wget = ["-q", "--no-check-certificate", "-O", &got]
        .map(str::to_owned)
        .to_vec();
    wget.extend((1..=TIMES).map(|number| at(&format!("reports/{number}/orders/7"))));
    output("wget", &wget, place)?;

    let rows = sorted(vec![
        row("GET", "/users/{userId}/orders/{orderId}", "2xx", TIMES, "curl"),
        row("POST", "/users/{userId}/orders", "2xx", TIMES, "curl"),
        row("DELETE", "/users/{userId}", "4xx", TIMES, "curl"),
        row(
            "GET",
            "/reports/{reportId}/orders/{orderId}",
            "2xx",
            TIMES,
            "wget",
        ),
    ]);
    agent.shows("nginx-tls", &rows)?;
    for (workload, library) in [("nginx-tls", "openssl"), ("curl", "openssl"), ("wget", "gnutls")] {
        let row = coverage(&agent, workload, |row| row.bytes > 0 && row.read_pct == 100.0)?;
        // A name may be missing, not wrong. Who is gone before its library was looked for has none; on 5.10 nginx, which was
        // not gone, once had none either, and why is not known.
        let is_right = row.tls_library.as_deref().is_none_or(|named| named == library);
        ensure!(is_right && row.unreadable.is_empty(), "{row:?}");
    }
    let status = agent.status()?;
    note(&format!(
        "Linux {}, tier {}: TLS is read",
        status.kernel, status.tier
    ));
    agent.stop(Signal::TERM).map(drop)
}
