//! Processes that a measurement starts, and what /proc says about them.

use std::{
    fs::{self, File},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

/// Longest wait for a process to be ready or to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// A directory that is removed at the end.
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("apiarist-bench-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is left lies in the temporary directory.
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A process that ends when dropped.
pub(super) struct Process(Child);

impl Process {
    /// Starts it, its output in a file.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let out = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Self(child))
    }

    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Asks it to end, and waits.
    pub(super) fn stop(mut self) -> Result<()> {
        crate::shell::run(Command::new("kill").arg(self.0.id().to_string()))?;
        until("a process does not end", || self.0.try_wait().ok().flatten())?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is fine.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Waits until `look` finds something.
pub(super) fn until<T>(complaint: &str, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    #[expect(clippy::disallowed_methods, reason = "the edge: how long it has waited")]
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if start.elapsed() > PATIENCE {
            bail!("{complaint}");
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Waits until a port of this host accepts.
pub(super) fn listening(port: u16) -> Result<()> {
    until("a server does not listen", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    })
    .map(drop)
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?
        .local_addr()?
        .port())
}

/// User and system CPU seconds of a process (proc_pid_stat(5), fields 14 and 15).
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = text(format!("/proc/{pid}/stat"));
    let (_, fields) = stat.rsplit_once(')').context("no such process")?;
    let ticks: f64 = fields
        .split_ascii_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    // USER_HZ is 100 on every architecture the agent runs on.
    Ok(ticks / 100.0)
}

/// A size in `/proc/PID/status`, in bytes.
pub(super) fn memory(pid: u32, field: &str) -> u64 {
    let status = text(format!("/proc/{pid}/status"));
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| {
        line.trim_start_matches(':')
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    });
    kib.unwrap_or_default() * 1024
}

/// The text of a small file; empty if it cannot be read.
pub(super) fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap_or_default().trim_end().to_owned()
}
