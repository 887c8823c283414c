//! Processes that live for some milliseconds, at both ends of a connection: what they exchanged belongs to the program they
//! were, though nobody can look them up any more.

use std::{
    net::{TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    agent::{Agent, PATIENCE},
    note,
    place::Place,
    program::renamed,
    wait::until,
};

/// Exchanges, each by two processes of its own.
const EXCHANGES: u64 = 5_000;

/// Longer than the name of a task, so that what the kernel calls them is not enough.
const CALLER: &str = "short-lived-caller";
const SERVER: &str = "short-lived-server";

/// What a shell does as a client: its standard input and output are the socket.
const CALL: &str =
    r#"printf 'GET /work HTTP/1.1\r\nHost: short-lived.test\r\n\r\n'; while read -r line; do :; done"#;

/// The same as a server. The empty line, a carriage return, is the shell's name.
const SERVE: &str = r#"while read -r line && [ "$line" != "$0" ]; do :; done
printf 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\ndone\n'"#;

pub(super) fn processes_of_5_ms_5000(place: &Place) -> Result<()> {
    let [caller, server] = [CALLER, SERVER].map(|name| renamed("dash", name, place));
    let (caller, server) = (caller?, server?);
    let agent = Agent::start(place)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    for number in 0..EXCHANGES {
        let client = TcpStream::connect(listener.local_addr()?)?;
        let (accepted, _) = listener.accept()?;
        let mut both = [start(&server, SERVE, accepted)?, start(&caller, CALL, client)?];
        for child in &mut both {
            let status = child.wait()?;
            // The last `read` of the client finds the end.
            ensure!(status.code().is_some(), "exchange {number}: {status}");
        }
    }
    let lost = until(PATIENCE + Duration::from_secs(10), || {
        let rows = agent.endpoints()?;
        let rows: Vec<_> = rows.iter().filter(|row| row.template == "/work").collect();
        let hits: u64 = rows.iter().map(|row| row.hits).sum();
        let lost = agent.lost_events()?;
        ensure!(
            hits <= EXCHANGES && EXCHANGES - hits <= lost,
            "{hits} exchanges were seen, {lost} events lost"
        );
        for row in rows {
            ensure!(
                row.workload == SERVER && row.callers == [CALLER],
                "{} exchanges are filed under {}, called by {:?}",
                row.hits,
                row.workload,
                row.callers
            );
        }
        Ok(lost)
    })?;
    let counters = agent.status()?.counters;
    let count = |name: &str| counters.get(name).copied().unwrap_or(0);
    note(&format!(
        "{EXCHANGES} exchanges by processes of their own, {lost} events lost: {} processes were looked up, {} of them \
         known from before, {} gone",
        count("processes_read"),
        count("processes_remembered"),
        count("processes_gone")
    ));
    agent.stop(Signal::TERM)?;
    Ok(())
}

fn start(shell: &Path, script: &str, socket: TcpStream) -> Result<Child> {
    let input = OwnedFd::from(socket);
    let output = input.try_clone()?;
    Command::new(shell)
        .args(["-c", script, "\r"])
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .spawn()
        .with_context(|| format!("cannot start {}", shell.display()))
}
