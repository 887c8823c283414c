//! One command under observation: a test suite, watched from before it starts until it has ended.
//!
//! In: a command, OpenAPI documents, what fails. Out: a directory of results ([`files`]), and how the command ended. The
//! command runs in a control group of its own, made below that of the observer (version 2; where none can be made, its
//! descendants are followed instead), and is held at a gate until the kernel programs are attached, so that nothing of
//! it is missed. It gets no signal and no variable from here. Everything else is what a running agent does, with a store
//! that is thrown away.

mod files;
mod gate;
mod group;
mod outcome;
mod stable;

use std::{ffi::OsString, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result};

pub use files::FILES;
pub use outcome::Outcome;

use crate::{
    config::{Config, Observed, RunOptions},
    pipeline::{self, Notice},
    spec::{Given, Matcher},
};

use self::{gate::Gated, group::Group};

/// How often it is looked whether the command has ended.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be observed.
#[derive(Debug)]
pub struct Task<'a> {
    /// The command and its arguments; at least the command.
    pub command: &'a [OsString],
    /// Documents to compare with. Their templates go before what is learned.
    pub documents: &'a [Given],
    /// Directory of the results; made if it is not there.
    pub out: PathBuf,
    /// Configuration of the agent.
    pub config: Config,
}

/// How the command ended, and what was observed of it.
#[derive(Debug)]
pub struct Ended {
    /// How the command ended; `None` when the observation was stopped before.
    pub status: Option<ExitStatus>,
    /// What was observed.
    pub outcome: Outcome,
    /// The command had a control group of its own.
    pub has_group: bool,
}

/// Runs the command to its end. `notice` is told what a running agent tells its console.
///
/// # Errors
/// One sentence: the kernel refuses, the command cannot be started, or the results cannot be written.
pub fn observe(task: &Task<'_>, notice: impl FnMut(Notice)) -> Result<Ended> {
    let out = &task.out;
    std::fs::create_dir_all(out).with_context(|| format!("cannot make the directory {}", out.display()))?;
    let work = tempfile::tempdir().context("cannot make a temporary directory")?;
    let group = match Group::make() {
        Ok(group) => Some(group),
        Err(error) => {
            tracing::info!("no control group of its own, following its descendants: {error:#}");
            // What a daemon leaves behind comes to us instead of to init, and stays recognisable.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
                .context("cannot follow the descendants of the command")?;
            None
        }
    };
    let options = options(task, work.path(), group.as_ref());
    let mut gated = Gated::start(task.command, group.as_ref(), work.path())?;
    let mut notice = notice;
    let mut opened = Ok(());
    let gate = gated.take_gate();
    let ran = pipeline::run_until(
        &options,
        |told| {
            if matches!(told, Notice::Started { .. }) {
                opened = gate.open();
            }
            notice(told);
        },
        until_ended(&mut gated),
    );
    let ran = ran.and(opened.context("cannot let the command start"));
    let status = gated.end(ran.is_ok());
    drop(gate);
    let has_group = group.is_some();
    if let Some(group) = group {
        group.remove();
    }
    ran?;
    let outcome = Outcome::of(&options, task.documents)?;
    Ok(Ended {
        status: status?,
        outcome,
        has_group,
    })
}

fn options(task: &Task<'_>, work: &std::path::Path, group: Option<&Group>) -> RunOptions {
    let mut config = task.config.clone();
    let given = Matcher::templates(task.documents);
    // Segments that are partly parameters are beyond what the inventory can be told.
    let usable = given
        .into_iter()
        .filter(|template| crate::inventory::template::Pins::parse([template.as_str()]).is_ok());
    config.inventory.templates.extend(usable);
    RunOptions {
        config,
        store: work.join("store"),
        socket: work.join("control.sock"),
        alerts: None,
        duration: None,
        observed: Some(match group {
            Some(group) => group.observed(),
            None => Observed::Tree {
                root: std::process::id(),
            },
        }),
        source: None,
    }
}

/// Completes when the command has ended, or on SIGTERM. An interrupt from the terminal reaches the command as well: its
/// end is awaited.
async fn until_ended(gated: &mut Gated) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(LOOK) => {
                if gated.has_ended()? {
                    return Ok(());
                }
            }
        }
    }
}
