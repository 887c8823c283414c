//! What it costs to find TLS on a host with many processes and large files.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use super::{
    load::memory,
    note,
    place::{Place, fixture},
    program::{Program, command, find},
    tls_life::{PATIENCE, watch},
    wait::until,
};

/// Processes that map something large.
const PROCESSES: usize = 200;

/// Copies of each executable, each a file of its own for the agent.
const COPIES: usize = 5;

/// Executables of Go without symbols, and one of C++ with all that compilers can say about it.
const LARGE: [&str; 4] = ["node", "dockerd", "caddy", "etcd"];

/// Most memory during the start, in bytes.
const MOST_BYTES: u64 = 100 << 20;

pub(super) fn two_hundred_processes_map_large_files(place: &Place) -> Result<()> {
    let files = copies(place)?;
    let bytes: u64 = files
        .iter()
        .filter_map(|file| Some(fs::metadata(file).ok()?.len()))
        .sum();
    let mut mapping = command("python3")?;
    mapping
        .args([&fixture("tls_mapped.py"), &PROCESSES.to_string()])
        .args(&files);
    let mut mapping = Program::start(&mut mapping, place)?;
    mapping.first_line()?;

    let agent = watch(place, "")?;
    let mut most = 0;
    for file in &files {
        until(PATIENCE, || {
            most = most.max(memory(agent.pid(), "RssAnon:")?);
            agent.has_done("read", file, 1)
        })?;
    }
    most = most.max(memory(agent.pid(), "RssAnon:")?);
    let peak = memory(agent.pid(), "VmHWM:")?;
    let ticks = processor_ticks(agent.pid())?;
    note(&format!(
        "{PROCESSES} processes map {} files of {} MiB: {} MiB of its own at most, {} MiB with what is mapped, \
         {:.1} s of processor",
        files.len(),
        bytes >> 20,
        most >> 20,
        peak >> 20,
        ticks as f64 / 100.0
    ));
    ensure!(most <= MOST_BYTES, "{most} bytes of its own");
    // The bound for what is shipped: an unoptimised executable alone takes more.
    ensure!(
        cfg!(debug_assertions) || peak <= MOST_BYTES,
        "{peak} bytes at most"
    );
    agent.stop(Signal::TERM).map(drop)
}

/// Files of the test that look like libraries worth reading.
fn copies(place: &Place) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for name in LARGE {
        let from = find(name)?;
        for number in 0..COPIES {
            let to = place.path().join(format!("libtls-{name}-{number}.so"));
            fs::copy(&from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
            files.push(to);
        }
    }
    Ok(files)
}

/// Hundredths of a second that a process has had a processor (proc_pid_stat(5)).
fn processor_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, rest) = stat.rsplit_once(')').context("no name in it")?;
    let field = |number: usize| rest.split_whitespace().nth(number)?.parse::<u64>().ok();
    // Of user and system: fields 14 and 15, of which the first two are cut off.
    field(11)
        .zip(field(12))
        .map(|(user, system)| user + system)
        .context("no times in it")
}
