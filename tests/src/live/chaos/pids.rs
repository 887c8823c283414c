//! The number of a process serves again, for another program.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use rustix::process::Signal;

use crate::live::{
    agent::{Agent, PATIENCE},
    note,
    place::{Place, fixture},
    program::{Program, command, renamed},
    wait::until,
};

/// Exchanges of each program, each by a process of its own.
const ROUNDS: u64 = 200;

/// The programs, and what each is asked for.
const TURNS: [(&str, &str); 2] = [
    ("pid-first-owner", "/turn/first"),
    ("pid-second-owner", "/turn/second"),
];

/// Two programs have the same process id in turn: each is told with what it served itself, and nothing of the other's.
pub(crate) fn a_pid_serves_two_programs(place: &Place) -> Result<()> {
    let agent = Agent::start(place)?;
    let mut tenants = command("python3")?;
    tenants.args([&fixture("same_pid.py"), &ROUNDS.to_string()]);
    for (name, _) in TURNS {
        tenants.arg(renamed("dash", name, place)?);
    }
    let shared = Program::run(&mut tenants, place, Duration::from_secs(120))?.success()?;
    let pid: u32 = shared.trim().parse().context("the shared number")?;
    let lost = until(PATIENCE, || {
        let rows = agent.endpoints()?;
        let mut missing = 0;
        for (name, template) in TURNS {
            let filed: Vec<_> = rows.iter().filter(|row| row.template == template).collect();
            ensure!(
                filed.iter().all(|row| row.workload == name),
                "{template} is filed under {:?}",
                filed
                    .iter()
                    .map(|row| (&row.workload, row.hits))
                    .collect::<Vec<_>>()
            );
            let hits: u64 = filed.iter().map(|row| row.hits).sum();
            missing += ROUNDS.checked_sub(hits).context("more than there were")?;
        }
        let lost = agent.lost_events()?;
        ensure!(
            missing <= lost,
            "{missing} exchanges are missing, {lost} events lost"
        );
        Ok(lost)
    })?;
    note(&format!(
        "{} exchanges by two programs under pid {pid}: each told with its own, {lost} events lost",
        2 * ROUNDS
    ));
    agent.stop(Signal::TERM).map(drop)
}
