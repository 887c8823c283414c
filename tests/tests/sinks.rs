//! Sinks against collectors that others wrote: what they received is compared with what was sent.
//!
//! A collector that is not installed is named, and the test passes; in CI it fails.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail like the tests themselves"
)]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use apiarist::sink::{Event, Sinks, target::Target};
use apiarist_tests::{
    collectors::{Collector, free_port, has, listens, offered, sample::incident, syslog_ng, until},
    python::environment,
};

fn alert(number: usize) -> Event {
    incident(number).unwrap()
}

fn sinks(directory: &Path, addresses: &[String]) -> Sinks {
    let targets: Vec<Target> = addresses
        .iter()
        .map(|address| Target::parse(address).unwrap())
        .collect();
    Sinks::start(&targets, directory, 64 << 20).unwrap()
}

fn delivered(sinks: &Sinks) {
    until("events are still queued", || {
        sinks.status().iter().all(|sink| sink.queued == 0).then_some(())
    })
    .unwrap();
}

/// rsyslog on this port, which writes what it receives to a file.
fn rsyslogd(directory: &Path, port: u16) -> Collector {
    let file = directory.join("received");
    let configuration = format!(
        "global(workDirectory=\"{work}\" maxMessageSize=\"64k\")\n\
         module(load=\"imtcp\")\ninput(type=\"imtcp\" port=\"{port}\" address=\"127.0.0.1\")\n\
         template(name=\"raw\" type=\"string\" string=\"%APP-NAME%\\t%PRI%\\t%MSGID%\\t%msg%\\n\")\n\
         action(type=\"omfile\" file=\"{file}\" template=\"raw\" asyncWriting=\"off\" flushOnTXEnd=\"on\")\n",
        work = directory.display(),
        file = file.display(),
    );
    let path = directory.join("rsyslog.conf");
    fs::write(&path, configuration).unwrap();
    let collector = Collector::start(
        Command::new("/usr/sbin/rsyslogd")
            .args(["-n", "-f"])
            .arg(&path)
            .arg("-i")
            .arg(directory.join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .unwrap();
    listens("rsyslogd", port).unwrap();
    collector
}

#[test]
fn rsyslog_gets_everything_in_order_though_it_was_killed() {
    if !has("/usr/sbin/rsyslogd").unwrap() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (spool, port) = (directory.path().join("spool"), free_port().unwrap());
    let address = [format!("syslog+tcp://127.0.0.1:{port}")];
    let mut collector = rsyslogd(directory.path(), port);
    let mut agent = sinks(&spool, &address);
    for number in 0..500 {
        agent.send(&alert(number));
    }
    delivered(&agent);
    collector.kill().unwrap();
    for number in 500..2_000 {
        agent.send(&alert(number));
    }
    // The agent ends, too, before the collector is back.
    drop(agent);
    let collector = rsyslogd(directory.path(), port);
    let mut agent = sinks(&spool, &address);
    for number in 2_000..2_100 {
        agent.send(&alert(number));
    }
    delivered(&agent);
    drop((agent, collector));

    let received = fs::read_to_string(directory.path().join("received")).unwrap();
    let mut ids: Vec<String> = Vec::new();
    for line in received.lines() {
        let fields: Vec<&str> = line.splitn(4, '\t').collect();
        assert_eq!(fields[..3], ["apiarist", "83", "sqli"], "{line}");
        let message: serde_json::Value = serde_json::from_str(fields[3].trim_start()).unwrap();
        ids.push(message["id"].as_str().unwrap().to_owned());
    }
    // At least once: a batch may come twice when its end was not seen.
    let mut order = ids.clone();
    order.sort();
    order.dedup();
    let expected: Vec<String> = (0..2_100).map(|number| format!("a{number:06}")).collect();
    assert_eq!(order, expected);
    let mut first_of_each: Vec<&String> = Vec::new();
    for id in &ids {
        if first_of_each.last().is_none_or(|last| *last < id) {
            first_of_each.push(id);
        }
    }
    assert_eq!(first_of_each.len(), expected.len(), "out of order");
}

/// syslog-ng on a TCP port and a TLS port, which writes what it receives to a file for each.
fn start_syslog_ng(mut command: Command, directory: &Path, [tcp, tls]: [u16; 2]) -> Collector {
    let at = directory.display();
    let configuration = format!(
        "@version: 3.38\noptions {{ log-msg-size(65536); keep-hostname(yes); stats-freq(0); }};\n\
         source s_tcp {{ syslog(ip(127.0.0.1) port({tcp}) transport(tcp)); }};\n\
         source s_tls {{ syslog(ip(127.0.0.1) port({tls}) transport(tls) tls(key-file(\"{at}/key.pem\") cert-file(\"{at}/cert.pem\") \
         peer-verify(optional-untrusted))); }};\n\
         template t {{ template(\"$PROGRAM\\t$PRI\\t$MSGID\\t$MSG\\n\"); template-escape(no); }};\n\
         destination d_tcp {{ file(\"{at}/tcp\" template(t)); }};\ndestination d_tls {{ file(\"{at}/tls\" template(t)); }};\n\
         log {{ source(s_tcp); destination(d_tcp); }};\nlog {{ source(s_tls); destination(d_tls); }};\n"
    );
    let path = directory.join("syslog-ng.conf");
    fs::write(&path, configuration).unwrap();
    let collector = Collector::start(
        command
            .args(["--foreground", "--no-caps", "-f"])
            .arg(&path)
            .arg("-R")
            .arg(directory.join("persist"))
            .arg("-c")
            .arg(directory.join("ctl"))
            .arg("-p")
            .arg(directory.join("pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .unwrap();
    listens("syslog-ng", tcp).unwrap();
    listens("syslog-ng", tls).unwrap();
    collector
}

/// A certificate for `localhost` and its key, made by openssl.
fn certificate(directory: &Path) {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-keyout",
            "key.pem",
            "-out",
            "cert.pem",
        ])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn syslog_ng_gets_everything_over_tcp_and_tls() {
    let command = syslog_ng::command(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let Some(command) = offered(command).unwrap() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path());
    let [tcp, tls] = [free_port().unwrap(), free_port().unwrap()];
    let mut agent = sinks(
        &directory.path().join("spool"),
        &[
            format!("syslog+tcp://127.0.0.1:{tcp}"),
            format!(
                "syslog+tls://localhost:{tls}?ca={}/cert.pem",
                directory.path().display()
            ),
        ],
    );
    // Sent while nobody listens yet.
    for number in 0..400 {
        agent.send(&alert(number));
    }
    let collector = start_syslog_ng(command, directory.path(), [tcp, tls]);
    delivered(&agent);
    let expected: Vec<String> = (0..400).map(|number| format!("a{number:06}")).collect();
    for way in ["tcp", "tls"] {
        until("syslog-ng has not written everything", || {
            let text = fs::read_to_string(directory.path().join(way)).unwrap_or_default();
            (text.lines().count() >= 400).then_some(())
        })
        .unwrap();
        let text = fs::read_to_string(directory.path().join(way)).unwrap();
        let id = |line: &str| {
            let fields: Vec<&str> = line.splitn(4, '\t').collect();
            assert_eq!(fields[..3], ["apiarist", "83", "sqli"], "{line}");
            let message: serde_json::Value = serde_json::from_str(fields[3]).unwrap();
            message["id"].as_str().unwrap().to_owned()
        };
        let ids: Vec<String> = text.lines().map(id).collect();
        assert_eq!(ids, expected, "{way}");
    }
    drop((agent, collector));
}

#[test]
fn the_journal_keeps_entries_with_their_fields() {
    let daemon = "/lib/systemd/systemd-journald";
    if !rustix::process::geteuid().is_root() || !Path::new(daemon).is_file() || !has("unshare").unwrap() {
        writeln!(
            std::io::stderr(),
            "skipped: needs root, systemd-journald and unshare"
        )
        .ok();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let run = directory.path().join("run");
    fs::create_dir_all(run.join("systemd/journal")).unwrap();
    fs::create_dir_all(run.join("log/journal")).unwrap();
    // A journal of its own: the daemon's /run is a directory of this test, in a mount namespace of its own.
    let script = format!("mount --bind {} /run && exec {daemon}", run.display());
    let journal = Collector::start(
        Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
    .unwrap();
    let socket = run.join("systemd/journal/socket");
    until("systemd-journald does not listen", || {
        std::os::unix::net::UnixDatagram::unbound()
            .and_then(|from| from.connect(&socket))
            .ok()
    })
    .unwrap();
    let mut agent = sinks(
        &directory.path().join("spool"),
        &[format!("journald://{}", socket.display())],
    );
    for number in 0..100 {
        agent.send(&alert(number));
    }
    delivered(&agent);
    let expected: Vec<String> = (0..100).map(|number| format!("a{number:06} sqli 3")).collect();
    let kept = until("the journal has not everything", || {
        let output = Command::new("journalctl")
            .args(["-o", "json", "-t", "apiarist", "--all", "-D"])
            .arg(run.join("log/journal"))
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        let lines: Vec<String> = text
            .lines()
            .filter_map(|line| {
                let entry: serde_json::Value = serde_json::from_str(line).ok()?;
                let field = |name: &str| entry.get(name).and_then(serde_json::Value::as_str);
                let message: serde_json::Value = serde_json::from_str(field("MESSAGE")?).ok()?;
                assert_eq!(message["id"].as_str(), field("APIARIST_ID"));
                Some(format!(
                    "{} {} {}",
                    field("APIARIST_ID")?,
                    field("APIARIST_CLASS")?,
                    field("PRIORITY")?
                ))
            })
            .collect();
        (lines.len() >= 100).then_some(lines)
    })
    .unwrap();
    assert_eq!(kept, expected);
    drop((agent, journal));
}

fn programs() -> Option<PathBuf> {
    let packages = ["grpcio", "opentelemetry-proto"];
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    offered(environment(target, "collectors-2", &packages)).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

#[test]
fn otlp_and_webhook_arrive_whole_and_signed() {
    let Some(programs) = programs() else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let (grpc, http) = (free_port().unwrap(), free_port().unwrap());
    let key = directory.path().join("key");
    fs::write(&key, "secret\n").unwrap();
    let received = directory.path().join("received");
    let mut agent = sinks(
        &directory.path().join("spool"),
        &[
            format!("otlp+grpc://127.0.0.1:{grpc}"),
            format!("otlp+http://127.0.0.1:{http}"),
            format!(
                "webhook+http://127.0.0.1:{http}/hook?secret_file={}",
                key.display()
            ),
        ],
    );
    // Sent while nobody listens yet.
    for number in 0..300 {
        agent.send(&alert(number));
    }
    let collector = Collector::start(
        Command::new(programs.join("python3"))
            .arg(fixture("collector.py"))
            .args([grpc.to_string(), http.to_string(), "secret".to_owned()])
            .stdout(fs::File::create(&received).unwrap()),
    )
    .unwrap();
    delivered(&agent);
    drop((agent, collector));
    let text = fs::read_to_string(received).unwrap();
    for way in ["grpc", "http", "webhook"] {
        let of_way = |line: &str| line.strip_prefix(&format!("{way} ")).map(str::to_owned);
        let lines: Vec<String> = text.lines().filter_map(of_way).collect();
        let expected: Vec<String> = (0..300).map(|number| format!("a{number:06} sqli")).collect();
        assert_eq!(lines, expected, "{way}");
    }
}

#[test]
fn a_file_is_rotated_and_holds_every_line_once() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("alerts.jsonl");
    let address = format!("file://{}?rotate_bytes=20000&keep=50", file.display());
    let mut agent = sinks(&directory.path().join("spool"), &[address]);
    for number in 0..400 {
        agent.send(&alert(number));
        if number % 40 == 0 {
            delivered(&agent);
        }
    }
    drop(agent);
    let mut ids = Vec::new();
    let mut files = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            for line in fs::read_to_string(path).unwrap().lines() {
                let event: Event = serde_json::from_str(line).unwrap();
                let Event::Alert(alert) = event else {
                    continue;
                };
                ids.push(alert.id);
            }
        }
    }
    ids.sort();
    let expected: Vec<String> = (0..400).map(|number| format!("a{number:06}")).collect();
    assert_eq!(ids, expected);
    assert!(files > 3, "{files} files");
}
