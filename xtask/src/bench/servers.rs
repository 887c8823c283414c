//! The servers that are asked, on the first processor where there are two.
//!
//! All answer `/small` with 600 bytes; nginx also `/large` with 1 MiB, or calls of JSON-RPC.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Result;

use super::{
    Work,
    process::{Place, Process},
};
use crate::{
    npm,
    shell::{find_program, output_of},
    workspace,
};

/// A WSGI application by gunicorn, one worker with as many threads as there are connections.
const PYTHON: &str = r#"
def application(environ, start):
    start("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "600")])
    return [b"x" * 600]
"#;

/// What most applications in Node are made with.
const EXPRESS: (&str, &str) = ("express", "5.3.0");

const EXPRESS_APPLICATION: &str = r#"
const application = require("express")();
application.get("/small", (_, answer) => answer.type("text").send("x".repeat(600)));
application.listen(Number(process.argv[2]), "127.0.0.1");
"#;

const NODE: &str = r#"
const body = "x".repeat(600);
require("http").createServer((_, answer) => answer.end(body)).listen(Number(process.argv[2]), "127.0.0.1");
"#;

const GO: &str = r#"
package main

import (
	"net/http"
	"os"
	"strings"
)

func main() {
	body := []byte(strings.Repeat("x", 600))
	http.HandleFunc("/small", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain")
		answer.Write(body)
	})
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
"#;

/// What calls of JSON-RPC are answered with by nginx.
const RPC: &str = r#"default_type application/json; location /rpc { return 200 '{"jsonrpc":"2.0","id":1,"result":true}'; }"#;

/// Starts the server of a work on a port; with the scheme it speaks, or `None` for work without one.
pub(super) fn start(work: Work, place: &Place, port: u16) -> Result<Option<(Process, &'static str)>> {
    let log = place.file("server.log");
    let number = port.to_string();
    let server = match work {
        Work::Files => return Ok(None),
        Work::Python => {
            let script = place.file("server.py");
            fs::write(&script, PYTHON)?;
            pinned("gunicorn")
                .arg("--chdir")
                .arg(place.file(""))
                .arg("--bind")
                .arg(format!("127.0.0.1:{number}"))
                .args(&[
                    "--worker-class",
                    "gthread",
                    "--threads",
                    "32",
                    "--keep-alive",
                    "75",
                ])
                .arg("server:application")
                .spawn_in(&log)?
        }
        Work::Express => {
            let packages = workspace::target_directory(&workspace::root()?).join("bench-node");
            npm::install(&packages, &[EXPRESS])?;
            // Where it finds them.
            let script = packages.join("server.js");
            fs::write(&script, EXPRESS_APPLICATION)?;
            pinned("node").arg(&script).arg(&number).spawn_in(&log)?
        }
        Work::Node => {
            let script = place.file("server.js");
            fs::write(&script, NODE)?;
            pinned("node").arg(&script).arg(&number).spawn_in(&log)?
        }
        Work::Go => pinned(go(place)?).arg(&number).spawn_in(&log)?,
        Work::Small | Work::Large | Work::Steady => nginx(place, &format!("{port} reuseport"), "")?,
        Work::Many => nginx(place, &format!("{port} reuseport"), RPC)?,
        Work::Http2 => nginx(place, &format!("{port} http2 reuseport"), "")?,
        Work::Tls => {
            let settings = certificate(place)?;
            return Ok(Some((
                nginx(place, &format!("{port} ssl reuseport"), &settings)?,
                "https",
            )));
        }
    };
    Ok(Some((server, "http")))
}

/// Builds the server in Go.
fn go(place: &Place) -> Result<PathBuf> {
    let (source, program) = (place.file("server.go"), place.file("server-go"));
    fs::write(&source, GO)?;
    let mut go = Command::new("go");
    go.args(["build", "-o"]).arg(&program).arg(&source);
    go.env("GOCACHE", place.file("go-cache"))
        .env("GO111MODULE", "off");
    output_of(&mut go)?;
    Ok(program)
}

/// Makes a certificate; the settings of nginx that name it.
fn certificate(place: &Place) -> Result<String> {
    let (key, certificate) = (place.file("key.pem"), place.file("cert.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]);
    openssl.args(["-subj", "/CN=localhost"]);
    output_of(openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate))?;
    Ok(format!(
        "ssl_certificate {}; ssl_certificate_key {};",
        certificate.display(),
        key.display()
    ))
}

/// A command that runs on the first processor.
struct Pinned(Command);

fn pinned(program: impl AsRef<OsStr>) -> Pinned {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]);
    let program = program.as_ref();
    command.arg(find_program(program).unwrap_or_else(|| program.into()));
    Pinned(command)
}

impl Pinned {
    fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    fn args(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    fn spawn_in(mut self, log: &Path) -> Result<Process> {
        Process::start(&mut self.0, log)
    }
}

/// nginx with one worker; `listen` is the port and its options, `settings` are further ones of the server.
fn nginx(place: &Place, listen: &str, settings: &str) -> Result<Process> {
    let configuration = place.file("nginx.conf");
    fs::write(place.file("large"), vec![b'x'; 1 << 20])?;
    let text = format!(
        "daemon off; master_process off; worker_processes 1; pid {pid}; error_log {log};\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; keepalive_requests 100000000; sendfile off; default_type text/plain;\n\
         server {{ listen 127.0.0.1:{listen}; {settings} root {root}; location /small {{ return 200 \"{body}\"; }} }} }}\n",
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
