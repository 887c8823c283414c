//! Processes that come and go, and what they were.

use std::{
    env, fs,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, ensure};
use apiarist::workload::ProcessEvent;

use super::observer::Observer;

/// A process is made, becomes another program, and ends: told in this order, with what it is known by, however short it
/// lives.
pub(super) fn fork_exec_exit(observer: &mut Observer) -> Result<()> {
    observer.process_events();
    let executable = fs::read_link("/proc/self/exe")?;
    let directory = env::current_dir()?;
    // Started for its start alone: as a test program it lists its tests, as the first program of a guest it refuses.
    let mut child = Command::new("/proc/self/exe")
        .arg("--list")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = child.id();
    child.wait()?;
    let mut told = Vec::new();
    let mut starts = Vec::new();
    for event in observer.process_events() {
        let (ProcessEvent::Forked { process, .. }
        | ProcessEvent::Executed { process, .. }
        | ProcessEvent::Exited { process }) = &event;
        if process.pid != pid {
            continue;
        }
        starts.push(process.start_ns);
        match event {
            ProcessEvent::Forked { parent, .. } => {
                ensure!(parent.0 == std::process::id(), "made by {parent:?}");
                told.push("fork");
            }
            ProcessEvent::Executed { program, .. } => {
                let path = program.executable.context("its executable is unknown")?;
                ensure!(executable.as_os_str() == &*path, "became {path}");
                let place = program.directory.context("its directory is unknown")?;
                ensure!(directory.as_os_str() == &*place, "in {place}");
                ensure!(
                    &*program.arguments == "/proc/self/exe\0--list",
                    "as {:?}",
                    program.arguments
                );
                told.push("exec");
            }
            ProcessEvent::Exited { .. } => told.push("exit"),
        }
    }
    ensure!(told == ["fork", "exec", "exit"], "told were {told:?}");
    ensure!(
        starts
            .iter()
            .all(|start| *start > 0 && Some(start) == starts.first()),
        "it started at {starts:?}"
    );
    Ok(())
}
