//! `apiarist top`: what happens now, on a terminal.

use super::{
    Context, Failure,
    everything::{list, list_of, status},
    source::{self, Settled, Topic},
};
use crate::tui::{self, Answer, Endpoint, Feed};

/// Endpoints that are asked for before all others: more than fit on a screen.
const SCREEN: usize = 200;

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
    // What is wrong from the start is said where it can be read. What fills the screen comes before the rest.
    let mut first = Some(answer(&asked, Part::First)?);
    let feed = Feed::start(move || match first.take() {
        Some(first) => Ok(first),
        None => {
            answer(&asked, Part::All).map_err(|failure| failure.sentence().unwrap_or_default().to_owned())
        }
    })?;
    Ok(tui::run(&feed)?)
}

/// How much is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    First,
    All,
}

fn answer(source: &Settled, part: Part) -> Result<Answer, Failure> {
    let most = (part == Part::First).then_some(SCREEN);
    let mut answer = Answer {
        is_complete: part == Part::All,
        status: status(source)?.unwrap_or_default(),
        endpoints: list_of(source, (Topic::Endpoints, most), Endpoint::read)?,
        ..Answer::default()
    };
    if answer.is_complete {
        answer.workloads = list(source, Topic::Workloads)?;
        answer.alerts = list(source, Topic::Alerts)?;
        answer.alerts.extend(list(source, Topic::Anomalies)?);
        answer
            .alerts
            .sort_by(|a, b| b.updated.cmp(&a.updated).then_with(|| a.id.cmp(&b.id)));
    }
    Ok(answer)
}
