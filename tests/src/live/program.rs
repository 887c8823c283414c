//! Programs that a test starts: their output in files, their end certain.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::{lacks, place::Place, wait::until};

/// Longest wait for a program to start.
const PATIENCE: Duration = Duration::from_secs(20);

static STARTED: AtomicU32 = AtomicU32::new(0);

/// A running program, ended when dropped.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// What became of a program.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A command by the name or path of its program; skips the test if there is none.
pub(crate) fn command(program: &str) -> Result<Command> {
    Ok(Command::new(find(program)?))
}

/// Path of a program, looked for where Debian keeps daemons, too.
pub(crate) fn find(program: &str) -> Result<PathBuf> {
    let listed = std::env::var_os("PATH").unwrap_or_default();
    // Before others: what else is called like an interpreter may be a script that looks for it.
    let usual = ["/usr/bin", "/usr/sbin"].map(PathBuf::from);
    usual
        .into_iter()
        .chain(std::env::split_paths(&listed))
        .map(|directory| directory.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| lacks(program))
}

impl Program {
    /// Starts it, its output in files of `place`.
    pub(crate) fn start(command: &mut Command, place: &Place) -> Result<Self> {
        let program = Path::new(command.get_program());
        let name = program
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let [out, err] = ["out", "err"].map(|end| place.path().join(format!("{name}-{number}.{end}")));
        let child = command
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&err)?)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name,
            child,
            out,
            err,
        })
    }

    /// Starts it and waits for its end.
    pub(crate) fn run(command: &mut Command, place: &Place, patience: Duration) -> Result<Ended> {
        Self::start(command, place)?.end(patience)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its first line of output, once it is whole.
    pub(crate) fn first_line(&mut self) -> Result<String> {
        until(PATIENCE, || {
            let out = fs::read_to_string(&self.out)?;
            match out.split_once('\n') {
                Some((line, _)) => Ok(line.to_owned()),
                None => bail!("{} has said nothing: {}", self.name, self.complaints()),
            }
        })
    }

    /// The port that a server prints first.
    pub(crate) fn port(&mut self) -> Result<u16> {
        let line = self.first_line()?;
        line.parse().with_context(|| format!("no port: {line}"))
    }

    /// Waits until it serves: `look` succeeds.
    pub(crate) fn ready<T>(&mut self, mut look: impl FnMut() -> Result<T>) -> Result<T> {
        until(PATIENCE, || {
            look().map_err(|error| {
                let ended = match self.child.try_wait() {
                    Ok(Some(status)) => format!("it ended with {status}; "),
                    _ => String::new(),
                };
                anyhow!(
                    "{} is not ready: {error:#}; {ended}{}",
                    self.name,
                    self.complaints()
                )
            })
        })
    }

    /// What it has written to standard error.
    pub(crate) fn complaints(&self) -> String {
        fs::read_to_string(&self.err).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, patience: Duration) -> Result<Ended> {
        let status = until(patience, || {
            let ended = self.child.try_wait()?;
            ended.ok_or_else(|| anyhow!("{} is still running: {}", self.name, self.complaints()))
        })?;
        Ok(Ended {
            status,
            out: fs::read_to_string(&self.out)?,
            err: fs::read_to_string(&self.err)?,
        })
    }
}

impl Ended {
    /// Its output; fails unless it ended well.
    pub(crate) fn success(self) -> Result<String> {
        ensure!(
            self.status.success(),
            "ended with {}: {}{}",
            self.status,
            self.out,
            self.err
        );
        Ok(self.out)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Asked first, so that it can end its own children. One that ended already cannot be signalled: fine.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::TERM).ok();
            let ended = until(Duration::from_secs(3), || {
                self.child.try_wait()?.context("running")
            });
            if ended.is_err() {
                self.child.kill().ok();
                self.child.wait().ok();
            }
        }
    }
}

/// A copy of a program under a name of its own, by which its workload is known.
pub(crate) fn renamed(program: &str, name: &str, place: &Place) -> Result<PathBuf> {
    let copy = place.path().join(name);
    fs::copy(find(program)?, &copy).with_context(|| format!("cannot copy {program}"))?;
    Ok(copy)
}

/// Runs a program to its end and gives its output.
pub(crate) fn output<S: AsRef<OsStr>>(program: &str, arguments: &[S], place: &Place) -> Result<String> {
    Program::run(command(program)?.args(arguments), place, Duration::from_secs(30))?.success()
}
