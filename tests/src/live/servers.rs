//! Servers that take more than a command to start.

use std::{
    net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::{
    place::Place,
    program::{Program, renamed},
};

/// A port that was free a moment ago, in both families, for servers that cannot choose one themselves.
pub(crate) fn free_port() -> Result<u16> {
    // Bound to both families: what is free here is free for either.
    let probe = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).context("no free port")?;
    Ok(probe.local_addr()?.port())
}

/// Whether something listens on this port of this host.
pub(crate) fn accepts(port: u16) -> Result<()> {
    TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port)))?;
    Ok(())
}

/// nginx with two workers, known as `name`, its servers given as configuration. Ready when `port` accepts.
pub(crate) fn nginx(place: &Place, name: &str, port: u16, servers: &str) -> Result<Program> {
    let binary = renamed("nginx", name, place)?;
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let configuration = place.write(
        &format!("{name}.conf"),
        format!(
            "{user}\ndaemon off;\nworker_processes 2;\npid {name}.pid;\n\
             events {{ worker_connections 1024; }}\n\
             http {{\n  access_log off;\n  default_type application/json;\n  client_max_body_size 32m;\n  \
             client_body_temp_path temp; proxy_temp_path temp; fastcgi_temp_path temp; uwsgi_temp_path temp; \
             scgi_temp_path temp;\n{servers}\n}}\n"
        ),
    )?;
    let error_log = place.file(&format!("{name}.log"));
    let mut command = Command::new(binary);
    command
        .args(["-p", &place.file(""), "-c", &configuration])
        .args(["-e", &error_log]);
    let mut server = Program::start(&mut command, place)?;
    server.ready(|| accepts(port))?;
    Ok(server)
}
