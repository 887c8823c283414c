//! A collector's process, and waiting for it.

use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use apiarist::clock::monotonic_ns;
use rustix::{event::poll, time::Timespec};

/// Longest wait for a collector to have everything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
#[derive(Debug)]
pub struct Collector(Child);

impl Collector {
    /// Starts it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        let child = command.spawn();
        child
            .map(Self)
            .with_context(|| format!("cannot start {}", program.display()))
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        // One that has ended already is fine.
        self.kill().ok();
    }
}

/// A port that nobody listens on.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// Waits until somebody listens on a port of this host.
///
/// # Errors
/// Nobody does.
pub fn listens(what: &str, port: u16) -> Result<()> {
    until(&format!("{what} does not listen"), || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()
    })
    .map(drop)
}

/// Waits until `look` finds what it looks for.
///
/// # Errors
/// It does not within [`PATIENCE`].
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> Result<T> {
    until_within(PATIENCE, what, look)
}

/// The same, for this long.
///
/// # Errors
/// It does not.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    const PAUSE: Timespec = Timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let deadline = monotonic_ns() + patience.as_nanos() as u64;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        ensure!(
            monotonic_ns() < deadline,
            "{what}, after {} seconds",
            patience.as_secs()
        );
        poll(&mut [], Some(&PAUSE))?;
    }
}

/// What a program says to this input; it must end well.
///
/// # Errors
/// It does not, or cannot be started.
pub fn fed(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut stdin = child.stdin.take().context("no way to feed it")?;
    stdin.write_all(input.as_bytes())?;
    drop(stdin);
    let output = child.wait_with_output()?;
    let said = String::from_utf8([output.stdout, output.stderr].concat())?;
    ensure!(output.status.success(), "{said}");
    Ok(said)
}

/// What could be had from elsewhere; nothing, said to the reader of the log, where it could not.
///
/// # Errors
/// It could not in CI, which promises it.
pub fn offered<T>(had: Result<T>) -> Result<Option<T>> {
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    match had {
        Ok(had) => Ok(Some(had)),
        Err(error) if in_ci => Err(error),
        Err(error) => {
            // Nothing can be done when this fails.
            writeln!(std::io::stderr(), "skipped: {error:#}").ok();
            Ok(None)
        }
    }
}

/// Whether a program is there.
///
/// # Errors
/// It is not, in CI, which promises it.
pub fn has(program: &str) -> Result<bool> {
    let started = Command::new(program).arg("--version").output();
    let had =
        started.with_context(|| format!("{program} is not installed: run `cargo xtask setup --for test`"));
    Ok(offered(had)?.is_some())
}
