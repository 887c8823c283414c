//! The work itself: servers, and who asks them.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};

use super::{
    Work,
    process::{Place, Process, free_port, listening},
};
use crate::shell::{find_program, output_of, run};

/// What one round came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    /// Requests, or passes over a file, each second.
    pub(super) rate: f64,
    /// How many in all.
    pub(super) count: f64,
    /// Latency that 99 of 100 stay below, in milliseconds; 0 where there is none.
    pub(super) p99_ms: f64,
}

/// A server at work, or none for files.
pub(super) struct Load {
    work: Work,
    url: String,
    _server: Option<Process>,
    file: std::path::PathBuf,
}

const PYTHON: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = b"x" * 600
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"#;

const NODE: &str = r#"
const body = "x".repeat(600);
require("http").createServer((_, answer) => answer.end(body)).listen(Number(process.argv[2]), "127.0.0.1");
"#;

impl Load {
    /// Starts the server of a work, on the first processor where there are two.
    pub(super) fn start(work: Work, place: &Place) -> Result<Self> {
        let port = free_port()?;
        let log = place.file("server.log");
        let script = place.file("server");
        let (server, scheme) = match work {
            Work::Files => (None, ""),
            Work::Python => {
                fs::write(&script, PYTHON)?;
                (
                    Some(
                        pinned("python3")
                            .arg(&script)
                            .arg(port.to_string())
                            .spawn_in(&log)?,
                    ),
                    "http",
                )
            }
            Work::Node => {
                let script = script.with_extension("js");
                fs::write(&script, NODE)?;
                (
                    Some(pinned("node").arg(&script).arg(port.to_string()).spawn_in(&log)?),
                    "http",
                )
            }
            Work::Small | Work::Large => (Some(nginx(place, port, None)?), "http"),
            Work::Tls => {
                let (key, certificate) = (place.file("key.pem"), place.file("cert.pem"));
                let mut openssl = Command::new("openssl");
                openssl.args([
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "1",
                    "-subj",
                    "/CN=localhost",
                ]);
                output_of(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
                (Some(nginx(place, port, Some((&key, &certificate)))?), "https")
            }
        };
        if server.is_some() {
            listening(port)?;
        }
        let path = if work == Work::Large { "large" } else { "small" };
        Ok(Self {
            work,
            url: format!("{scheme}://127.0.0.1:{port}/{path}"),
            _server: server,
            file: place.file("data"),
        })
    }

    /// One round of about so many seconds.
    pub(super) fn round(&mut self, seconds: u32) -> Result<Round> {
        match self.work {
            Work::Files => self.files(seconds),
            _ => self.wrk(seconds),
        }
    }

    fn wrk(&self, seconds: u32) -> Result<Round> {
        let mut wrk = Command::new("taskset");
        wrk.args(["-c", last_processor(), "wrk", "-t1", "-c32", "--latency", "-d"]);
        let text = output_of(wrk.arg(format!("{seconds}s")).arg(&self.url))?;
        let count = text
            .lines()
            .find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
            .context("wrk says no number of requests")?;
        let rate = text
            .lines()
            .find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())
            .context("wrk says no rate")?;
        let p99 = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("99%").map(str::trim));
        Ok(Round {
            rate,
            count,
            p99_ms: p99.and_then(milliseconds).unwrap_or_default(),
        })
    }

    /// Writes and reads a file in small pieces; the rate is passes of 64 MiB each second.
    fn files(&self, seconds: u32) -> Result<Round> {
        let mut passes = 0.0;
        #[expect(clippy::disallowed_methods, reason = "the edge: the time that is measured")]
        let start = std::time::Instant::now();
        while start.elapsed().as_secs_f64() < f64::from(seconds) {
            let mut dd = Command::new("dd");
            dd.args(["if=/dev/zero", "bs=512", "count=131072", "status=none"]);
            run(dd.arg(format!("of={}", self.file.display())))?;
            passes += 1.0;
        }
        Ok(Round {
            rate: passes / start.elapsed().as_secs_f64(),
            count: passes,
            p99_ms: 0.0,
        })
    }
}

/// A command that runs on the first processor.
struct Pinned(Command);

fn pinned(program: &str) -> Pinned {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]);
    command.arg(find_program(program).unwrap_or_else(|| program.into()));
    Pinned(command)
}

impl Pinned {
    fn arg(mut self, argument: impl AsRef<std::ffi::OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    fn spawn_in(mut self, log: &Path) -> Result<Process> {
        Process::start(&mut self.0, log)
    }
}

fn nginx(place: &Place, port: u16, tls: Option<(&Path, &Path)>) -> Result<Process> {
    let listen = match tls {
        None => format!("listen 127.0.0.1:{port} reuseport;"),
        Some((key, certificate)) => format!(
            "listen 127.0.0.1:{port} ssl reuseport; ssl_certificate {}; ssl_certificate_key {};",
            certificate.display(),
            key.display()
        ),
    };
    let configuration = place.file("nginx.conf");
    fs::write(place.file("large"), vec![b'x'; 1 << 20])?;
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {pid}; error_log {log};\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 100000000; sendfile off; default_type text/plain;\n\
         server {{ {listen} root {root}; location /small {{ return 200 \"{body}\"; }} }} }}\n",
        pid = place.file("nginx.pid").display(),
        log = place.file("nginx.err").display(),
        root = place.file("").display(),
        body = "x".repeat(600),
    );
    fs::write(&configuration, text)?;
    pinned("nginx")
        .arg("-c")
        .arg(&configuration)
        .spawn_in(&place.file("nginx.log"))
}

/// The processor that asks: not the server's, where there are two.
fn last_processor() -> &'static str {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => "0",
        _ => "1",
    }
}

/// A time as wrk prints it: `1.23ms`, `456.00us`, `1.2s`.
fn milliseconds(text: &str) -> Option<f64> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at_checked(split)?;
    let number: f64 = number.parse().ok()?;
    match unit {
        "us" => Some(number / 1000.0),
        "ms" => Some(number),
        "s" => Some(number * 1000.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_wrk() {
        assert_eq!(milliseconds("456.00us"), Some(0.456));
        assert_eq!(milliseconds("1.23ms"), Some(1.23));
        assert_eq!(milliseconds("2.00s"), Some(2000.0));
        assert_eq!(milliseconds("x"), None);
    }
}
