//! The API server of Kubernetes, or what stands in for it, without a node: it keeps what the test writes, and lets others read it.
//!
//! The one is built by `cargo xtask api-server` and has etcd behind it; building it takes a quarter of an hour. The other gives
//! recorded answers of the former (`fixtures/api_server.py`) and is always there. To the agent they are the same: a certificate
//! that an authority of the test's has signed, users by token and by certificate, rights checked against roles, and a log of who
//! asked for what.

use std::{collections::BTreeSet, fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::{
    place::{Place, fixture},
    program::{Program, command, output},
    servers::{accepts, free_port},
    wait::until,
};

const ADMINISTRATOR: &str = "administrator-token";

/// Who asks for what is logged: not what is answered.
const AUDIT: &str = "\
    apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata}]\n";

/// A running API server.
#[derive(Debug)]
pub(crate) struct ApiServer<'a> {
    place: &'a Place,
    kind: Kind,
    pub(crate) port: u16,
    /// `None` while it is stopped.
    server: Option<Program>,
}

#[derive(Debug)]
enum Kind {
    /// With etcd, at this port.
    Built { etcd: u16, _etcd: Program },
    /// Ends each watch after so many seconds.
    Recorded { watch_seconds: u32 },
}

/// Where `cargo xtask api-server` leaves it. Without it the test is skipped, in CI too.
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
    pub(crate) fn built(place: &'a Place) -> Result<Self> {
        binary()?;
        let (etcd, peers) = (free_port()?, free_port()?);
        let (at, peers_at) = (
            format!("http://127.0.0.1:{etcd}"),
            format!("http://127.0.0.1:{peers}"),
        );
        let mut program = command("etcd")?;
        program.args(["--data-dir", &place.file("etcd"), "--log-level", "error"]);
        program.args(["--listen-client-urls", &at, "--advertise-client-urls", &at]);
        program.args([
            "--listen-peer-urls",
            &peers_at,
            "--initial-advertise-peer-urls",
            &peers_at,
        ]);
        program.args(["--initial-cluster", &format!("default={peers_at}")]);
        let mut program = Program::start(&mut program, place)?;
        program.ready(|| accepts(etcd))?;
        output(
            "openssl",
            &["genrsa", "-out", &place.file("accounts.key"), "2048"],
            place,
        )?;
        place.write("audit.yaml", AUDIT)?;
        Self::of(place, Kind::Built { etcd, _etcd: program })
    }

    /// Starts the one that gives recorded answers.
    pub(crate) fn recorded(place: &'a Place, watch_seconds: u32) -> Result<Self> {
        Self::of(place, Kind::Recorded { watch_seconds })
    }

    fn of(place: &'a Place, kind: Kind) -> Result<Self> {
        place.write(
            "tokens.csv",
            format!("{ADMINISTRATOR},admin,admin,system:masters\n"),
        )?;
        let (certificate, key) = (place.file("authority.crt"), place.file("authority.key"));
        let names = ["-keyout", &key, "-out", &certificate, "-subj", "/CN=authority"];
        output(
            "openssl",
            &[&["req", "-x509", "-days", "2"], &KEY[..], &names].concat(),
            place,
        )?;
        let mut server = Self {
            place,
            kind,
            port: free_port()?,
            server: None,
        };
        server.certificate("server", "subjectAltName=IP:127.0.0.1")?;
        server.resume()?;
        Ok(server)
    }

    /// Has a certificate signed for this name, and gives the paths of it and its key.
    pub(crate) fn certificate(&self, name: &str, extension: &str) -> Result<(String, String)> {
        let file = |end: &str| self.place.file(&format!("{name}.{end}"));
        let (request, key, certificate) = (file("csr"), file("key"), file("crt"));
        let subject = format!("/CN={name}");
        let names = [
            "-keyout", &key, "-out", &request, "-subj", &subject, "-addext", extension,
        ];
        output("openssl", &[&["req"], &KEY[..], &names].concat(), self.place)?;
        let (authority, authority_key) = (self.place.file("authority.crt"), self.place.file("authority.key"));
        let sign = [
            "x509",
            "-req",
            "-days",
            "2",
            "-copy_extensions",
            "copy",
            "-CAcreateserial",
        ];
        let names = [
            "-in",
            &request,
            "-CA",
            &authority,
            "-CAkey",
            &authority_key,
            "-out",
            &certificate,
        ];
        output("openssl", &[&sign[..], &names].concat(), self.place)?;
        Ok((certificate, key))
    }

    /// Starts the server on what it kept.
    pub(crate) fn resume(&mut self) -> Result<()> {
        let place = self.place;
        let file = |name: &str| place.file(name);
        let mut program = match &self.kind {
            Kind::Built { etcd, .. } => {
                let mut program = Command::new(binary()?);
                let files = [
                    ("service-account-key-file", "accounts.key"),
                    ("service-account-signing-key-file", "accounts.key"),
                    ("token-auth-file", "tokens.csv"),
                    ("cert-dir", "certificates"),
                    ("tls-cert-file", "server.crt"),
                    ("tls-private-key-file", "server.key"),
                    ("client-ca-file", "authority.crt"),
                    ("audit-policy-file", "audit.yaml"),
                    ("audit-log-path", "audit.log"),
                ];
                program.args(files.map(|(option, name)| format!("--{option}={}", file(name))));
                program
                    .arg(format!("--etcd-servers=http://127.0.0.1:{etcd}"))
                    .args(["--service-account-issuer=https://kubernetes.default.svc", "--authorization-mode=RBAC"])
                    .arg(format!("--secure-port={}", self.port))
                    .args(["--bind-address=127.0.0.1", "--service-cluster-ip-range=10.96.0.0/16"])
                    // No controller makes default accounts here.
                    .arg("--disable-admission-plugins=ServiceAccount");
                program
            }
            Kind::Recorded { watch_seconds } => {
                let mut program = command("python3")?;
                program.args([&fixture("api_server.py"), &self.port.to_string()]);
                program.args(["server.crt", "server.key", "authority.crt", "tokens.csv", ""].map(file));
                program.env("WATCH_SECONDS", watch_seconds.to_string());
                program
            }
        };
        let program = self.server.insert(Program::start(&mut program, place)?);
        let (pid, mut said) = (program.pid(), String::new());
        until(Duration::from_secs(90), || {
            ensure!(self.curl(ADMINISTRATOR, &["-f"], "/readyz")? == "ok", "not ready");
            Ok(())
        })
        .with_context(|| {
            said.extend(self.server.as_ref().map(Program::complaints));
            format!("pid {pid}: {said}")
        })
    }

    /// Stops the server; what it keeps stays.
    pub(crate) fn pause(&mut self) {
        self.server = None;
    }

    /// Makes all versions before now unavailable, as etcd does every few minutes. To be called while it is stopped.
    pub(crate) fn compact(&self) -> Result<()> {
        let Kind::Built { etcd, .. } = &self.kind else {
            let mut kept: Value = serde_json::from_slice(&fs::read(self.place.file("objects.json"))?)?;
            let version = kept.get_mut("version").context("no version")?;
            *version = (version.as_u64().unwrap_or_default() + 3).into();
            return self.place.write("objects.json", kept.to_string()).map(drop);
        };
        let endpoint = format!("--endpoints=http://127.0.0.1:{etcd}");
        let control = |arguments: &[&str]| {
            let mut program = command("etcdctl")?;
            program.env("ETCDCTL_API", "3").arg(&endpoint).args(arguments);
            Program::run(&mut program, self.place, Duration::from_secs(20))?.success()
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

    /// Path of the certificate of who vouches for the server and for users.
    pub(crate) fn authority(&self) -> String {
        self.place.file("authority.crt")
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
        let arguments = ["-o", &self.place.file("answer.json"), "-w", "%{http_code}"];
        self.curl(token, &arguments, path)
    }

    /// What the server's log says that users asked for, as far as it was granted, but for those of the test itself.
    pub(crate) fn granted(&self, user: &str) -> Result<Vec<Value>> {
        let log = fs::read_to_string(self.place.file("audit.log"))?;
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let text = |event: &Value, at: &str| event.pointer(at).and_then(Value::as_str).map(str::to_owned);
        Ok(lines
            .filter(|event| text(event, "/user/username").as_deref() == Some(user))
            .filter(|event| event.pointer("/responseStatus/code").and_then(Value::as_u64) == Some(200))
            .collect())
    }

    /// Rights that such requests took: group, resource and verb.
    pub(crate) fn rights(requests: &[Value]) -> BTreeSet<[String; 3]> {
        let right = |event: &Value| {
            ["/objectRef/apiGroup", "/objectRef/resource", "/verb"].map(|at| {
                let text = event.pointer(at).and_then(Value::as_str);
                text.unwrap_or_default().to_owned()
            })
        };
        requests.iter().map(right).collect()
    }

    fn curl(&self, token: &str, arguments: &[&str], path: &str) -> Result<String> {
        let (header, authority) = (format!("authorization: Bearer {token}"), self.authority());
        let url = format!("https://127.0.0.1:{}{path}", self.port);
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

/// How openssl makes a key.
const KEY: [&str; 5] = [
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
];
