//! The API server of Kubernetes, with etcd behind it and no node: it keeps what the test writes, and lets others read it.
//!
//! It is built by `cargo xtask api-server`. Its certificate is its own, its administrator has a token, and rights are checked
//! against roles, as in a cluster.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    place::Place,
    program::{Program, command, output},
    servers::{accepts, free_port},
};

const ADMINISTRATOR: &str = "administrator-token";

/// A running API server.
#[derive(Debug)]
pub(crate) struct ApiServer<'a> {
    place: &'a Place,
    etcd: u16,
    pub(crate) port: u16,
    /// `None` while it is stopped.
    server: Option<Program>,
    _etcd: Program,
}

/// Where `cargo xtask api-server` leaves it. Building it takes a quarter of an hour: without it the test is skipped, in CI
/// too.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let mut above = test.ancestors().map(|directory| directory.join("kube-apiserver"));
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/kube-apiserver");
    above
        .find(|path| path.is_file())
        .or_else(|| workspace.is_file().then_some(workspace))
        .ok_or_else(|| {
            super::Skipped("kube-apiserver is not built: run `cargo xtask api-server`".to_owned()).into()
        })
}

impl<'a> ApiServer<'a> {
    /// Starts etcd and the server, and waits until it is ready.
    pub(crate) fn start(place: &'a Place) -> Result<Self> {
        binary()?;
        let (etcd, peers, port) = (free_port()?, free_port()?, free_port()?);
        let (at, peers_at) = (
            format!("http://127.0.0.1:{etcd}"),
            format!("http://127.0.0.1:{peers}"),
        );
        let mut program = command("etcd")?;
        program.args(["--data-dir", &place.file("etcd"), "--log-level", "error"]);
        program.args([
            "--listen-client-urls",
            &at,
            "--advertise-client-urls",
            &at,
            "--listen-peer-urls",
            &peers_at,
        ]);
        program.args([
            "--initial-advertise-peer-urls",
            &peers_at,
            "--initial-cluster",
            &format!("default={peers_at}"),
        ]);
        let mut program = Program::start(&mut program, place)?;
        program.ready(|| accepts(etcd))?;
        output(
            "openssl",
            &["genrsa", "-out", &place.file("accounts.key"), "2048"],
            place,
        )?;
        place.write(
            "tokens.csv",
            format!("{ADMINISTRATOR},admin,admin,system:masters\n"),
        )?;
        let mut server = Self {
            place,
            etcd,
            port,
            server: None,
            _etcd: program,
        };
        server.resume()?;
        Ok(server)
    }

    /// Starts the server on what etcd holds.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let place = self.place;
        let mut program = std::process::Command::new(binary()?);
        program
            .arg(format!("--etcd-servers=http://127.0.0.1:{}", self.etcd))
            .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"])
            .arg(format!("--service-account-key-file={}", place.file("accounts.key")))
            .arg(format!("--service-account-signing-key-file={}", place.file("accounts.key")))
            .arg(format!("--token-auth-file={}", place.file("tokens.csv")))
            .arg(format!("--cert-dir={}", place.file("certificates")))
            .arg(format!("--secure-port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--service-cluster-ip-range=10.96.0.0/16"])
            // No controller makes default accounts here.
            .arg("--disable-admission-plugins=ServiceAccount");
        let program = self.server.insert(Program::start(&mut program, place)?);
        let at = format!("https://127.0.0.1:{}/readyz", self.port);
        let (authority, header) = (
            self.place.file("certificates/apiserver.crt"),
            bearer(ADMINISTRATOR),
        );
        let curl = [
            "-sSf",
            "--http1.1",
            "--max-time",
            "5",
            "--cacert",
            &authority,
            "-H",
            &header,
            &at,
        ];
        super::wait::until(std::time::Duration::from_secs(90), || {
            ensure!(output("curl", &curl, place)? == "ok", "not ready");
            Ok(())
        })
        .with_context(|| format!("pid {}", program.pid()))
    }

    /// Stops the server; etcd runs on.
    pub(crate) fn pause(&mut self) {
        self.server = None;
    }

    /// Makes all versions before now unavailable, as etcd does every few minutes.
    pub(crate) fn compact(&self) -> Result<()> {
        let endpoint = format!("--endpoints=http://127.0.0.1:{}", self.etcd);
        let control = |arguments: &[&str]| {
            let mut program = command("etcdctl")?;
            program.env("ETCDCTL_API", "3").arg(&endpoint).args(arguments);
            Program::run(&mut program, self.place, std::time::Duration::from_secs(20))?.success()
        };
        let mut revision = 0;
        for _ in 0..3 {
            let put: Value = serde_json::from_str(&control(&["-w", "json", "put", "unrelated", "x"])?)?;
            revision = put
                .pointer("/header/revision")
                .and_then(Value::as_u64)
                .context("no revision")?;
        }
        control(&["compact", &revision.to_string()]).map(drop)
    }

    /// The certificate of who vouches for the server.
    pub(crate) fn authority(&self) -> Result<Vec<u8>> {
        Ok(fs::read(self.place.file("certificates/apiserver.crt"))?)
    }

    /// Sends an object as the administrator and gives the answer.
    pub(crate) fn send(&self, method: &str, path: &str, object: &Value) -> Result<Value> {
        let body = self.place.write("object.json", object.to_string())?;
        let kind = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let (kind, body) = (format!("content-type: {kind}"), format!("@{body}"));
        let answer = self.curl(ADMINISTRATOR, &["-X", method, "-H", &kind, "-d", &body], path)?;
        let answer: Value = serde_json::from_str(&answer)?;
        ensure!(answer.get("code").is_none(), "{method} {path}: {answer}");
        Ok(answer)
    }

    /// What somebody with this token gets.
    pub(crate) fn status(&self, token: &str, path: &str) -> Result<String> {
        self.curl(
            token,
            &["-o", &self.place.file("answer.json"), "-w", "%{http_code}"],
            path,
        )
    }

    fn curl(&self, token: &str, arguments: &[&str], path: &str) -> Result<String> {
        let authority = self.place.file("certificates/apiserver.crt");
        let (header, url) = (bearer(token), format!("https://127.0.0.1:{}{path}", self.port));
        let common = [
            "-sS",
            "--http1.1",
            "--max-time",
            "20",
            "--cacert",
            &authority,
            "-H",
            &header,
            &url,
        ];
        output("curl", &[&common, arguments].concat(), self.place)
    }
}

fn bearer(token: &str) -> String {
    format!("authorization: Bearer {token}")
}
