//! The agent under measurement.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::{
    kernel_stats::RunTimes,
    process::{self, Place, Process},
};
use crate::shell::output_of;

/// A running agent.
pub(super) struct Agent {
    process: Process,
    binary: PathBuf,
    socket: PathBuf,
}

/// What it says of itself, and the system of it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Figures {
    pub(super) exchanges: f64,
    pub(super) lost: f64,
    pub(super) cpu_seconds: f64,
    pub(super) resident: u64,
    pub(super) peak: u64,
}

/// What is resident of it, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    all: u64,
    /// Memory of its own.
    own: u64,
    /// Pages of files, its executable first, and the mapped rings.
    files: u64,
}

impl Resident {
    pub(super) fn json(&self) -> Value {
        let Self { all, own, files } = self;
        serde_json::json!({"all": all, "own": own, "files": files})
    }
}

impl std::fmt::Display for Resident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        let Self { all, own, files } = *self;
        write!(
            f,
            "{:.1} MB resident: {:.1} of its own, {:.1} of files and rings",
            mb(all),
            mb(own),
            mb(files)
        )
    }
}

/// Nanoseconds of the kernel programs for each of their runs.
pub(super) struct KernelTime {
    pub(super) runs: u64,
    pub(super) ns_each: f64,
}

impl Agent {
    pub(super) fn start(binary: &Path, place: &Place) -> Result<Self> {
        Self::start_with(binary, place, &[])
    }

    /// The same, with more arguments.
    pub(super) fn start_with(binary: &Path, place: &Place, arguments: &[&str]) -> Result<Self> {
        let (store, socket) = (place.file("store"), place.file("agent.sock"));
        let mut command = Command::new(binary);
        command.env_remove("APIARIST_CONFIG").env_remove("RUST_LOG");
        command
            .arg("run")
            .arg("--store")
            .arg(&store)
            .arg("--socket")
            .arg(&socket)
            .args(arguments);
        let agent = Self {
            process: Process::start(&mut command, &place.file("agent.log"))?,
            binary: binary.to_owned(),
            socket,
        };
        process::until("the agent does not answer: see its log", || {
            let status = agent.status().ok()?;
            (status.get("tls").and_then(Value::as_str) != Some("starting")).then_some(())
        })?;
        Ok(agent)
    }

    fn status(&self) -> Result<Value> {
        let mut status = Command::new(&self.binary);
        status
            .args(["status", "-o", "json", "--socket"])
            .arg(&self.socket);
        Ok(serde_json::from_str(&output_of(&mut status)?)?)
    }

    pub(super) fn figures(&self) -> Result<Figures> {
        let status = self.status()?;
        let lost = status
            .get("lost")
            .and_then(Value::as_object)
            .context("no losses in the status")?;
        let pid = self.process.id();
        Ok(Figures {
            exchanges: status
                .get("exchanges")
                .and_then(Value::as_f64)
                .unwrap_or_default(),
            lost: lost.values().filter_map(Value::as_f64).sum(),
            cpu_seconds: process::cpu_seconds(pid)?,
            resident: process::memory(pid, "VmRSS"),
            peak: process::memory(pid, "VmHWM"),
        })
    }

    pub(super) fn resident(&self) -> Resident {
        let of = |field| process::memory(self.process.id(), field);
        Resident {
            all: of("VmRSS"),
            own: of("RssAnon"),
            files: of("RssFile") + of("RssShmem"),
        }
    }

    /// How many endpoints it knows.
    pub(super) fn endpoints(&self) -> Result<usize> {
        let mut list = Command::new(&self.binary);
        list.args(["endpoints", "-o", "json", "--socket"])
            .arg(&self.socket);
        let list: Vec<Value> = serde_json::from_str(&output_of(&mut list)?)?;
        Ok(list.len())
    }

    /// Its figures once no further exchange comes.
    pub(super) fn settled(&self) -> Result<Figures> {
        let mut last = self.figures()?;
        process::until("the agent does not come to rest", || {
            std::thread::park_timeout(std::time::Duration::from_millis(200));
            let now = self.figures().ok()?;
            let rests = now.exchanges == last.exchanges;
            last = now;
            rests.then_some(now)
        })
    }

    pub(super) fn stop(self) -> Result<()> {
        self.process.stop()
    }

    /// Runs `work` once more with the kernel's measurement on; `None` where the kernel has none. The agent gets these
    /// arguments besides its own.
    pub(super) fn kernel_time(
        binary: &Path,
        place: &Place,
        arguments: &[&str],
        work: impl FnOnce() -> Result<()>,
    ) -> Result<Option<KernelTime>> {
        let Some(measured) = RunTimes::measured() else {
            return Ok(None);
        };
        let agent = Self::start_with(binary, place, arguments)?;
        let before = agent.program_time();
        let done = work();
        let after = agent.program_time();
        let stopped = agent.stop();
        drop(measured);
        done.and(stopped)?;
        let runs = after.0.saturating_sub(before.0);
        let ns = after.1.saturating_sub(before.1);
        Ok(Some(KernelTime {
            runs,
            ns_each: ns as f64 / runs.max(1) as f64,
        }))
    }

    /// Runs and nanoseconds of all programs that the agent holds.
    fn program_time(&self) -> (u64, u64) {
        let mut seen = BTreeSet::new();
        let (mut runs, mut ns) = (0, 0);
        let entries = fs::read_dir(format!("/proc/{}/fdinfo", self.process.id()));
        for entry in entries.into_iter().flatten().flatten() {
            let text = process::text(entry.path());
            let field = |name: &str| {
                let value = text.lines().find_map(|line| line.strip_prefix(name))?;
                value.trim().parse::<u64>().ok()
            };
            let Some(id) = field("prog_id:") else {
                continue;
            };
            // A program and its link show the same id, the program alone its times.
            if let (Some(count), Some(time)) = (field("run_cnt:"), field("run_time_ns:"))
                && seen.insert(id)
            {
                runs += count;
                ns += time;
            }
        }
        (runs, ns)
    }
}

impl Figures {
    /// What happened since `before`.
    pub(super) fn since(&self, before: &Self) -> Self {
        Self {
            exchanges: self.exchanges - before.exchanges,
            lost: self.lost - before.lost,
            cpu_seconds: self.cpu_seconds - before.cpu_seconds,
            ..*self
        }
    }

    /// CPU of the agent for each exchange; 0 without any.
    pub(super) fn microseconds_each(&self) -> f64 {
        match self.exchanges > 0.0 {
            true => self.cpu_seconds * 1e6 / self.exchanges,
            false => 0.0,
        }
    }
}
