//! HTTPS between real programs: the same is listed as for HTTP, read inside the TLS libraries of either end.
//!
//! Every client does twenty of each kind of request on a resource of its own, so that each has rows of its own.

use std::{process::Command, time::Duration};

use anyhow::Result;

use super::{
    agent::Agent,
    place::{Place, fixture},
    program::{Program, command, output, renamed},
    rows::{row, sorted},
    servers::{accepts, free_port, nginx},
};

/// A certificate and its key, as files.
pub(super) struct Certificate {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Certificate {
    /// Made for one test.
    pub(super) fn new(place: &Place) -> Result<Self> {
        let (certificate, key) = (place.file("certificate.pem"), place.file("key.pem"));
        let arguments = [
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost,IP:127.0.0.1",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ];
        output("openssl", &arguments, place)?;
        Ok(Self { certificate, key })
    }
}

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

/// Lets every client do its requests.
pub(super) fn clients(place: &Place, port: u16) -> Result<()> {
    let port = port.to_string();
    let at = |path: &str| format!("https://127.0.0.1:{port}/{path}");
    let curl = |arguments: &[&str]| {
        output(
            "curl",
            &[&["-sSk", "--max-time", "20"], arguments].concat(),
            place,
        )
    };
    curl(&[&at("users/[1-20]/orders/7")])?;
    curl(&["-d", "{\"item\": 5}", &at("users/[1-20]/orders")])?;
    curl(&["-X", "DELETE", &at("users/[1-20]")])?;

    let (got, all) = (place.file("got"), 1..=TIMES);
    let wget = |more: &[&str], urls: Vec<String>| {
        let mut wget = command("wget")?;
        wget.args(["-q", "--no-check-certificate", "-O", &got])
            .args(more)
            .args(urls);
        Program::run(&mut wget, place, super::agent::PATIENCE)
    };
    wget(
        &[],
        all.clone()
            .map(|n| at(&format!("reports/{n}/orders/7")))
            .collect(),
    )?
    .success()?;
    wget(
        &["--post-data", "{}"],
        all.clone().map(|n| at(&format!("reports/{n}/orders"))).collect(),
    )?
    .success()?;
    // It counts an answer of 409 as its own failure.
    wget(
        &["--method=DELETE"],
        all.map(|n| at(&format!("reports/{n}"))).collect(),
    )?;

    let client = fixture("tls_client.py");
    let other = place.write("tls_async.py", std::fs::read(&client)?)?;
    let (js, php, rb) = (
        fixture("tls_client.js"),
        fixture("tls_client.php"),
        fixture("tls_client.rb"),
    );
    let scripts: [&[&str]; 5] = [
        &["python3", &client, "blocking", &port, "carts"],
        &["python3", &other, "asyncio", &port, "parts"],
        &["node", &js, &port, "zones"],
        &["php", &php, &port, "books"],
        &["ruby", &rb, &port, "desks"],
    ];
    let running: Vec<Program> = scripts
        .iter()
        .filter_map(|line| line.split_first())
        .map(|(program, arguments)| Program::start(command(program)?.args(arguments), place))
        .collect::<Result<_>>()?;
    for script in running {
        script.end(PATIENCE)?.success()?;
    }
    Ok(())
}

/// What is to be listed of them.
pub(super) fn expected() -> Vec<String> {
    let rows = CLIENTS.iter().flat_map(|(client, resource)| {
        let id = format!("{}Id", resource.trim_end_matches('s'));
        [
            row(
                "GET",
                &format!("/{resource}/{{{id}}}/orders/{{orderId}}"),
                "2xx",
                TIMES,
                client,
            ),
            row(
                "POST",
                &format!("/{resource}/{{{id}}}/orders"),
                "2xx",
                TIMES,
                client,
            ),
            row("DELETE", &format!("/{resource}/{{{id}}}"), "4xx", TIMES, client),
        ]
    });
    sorted(rows.collect())
}

pub(super) fn python_serves_tls(place: &Place) -> Result<()> {
    python(place, "blocking")
}

pub(super) fn asyncio_serves_tls(place: &Place) -> Result<()> {
    python(place, "asyncio")
}

fn python(place: &Place, mode: &str) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    let mut server = command("python3")?;
    server.args([&fixture("tls_server.py"), mode, &own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    clients(place, server.first_line()?.parse()?)?;
    agent.expect("tls_server.py", &expected())
}

pub(super) fn node_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    let mut server = command("node")?;
    server.args([&fixture("tls_server.js"), &own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    clients(place, server.first_line()?.parse()?)?;
    agent.expect("tls_server.js", &expected())
}

pub(super) fn puma_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let agent = Agent::start(place)?;
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
    let mut server = Program::start(&mut server, place)?;
    server.ready(|| accepts(port))?;
    clients(place, port)?;
    agent.expect("puma", &expected())
}

/// Answers of nginx by method.
pub(super) const ANSWERS: &str = "location / { if ($request_method = POST) { return 201 '{\"id\": 7}'; } \
     if ($request_method = DELETE) { return 409 '{}'; } return 200 '{\"total\": 12.5}'; }";

pub(super) fn nginx_serves_tls(place: &Place) -> Result<()> {
    let own = Certificate::new(place)?;
    let port = free_port()?;
    let servers = format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {}; ssl_certificate_key {}; {ANSWERS} }}",
        own.certificate, own.key
    );
    let agent = Agent::start(place)?;
    let _server = nginx(place, "nginx-tls", port, &servers)?;
    clients(place, port)?;
    agent.expect("nginx-tls", &expected())
}

