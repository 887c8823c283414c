//! `apiarist run`: capture, learn and report until told to stop.
//!
//! Here: flags on top of the configuration, and the check whether this host allows it at all. The work itself is
//! [`crate::pipeline`]'s. A host that lacks something ends with exit code 2 and one sentence that names it.

use std::{io::Write, path::PathBuf, time::Duration};

use super::{
    Context, Failure, Terminal,
    doctor::{HostFacts, Outcome, diagnose},
    logging,
    status::size,
    table::{shorten, visible},
    time,
};
use crate::{
    config::{AlertTarget, Config, RunOptions, Scope, Source, default_store},
    inventory::EndpointView,
    pipeline::{self, Notice},
    status::Status,
};

const EXAMPLES: &str = "EXAMPLES:
  apiarist run
  apiarist run --duration 30s --port 8080 --store ./store --socket ./api.sock
  apiarist run --comm nginx --comm gunicorn
  apiarist run --alerts - --config /etc/apiarist/apiarist.toml

Scope options restrict what is observed: several values of one are alternatives, different ones must
all match. Needs root, or CAP_BPF and CAP_PERFMON; exits with 2 when the host lacks something.
SIGHUP reads the configuration again: detection, alerts, policies, risk and budgets change at once, what
needs a restart is named in the log, and a file that cannot be used changes nothing.";

/// Watch this host: capture, learn, report
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Directory of the store [default: /var/lib/apiarist, or $XDG_STATE_HOME/apiarist when not root]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Unix socket of the control API [default: /run/apiarist/apiarist.sock]
    #[arg(long, value_name = "PATH", env = "APIARIST_SOCKET", hide_env = true)]
    socket: Option<PathBuf>,
    /// Write alerts as JSON Lines to a file, or to standard output with `-`
    #[arg(long, value_name = "-|FILE")]
    alerts: Option<PathBuf>,
    /// Stop after this time, such as 30s or 10m; without it, on SIGINT or SIGTERM
    #[arg(long, value_name = "SPAN", value_parser = time::span)]
    duration: Option<Duration>,
    /// Observe only sockets with this local or remote port
    #[arg(long, value_name = "PORT", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
    /// Observe only this process
    #[arg(long, value_name = "PID", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pid: Vec<u32>,
    /// Observe only processes with this task name (15 bytes at the most)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    comm: Vec<String>,
    /// Observe only this control group and those below it
    #[arg(long, value_name = "PATH", value_delimiter = ',')]
    cgroup: Vec<String>,
    /// Observe only this container: its id, or at least 12 digits of it
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    container: Vec<String>,
    /// Observe only this Kubernetes namespace
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    namespace: Vec<String>,
}

pub(super) fn run(args: Args, context: &mut Context<'_>) -> Result<(), Failure> {
    let root = rustix::process::geteuid().is_root();
    let read = context.config()?;
    let mut options = resolve(args, read.clone(), root, |name| {
        std::env::var_os(name).map(PathBuf::from)
    })?;
    options.source = Some(Source {
        path: context.config_path.clone(),
        read,
    });
    let filter = context.log.as_deref().unwrap_or(&options.config.log.filter);
    logging::start(filter, options.config.log.format)?;
    start(options, context)
}

/// The configuration with the flags on top.
fn resolve(
    args: Args,
    mut config: Config,
    root: bool,
    variable: impl Fn(&str) -> Option<PathBuf>,
) -> Result<RunOptions, Failure> {
    let Args {
        store,
        socket,
        alerts,
        duration,
        port,
        pid,
        comm,
        cgroup,
        container,
        namespace,
    } = args;
    let scope: &mut Scope = &mut config.capture.scope;
    replace(&mut scope.ports, port);
    replace(&mut scope.pids, pid);
    replace(&mut scope.comms, comm);
    replace(&mut scope.cgroups, cgroup);
    replace(&mut scope.containers, container);
    replace(&mut scope.namespaces, namespace);
    if let Some((key, problem)) = config.conflicts().into_iter().next() {
        return Err(Failure::usage(format!(
            "{} {problem}",
            key.last().copied().unwrap_or_default()
        )));
    }
    let store = store
        .or_else(|| config.store.path.clone())
        .unwrap_or_else(|| default_store(root, variable));
    let socket = socket.unwrap_or_else(|| config.control.socket.clone());
    let alerts = alerts.map(|path| match path.as_os_str() == "-" {
        true => AlertTarget::Stdout,
        false => AlertTarget::File(path),
    });
    Ok(RunOptions {
        config,
        store,
        socket,
        alerts,
        duration,
        observed: None,
        source: None,
    })
}

