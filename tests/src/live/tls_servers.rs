//! Servers and proxies that speak HTTPS. Those that print their port are ready when they have; the others when it accepts.

use std::process::Command;

use anyhow::Result;

use super::{
    certificate::Certificate,
    place::{Place, fixture},
    program::{Program, command, renamed},
    servers::nginx,
};

/// Python's `ssl`, blocking or by asyncio, known as `name`. Prints its port.
pub(super) fn python(place: &Place, name: &str, mode: &str, own: &Certificate) -> Result<Program> {
    let script = place.write(name, std::fs::read(fixture("tls_server.py"))?)?;
    let mut server = command("python3")?;
    server.args([&script, mode, &own.certificate, &own.key]);
    Program::start(&mut server, place)
}

/// Node, which brings its own TLS. Prints its port.
pub(super) fn node(place: &Place, own: &Certificate) -> Result<Program> {
    let mut server = command("node")?;
    server.args([&fixture("tls_server.js"), &own.certificate, &own.key]);
    Program::start(&mut server, place)
}

/// Ruby.
pub(super) fn puma(place: &Place, own: &Certificate, port: u16) -> Result<Program> {
    let bind = format!("ssl://127.0.0.1:{port}?key={}&cert={}", own.key, own.certificate);
    let mut server = command("puma")?;
    server.args([
        "--quiet",
        "--tag",
        "tls",
        // One for each client's connection: a server with fewer closes those that wait.
        "--threads",
        "16:16",
        "--bind",
        &bind,
        &fixture("tls_server.ru"),
    ]);
    Program::start(&mut server, place)
}

/// Answers of nginx by method.
pub(super) const ANSWERS: &str = "location / { if ($request_method = POST) { return 201 '{\"id\": 7}'; } \
     if ($request_method = DELETE) { return 409 '{}'; } return 200 '{\"total\": 12.5}'; }";

/// nginx, known as `name`. It accepts.
pub(super) fn nginx_tls(place: &Place, name: &str, own: &Certificate, port: u16) -> Result<Program> {
    let servers = format!(
        "server {{ listen 127.0.0.1:{port} ssl; keepalive_requests 1000000; ssl_certificate {}; \
         ssl_certificate_key {}; location /locks {{ return 409 '{{}}'; }} {ANSWERS} }}",
        own.certificate, own.key
    );
    nginx(place, name, port, &servers)
}

/// Go's library in an executable without symbols, known as `name`, that answers as `directives` say.
pub(super) fn caddy(
    place: &Place,
    name: &str,
    own: &Certificate,
    port: u16,
    directives: &str,
) -> Result<Program> {
    let configuration = place.write(
        &format!("{name}.Caddyfile"),
        format!(
            "{{\n  admin off\n  auto_https off\n}}\nhttps://:{port} {{\n  bind 127.0.0.1\n  tls {} {}\n  \
             {directives}\n}}\n",
            own.certificate, own.key
        ),
    )?;
    let mut caddy = Command::new(renamed("caddy", name, place)?);
    caddy
        .env("HOME", place.path())
        .args(["run", "--adapter", "caddyfile", "--config", &configuration]);
    Program::start(&mut caddy, place)
}

/// Where a proxy listens, and where it sends requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop {
    pub(super) port: u16,
    pub(super) behind: u16,
}

pub(super) fn haproxy(place: &Place, name: &str, own: &Certificate, hop: Hop) -> Result<Program> {
    let both = own.together(place)?;
    let Hop { port, behind } = hop;
    let configuration = place.write(
        "haproxy.cfg",
        format!(
            "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 60s\n  timeout client 60s\n  \
             timeout server 60s\nfrontend front\n  bind 127.0.0.1:{port} ssl crt {both}\n  \
             default_backend back\nbackend back\n  server one 127.0.0.1:{behind} ssl verify none\n"
        ),
    )?;
    let proxy = renamed("haproxy", name, place)?;
    Program::start(Command::new(proxy).args(["-db", "-f", &configuration]), place)
}

pub(super) fn apache(place: &Place, name: &str, own: &Certificate, hop: Hop) -> Result<Program> {
    let Hop { port, behind } = hop;
    let modules = ["mpm_event", "authz_core", "ssl", "http2", "proxy", "proxy_http"];
    let modules = modules
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let configuration = place.write(
        "apache.conf",
        format!(
            "{modules}ServerRoot {root}\nServerName localhost\nPidFile apache.pid\nErrorLog apache.log\n\
             DefaultRuntimeDir {root}\nListen 127.0.0.1:{port} https\nSSLEngine on\n\
             SSLCertificateFile {}\nSSLCertificateKeyFile {}\nProtocols h2 http/1.1\n\
             SSLProxyEngine on\nSSLProxyVerify none\nSSLProxyCheckPeerName off\n\
             ProxyPass / https://127.0.0.1:{behind}/\n",
            own.certificate,
            own.key,
            root = place.file(""),
        ),
    )?;
    let proxy = renamed("apache2", name, place)?;
    Program::start(
        Command::new(proxy).args(["-DFOREGROUND", "-f", &configuration]),
        place,
    )
}

/// Caddy as a proxy: Go on both sides.
pub(super) fn caddy_proxy(place: &Place, name: &str, own: &Certificate, hop: Hop) -> Result<Program> {
    let directives = format!(
        "reverse_proxy https://127.0.0.1:{} {{\n    transport http {{\n      tls_insecure_skip_verify\n    }}\n  }}",
        hop.behind
    );
    caddy(place, name, own, hop.port, &directives)
}