pub(super) fn haproxy_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "tls-proxy", |hop| {
        let both = [std::fs::read(&hop.own.certificate)?, std::fs::read(&hop.own.key)?].concat();
        let both = place.write("both.pem", both)?;
        let Hop { port, behind, .. } = hop;
        let configuration = place.write(
            "haproxy.cfg",
            format!(
                "global\n  maxconn 100\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 5s\n  \
                 timeout server 5s\nfrontend front\n  bind 127.0.0.1:{port} ssl crt {both}\n  \
                 default_backend back\nbackend back\n  server one 127.0.0.1:{behind} ssl verify none\n"
            ),
        )?;
        let proxy = renamed("haproxy", "tls-proxy", place)?;
        Program::start(Command::new(proxy).args(["-db", "-f", &configuration]), place)
    })
}

pub(super) fn apache_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "apache-tls", |hop| {
        let Hop { port, behind, own } = hop;
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
        let proxy = renamed("apache2", "apache-tls", place)?;
        Program::start(
            Command::new(proxy).args(["-DFOREGROUND", "-f", &configuration]),
            place,
        )
    })
}

/// Go on both sides, in an executable without symbols.
pub(super) fn caddy_speaks_tls_on_both_sides(place: &Place) -> Result<()> {
    proxied(place, "caddy-tls", |hop| {
        let Hop { port, behind, own } = hop;
        let configuration = place.write(
            "Caddyfile",
            format!(
                "{{\n  admin off\n  auto_https off\n}}\nhttps://:{port} {{\n  bind 127.0.0.1\n  tls {} {}\n  \
                 reverse_proxy https://127.0.0.1:{behind} {{\n    transport http {{\n      \
                 tls_insecure_skip_verify\n    }}\n  }}\n}}\n",
                own.certificate, own.key
            ),
        )?;
        let proxy = renamed("caddy", "caddy-tls", place)?;
        let mut proxy = Command::new(proxy);
        proxy
            .env("HOME", place.path())
            .args(["run", "--adapter", "caddyfile", "--config", &configuration]);
        Program::start(&mut proxy, place)
    })
}

/// Where a proxy listens, and where it sends requests.
struct Hop {
    port: u16,
    behind: u16,
    own: Certificate,
}

/// TLS on both sides of a proxy: each hop is listed with the one before it as its caller.
fn proxied(place: &Place, name: &str, start: impl FnOnce(&Hop) -> Result<Program>) -> Result<()> {
    let own = Certificate::new(place)?;
    let agent = Agent::start(place)?;
    // It reads each request to its end before it answers.
    let mut server = command("python3")?;
    server.args([&fixture("tls_server.py"), "asyncio", &own.certificate, &own.key]);
    let mut server = Program::start(&mut server, place)?;
    let hop = Hop {
        port: free_port()?,
        behind: server.first_line()?.parse()?,
        own,
    };
    let mut proxy = start(&hop)?;
    proxy.ready(|| accepts(hop.port))?;
    if name == "caddy-tls" {
        agent.probes(&place.path().join(name), 1)?;
    }
    clients(place, hop.port)?;
    agent.shows(name, &expected())?;
    let through: Vec<String> = expected()
        .into_iter()
        .map(|line| match line.rsplit_once(", by ") {
            Some((row, _)) => format!("{row}, by {name}"),
            None => line,
        })
        .collect();
    agent.expect("tls_server.py", &sorted(through))
}
