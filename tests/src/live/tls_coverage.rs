//! TLS that is not read: who is let alone by control group, and what cannot be read, each told with its reason and bytes.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::Agent,
    certificate::Certificate,
    chaos::neighbours::Group,
    place::{Place, fixture},
    program::{Program, command, find, output, renamed},
    rows::row,
    servers::{accepts, free_port},
    tls_life::{PATIENCE, RING_BYTES, coverage, get, own_libraries, twenty, watch},
    tls_servers::nginx_tls,
};

/// A process that starts inside an excluded control group is let alone, its neighbour outside is not.
pub(super) fn a_control_group_is_let_alone(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let group = Group::make(&["/sys/fs/cgroup/unified", "/sys/fs/cgroup"])?;
    let name = group.path().file_name().context("a group without name")?;
    let configuration = format!(
        "{RING_BYTES}[capture.tls]\nexclude_cgroups = [\"/{}\"]\n",
        name.to_string_lossy()
    );
    let agent = watch(place, &configuration)?;
    let start = |name: &str, inside: bool| {
        let script = place.write(name, std::fs::read(fixture("tls_server.py"))?)?;
        let line = if inside {
            "echo $$ >$0/cgroup.procs && exec \"$@\""
        } else {
            "exec \"$@\""
        };
        let mut shell = command("sh")?;
        shell.args(["-c", line]).arg(group.path()).arg(find("python3")?);
        shell.args([&script, "asyncio", &own.certificate, &own.key]);
        let mut server = Program::start(&mut shell, place)?;
        let port: u16 = server.first_line()?.parse()?;
        anyhow::Ok((server, port))
    };
    let (inside, inside_port) = start("tls_inside.py", true)?;
    let (_outside, outside_port) = start("tls_outside.py", false)?;
    agent.has_excluded(inside.pid())?;
    for port in [inside_port, outside_port] {
        twenty(place, port)?;
    }
    agent.shows("tls_outside.py", &get(20, "curl"))?;
    is_unread(&agent, "tls_inside.py", None, "tls: excluded")?;
    agent.shows("tls_inside.py", &[])?;
    drop(inside);
    drop(group);
    agent.stop(Signal::TERM).map(drop)
}

/// Java's own TLS, by a client: compiled at run time, it has no functions in any file.
pub(super) fn java_is_told(place: &Place) -> Result<()> {
    let (agent, port, _server) = behind_nginx(place)?;
    let mut java = command("java")?;
    java.args([&fixture("TlsClient.java"), &port.to_string()]);
    Program::run(&mut java, place, PATIENCE)?.success()?;
    is_unread(
        &agent,
        "TlsClient.java",
        Some("jsse"),
        "tls: compiled at run time",
    )?;
    agent.expect("nginx-met", &get(20, "TlsClient.java"))
}

/// OpenSSL linked into a client without symbols.
pub(super) fn a_stripped_library_is_told(place: &Place) -> Result<()> {
    let (agent, port, _server) = behind_nginx(place)?;
    let client = place.file("tls-static");
    let mut cc = command("cc")?;
    cc.args(["-O1", "-static", "-s", "-o", &client, &fixture("tls_static.c")]);
    cc.args(["-lssl", "-lcrypto"]);
    Program::run(&mut cc, place, PATIENCE)?.success()?;
    Program::run(Command::new(&client).arg(port.to_string()), place, PATIENCE)?.success()?;
    is_unread(&agent, "tls-static", Some("openssl"), "tls: no symbols")?;
    agent.expect("nginx-met", &get(1, "tls-static"))
}

/// A server that moves its plaintext by a filter of OpenSSL (`BIO_f_ssl`), which uses the functions behind those that others
/// call.
pub(super) fn plaintext_of_a_filter_is_read(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let libraries = own_libraries(place, "own")?;
    let port = free_port()?;
    place.write("page", "small")?;
    let agent = watch(place, RING_BYTES)?;
    let mut server = Command::new(renamed("openssl", "filter-tls", place)?);
    server
        .current_dir(place.path())
        .env("LD_LIBRARY_PATH", &libraries)
        .args(["s_server", "-quiet", "-WWW"]);
    server.args(["-accept", &port.to_string()]);
    server.args(["-cert", &own.certificate, "-key", &own.key]);
    let mut server = Program::start(&mut server, place)?;
    server.ready(|| accepts(port))?;
    agent.probes(&libraries.join("libssl.so.3"), 1)?;
    for _ in 0..3 {
        let url = format!("https://127.0.0.1:{port}/page");
        let said = output("curl", &["-sSk", "--max-time", "20", &url], place)?;
        ensure!(said == "small", "{said}");
    }
    agent.expect("filter-tls", &[row("GET", "/page", "2xx", 3, "curl")])
}

/// An agent, and a server for clients that cannot be read.
fn behind_nginx(place: &Place) -> Result<(Agent<'_>, u16, Program)> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = watch(place, RING_BYTES)?;
    let server = nginx_tls(place, "nginx-met", &own, port)?;
    Ok((agent, port, server))
}

/// All bytes of a workload are unread, for this one reason. Both are known once its library is found.
fn is_unread(agent: &Agent<'_>, workload: &str, library: Option<&str>, reason: &str) -> Result<()> {
    let row = coverage(agent, workload, |row| {
        let [part] = row.unreadable.as_slice() else {
            return false;
        };
        row.bytes > 0 && part.reason == reason && part.bytes == row.bytes
    })?;
    ensure!(
        row.tls_library.as_deref() == library && row.read_pct == 0.0,
        "{row:?}"
    );
    Ok(())
}
