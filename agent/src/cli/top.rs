//! `apiarist top`: what happens now, on a terminal.

use super::{Context, Failure, everything::Now, source};
use crate::tui::{self, Answer, Feed};

const EXAMPLES: &str = "EXAMPLES:
  apiarist top
  apiarist top --socket ./api.sock
  apiarist top --store /var/lib/apiarist

Keys: 1-4 or tab for endpoints, workloads, alerts, coverage; arrows select, enter shows all about a row,
/ searches, s sorts, q quits.";

/// Watch endpoints, workloads, alerts and coverage on a terminal
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    #[command(flatten)]
    source: source::Args,
}

pub(super) fn run(args: &Args, context: &mut Context<'_>) -> Result<(), Failure> {
    if context.terminal.width.is_none() {
        return Err(Failure::usage(
            "top needs a terminal: use `apiarist endpoints` or `apiarist status` in a pipe",
        ));
    }
    let asked = args.source.settled(context)?;
    // What is wrong from the start is said where it can be read.
    let mut first = Some(answer(Now::of(&asked)?));
    let feed = Feed::start(move || match first.take() {
        Some(first) => Ok(first),
        None => match Now::of(&asked) {
            Ok(everything) => Ok(answer(everything)),
            Err(failure) => Err(failure.sentence().unwrap_or_default().to_owned()),
        },
    })?;
    Ok(tui::run(&feed)?)
}

fn answer(now: Now) -> Answer {
    let mut alerts = now.alerts;
    alerts.extend(now.anomalies);
    alerts.sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
    Answer {
        endpoints: now.endpoints,
        workloads: now.workloads,
        alerts,
        status: now.status.unwrap_or_default(),
    }
}
