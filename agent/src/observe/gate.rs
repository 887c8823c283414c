//! Starts the command, but lets it go only when the agent is ready.
//!
//! A shell moves itself into the control group, waits for a line from a pipe that has a name, and becomes the command. So
//! the process is there before the agent gives up its rights to start any, and does nothing before it is watched.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    process::{Child, Command, ExitStatus},
};

use anyhow::{Context as _, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::Group;

/// 125 as other programs that start programs do, when it is their own failure.
const SCRIPT: &str = r#"if [ -n "$1" ]; then echo 0 >"$1" || exit 125; fi
read -r go <"$2" && [ "$go" = go ] || exit 125
shift 2
exec "$@""#;

/// A command at the gate.
#[derive(Debug)]
pub(super) struct Gated {
    child: Child,
    gate: Option<Gate>,
    status: Option<ExitStatus>,
}

/// What holds it. Dropped closed, it ends the command before it has begun.
#[derive(Debug)]
pub(super) struct Gate(Option<File>);

impl Gate {
    /// Lets the command go.
    pub(super) fn open(&self) -> Result<()> {
        match &self.0 {
            Some(file) => Ok((&mut &*file).write_all(b"go\n")?),
            None => Ok(()),
        }
    }
}

impl Gated {
    /// Starts the command up to the gate.
    pub(super) fn start(command: &[OsString], group: Option<&Group>, work: &Path) -> Result<Self> {
        let pipe = work.join("gate");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).context("cannot make a pipe")?;
        // Open for both ways: it does not wait for the other end (fifo(7)), and is closed in the command.
        let file = OpenOptions::new().read(true).write(true).open(&pipe)?;
        let processes = group
            .map(|group| group.processes().into_os_string())
            .unwrap_or_default();
        let child = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "apiarist"])
            .arg(processes)
            .arg(&pipe)
            .args(command)
            .spawn()
            .context("cannot start /bin/sh")?;
        Ok(Self {
            child,
            gate: Some(Gate(Some(file))),
            status: None,
        })
    }

    /// What lets it go, once.
    pub(super) fn take_gate(&mut self) -> Gate {
        self.gate.take().unwrap_or(Gate(None))
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> Result<bool> {
        if self.status.is_none() {
            self.status = self.child.try_wait().context("cannot wait for the command")?;
        }
        Ok(self.status.is_some())
    }

    /// How it ended, if it has. One that was never let go is ended first.
    pub(super) fn end(mut self, was_let_go: bool) -> Result<Option<ExitStatus>> {
        if !was_let_go && !self.has_ended()? {
            // It is the shell, still at the gate. Where the agent may not send signals any more, the closing gate ends it.
            self.child.kill().ok();
        }
        self.has_ended()?;
        Ok(self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_until_let_go() {
        let work = tempfile::tempdir().unwrap();
        let mark = work.path().join("mark");
        let command = ["sh", "-c", "echo done >\"$0\"; exit 7"].map(OsString::from);
        let command = [command.as_slice(), &[mark.clone().into_os_string()]].concat();
        let mut gated = Gated::start(&command, None, work.path()).unwrap();
        let gate = gated.take_gate();
        assert!(!gated.has_ended().unwrap() && !mark.exists());
        gate.open().unwrap();
        let status = gated.child.wait().unwrap();
        assert_eq!(status.code(), Some(7));
        assert!(mark.exists());
    }

    #[test]
    fn a_gate_that_closes_ends_it() {
        let work = tempfile::tempdir().unwrap();
        let mut gated = Gated::start(&["true".into()], None, work.path()).unwrap();
        drop(gated.take_gate());
        assert_eq!(gated.end(false).unwrap().and_then(|status| status.code()), None);
    }
}