/// A list on the command line takes the place of the configured one.
fn replace<T>(configured: &mut Vec<T>, given: Vec<T>) {
    if !given.is_empty() {
        *configured = given;
    }
}

/// Refuses a host on which nothing could be captured, with the first reason.
pub(super) fn preflight(facts: &HostFacts) -> Result<(), Failure> {
    match diagnose(facts)
        .into_iter()
        .find(|check| check.outcome == Outcome::Fail)
    {
        None => Ok(()),
        Some(check) => {
            let fix = check.fix.unwrap_or_default();
            Err(Failure::usage(format!("cannot start: {}: {fix}", check.finding)))
        }
    }
}

fn start(options: RunOptions, context: &mut Context<'_>) -> Result<(), Failure> {
    let (out, terminal) = (&mut *context.out, context.terminal);
    // An agent does not stop because nobody reads what it prints: after the first failure it is silent.
    let (mut listening, mut has_started) = (true, false);
    let ended = pipeline::run(&options, |notice| {
        has_started |= matches!(notice, Notice::Started { .. });
        listening = listening && tell(out, terminal, &options, &notice).is_ok();
    });
    if ended.is_err() && !has_started {
        // What the host lacks says more than what did not work. Asked afterwards: it takes a while to find out.
        preflight(&HostFacts::gather())?;
    }
    let summary = ended.map_err(|error| Failure::usage(format!("cannot run: {error:#}")))?;
    summarise(out, &summary.status, summary.endpoints)
}

fn tell(
    out: &mut dyn Write,
    terminal: Terminal,
    options: &RunOptions,
    notice: &Notice,
) -> Result<(), Failure> {
    match notice {
        Notice::Started { tier, blind_spots } => {
            writeln!(
                out,
                "watching this host (capture tier {tier}); ask with `apiarist endpoints --socket {}`, stop with Ctrl-C",
                options.socket.display()
            )?;
            for spot in blind_spots {
                writeln!(out, "not seen  {spot}")?;
            }
        }
        Notice::NewEndpoint(endpoint) => announce(out, terminal, endpoint)?,
        // Standard output holds them as JSON already.
        Notice::Alert(_) if options.alerts == Some(AlertTarget::Stdout) => {}
        Notice::Alert(alert) => super::alerts::announce(out, terminal, alert)?,
    }
    Ok(out.flush()?)
}

/// One line for a new endpoint, fitted to the terminal.
pub(crate) fn announce(
    out: &mut dyn Write,
    terminal: Terminal,
    endpoint: &EndpointView,
) -> Result<(), Failure> {
    let what = endpoint.operation.as_ref().unwrap_or(&endpoint.template);
    let line = format!(
        "new endpoint  {:<7} {}  {}",
        visible(&endpoint.method),
        visible(what),
        visible(&endpoint.workload)
    );
    match terminal.width {
        Some(width) => writeln!(out, "{}", shorten(&line, width))?,
        None => writeln!(out, "{line}")?,
    }
    Ok(())
}

/// What a run came to, in a few words.
pub(crate) fn summarise(out: &mut dyn Write, status: &Status, endpoints: usize) -> Result<(), Failure> {
    let lost: u64 = status.lost.values().sum();
    let uptime = Duration::from_secs(status.uptime as u64);
    writeln!(
        out,
        "{endpoints} endpoints, {} exchanges, {} in {}; {}",
        status.exchanges,
        size(status.bytes),
        time::show_span(uptime),
        match lost {
            0 => "nothing lost".to_owned(),
            _ => "some was lost: see `apiarist status`".to_owned(),
        }
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: Args,
    }

    fn options(config: &str, arguments: &[&str]) -> Result<RunOptions, Failure> {
        let line = Line::try_parse_from(std::iter::once(&"x").chain(arguments)).unwrap();
        resolve(line.run, crate::config::check(config).unwrap(), true, |_| None)
    }

    #[test]
    fn flags_come_before_the_file_and_the_file_before_the_defaults() {
        let file = "[capture.scope]\nports = [80]\ncomms = [\"nginx\"]\n[store]\npath = \"/srv/store\"\n";
        let from_file = options(file, &[]).unwrap();
        assert_eq!(from_file.store, PathBuf::from("/srv/store"));
        assert_eq!(from_file.config.capture.scope.ports, [80]);
        assert_eq!(from_file.socket, PathBuf::from("/run/apiarist/apiarist.sock"));
        let flags = options(
            file,
            &[
                "--port",
                "81,82",
                "--store",
                "s",
                "--alerts",
                "-",
                "--duration",
                "30s",
            ],
        )
        .unwrap();
        assert_eq!(flags.config.capture.scope.ports, [81, 82]);
        assert_eq!(flags.config.capture.scope.comms, ["nginx"]);
        assert_eq!(flags.store, PathBuf::from("s"));
        assert_eq!(flags.alerts, Some(AlertTarget::Stdout));
        assert_eq!(flags.duration, Some(Duration::from_secs(30)));
        assert_eq!(
            options("", &[]).unwrap().store,
            PathBuf::from("/var/lib/apiarist")
        );
    }

    #[test]
    fn flags_obey_the_rules_of_the_file() {
        let failure = options("", &["--container", "abc"]).unwrap_err();
        assert!(
            failure.sentence().unwrap().contains("first 12 hex digits"),
            "{failure:?}"
        );
    }

    #[test]
    fn a_host_that_lacks_something_is_told_in_one_sentence() {
        let facts = HostFacts {
            capabilities: 0,
            ..HostFacts::gather()
        };
        let failure = preflight(&facts).unwrap_err();
        let sentence = failure.sentence().unwrap();
        assert!(
            sentence.starts_with("cannot start: needs root, or the capabilities"),
            "{sentence}"
        );
        assert_eq!(sentence.lines().count(), 1);
    }

    #[test]
    fn a_run_is_summed_up_in_one_line() {
        let mut status = Status {
            uptime: 61.0,
            exchanges: 12,
            bytes: 2048,
            ..Status::default()
        };
        let mut out = Vec::new();
        summarise(&mut out, &status, 3).unwrap();
        status.lost.insert("ring_full_events".into(), 1);
        summarise(&mut out, &status, 3).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "3 endpoints, 12 exchanges, 2.0 KiB in 1m 1s; nothing lost\n\
             3 endpoints, 12 exchanges, 2.0 KiB in 1m 1s; some was lost: see `apiarist status`\n"
        );
    }

    #[test]
    fn a_new_endpoint_is_one_line_that_fits() {
        let row = serde_json::json!({
            "id": "aa11000000000000", "workload": "shop\u{1b}[31m", "workload_id": "w1", "kind": "rest", "method": "GET",
            "template": format!("/{}", "x".repeat(100)), "operation": null, "hosts": [], "hits": 1, "first_seen": "",
            "last_seen": "", "state": "new", "exposure": "host",
            "auth": {"verdict": "unknown", "schemes": [], "rates": {}}, "sensitive": [], "status": {},
            "latency_ms": {"p50": null, "p90": null, "p99": null}, "callers": [], "owner": null, "risk": null,
            "spec": "unknown", "completeness": {"complete": 1, "no_response": 0, "lost": 0, "truncated": 0},
            "parameters": [],
        });
        let endpoint: EndpointView = serde_json::from_value(row).unwrap();
        let mut out = Vec::new();
        let narrow = Terminal {
            width: Some(60),
            colour: false,
        };
        announce(&mut out, narrow, &endpoint).unwrap();
        announce(&mut out, Terminal::PLAIN, &endpoint).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].chars().count(), 60);
        assert!(lines[1].ends_with(r"shop\u{1b}[31m"), "{text}");
    }
}
