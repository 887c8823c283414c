//! The command line: what the user types, and what they read.
//!
//! In: arguments. Out: text on the given writers and an [`Exit`]. One file per command; the query commands share
//! [`list`], which is made of [`query`] (which rows), [`table`] (for people) and [`output`] (for programs). Refuses to hold logic of the
//! product: it asks the running agent or a store, and shows the answer.

mod alerts;
mod baseline;
mod batches;
mod completions;
mod config;
mod deny;
mod describe;
mod doctor;
mod egress;
mod endpoint;
mod endpoints;
mod everything;
mod exit;
mod findings;
mod fleet;
mod graph;
mod inventory;
mod kept;
mod list;
mod listeners;
mod logging;
mod man;
mod observe;
mod output;
mod policy;
mod progress;
mod query;
mod record;
mod replay;
mod report;
mod risks;
mod run;
mod source;
mod spec;
mod status;
mod store;
mod table;
mod target;
mod terminal;
mod time;
mod top;
mod workload;
mod workloads;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
};

use clap::{CommandFactory as _, Parser, Subcommand};

/// Whether a filter expression, as `--filter` takes it, accepts a row; `None` if it is malformed.
pub fn accepts(expression: &str, row: &serde_json::Value) -> Option<bool> {
    let filter = crate::select::Filter::parse(expression).ok()?;
    filter.accepts(&row.to_string()).ok()
}

pub use exit::{Exit, Failure};
pub use terminal::Terminal;

use crate::{clock::Timestamp, config::LogFormat};

/// Watches every API of this host from inside the kernel.
#[derive(Debug, Parser)]
#[command(
    name = "apiarist",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
#[command(
    after_help = "EXAMPLES:\n  apiarist run\n  apiarist endpoints\n  apiarist status --coverage\n  apiarist doctor"
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Global {
    /// Configuration file [default: /etc/apiarist/apiarist.toml, if it exists]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "APIARIST_CONFIG",
        hide_env = true
    )]
    config: Option<PathBuf>,
    /// What to log on standard error: error, warn, info, debug, trace, or directives by module
    #[arg(long, global = true, value_name = "FILTER", env = "RUST_LOG", hide_env = true)]
    log: Option<String>,
    /// Ask the database of all hosts instead of one agent: clickhouse://HOST:PORT/DATABASE
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "APIARIST_FLEET",
        hide_env = true
    )]
    fleet: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    /// List the endpoints that were seen
    #[command(after_help = endpoints::EXAMPLES)]
    Endpoints(query::Args),
    Endpoint(endpoint::Args),
    /// List the workloads that serve or call APIs
    #[command(after_help = workloads::EXAMPLES)]
    Workloads(query::Args),
    Workload(workload::Args),
    Graph(graph::Args),
    Inventory(inventory::Args),
    /// List sockets that listen: APIs that may be there although nobody calls them
    #[command(after_help = listeners::EXAMPLES)]
    Listeners(query::Args),
    Egress(egress::Args),
    Alerts(alerts::Args),
    Anomalies(alerts::AnomalyArgs),
    Baseline(baseline::Args),
    /// List findings: what should be changed about endpoints, and how
    #[command(after_help = findings::EXAMPLES)]
    Findings(query::Args),
    /// List endpoints and workloads by risk, with the factors of each score
    #[command(after_help = risks::EXAMPLES)]
    Risks(query::Args),
    Status(status::Args),
    Top(top::Args),
    Report(report::Args),
    Spec(spec::Args),
    Observe(observe::Args),
    Policy(policy::Args),
    Deny(deny::Args),
    Fleet(fleet::Args),
    Store(store::Args),
    Doctor(doctor::Args),
    Config(config::Args),
    Record(record::Args),
    Replay(replay::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// What a command may use besides its arguments.
pub(crate) struct Context<'a> {
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
    /// What standard output is.
    pub(crate) terminal: Terminal,
    /// The present time.
    pub(crate) now: Timestamp,
    /// `--config`.
    pub(crate) config_path: Option<PathBuf>,
    /// `--log` or `RUST_LOG`.
    pub(crate) log: Option<String>,
    /// `--fleet`.
    pub(crate) fleet: Option<String>,
}

impl Context<'_> {
    /// The configuration that holds for this invocation.
    pub(crate) fn config(&self) -> Result<crate::config::Config, Failure> {
        crate::config::load(self.config_path.as_deref()).map_err(|error| Failure::usage(error.to_string()))
    }
}

/// Runs the command that the arguments name, to its end.
///
/// Writes results to standard output and at most one sentence, `apiarist: …`, to standard error.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    let terminal = Terminal::detect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    // A check that failed has written its report.
    let executed = execute(arguments, &mut out, terminal);
    let result = executed.and(out.flush().map_err(Failure::from));
    // A reader that has gone away wants no more: what is still buffered must not be written on drop.
    let (_, _unwritten) = out.into_parts();
    match result {
        Ok(()) => Exit::Ok,
        Err(failure) => {
            if let Some(sentence) = failure.sentence() {
                // Nowhere is left to say that standard error cannot be written.
                writeln!(io::stderr(), "apiarist: {sentence}").ok();
            }
            failure.exit()
        }
    }
}

fn execute(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    terminal: Terminal,
) -> Result<(), Failure> {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::explain(&error, out, terminal),
    };
    let Global { config, log, fleet } = cli.global;
    let context = &mut Context {
        out,
        terminal,
        now: crate::clock::now(),
        config_path: config,
        log,
        fleet,
    };
    // `run` starts the log itself, with what its configuration says.
    if !matches!(cli.command, Command::Run(_)) {
        logging::start(context.log.as_deref().unwrap_or("warn"), LogFormat::Text)?;
    }
    match cli.command {
        Command::Run(args) => run::run(args, context),
        Command::Endpoints(args) => endpoints::LIST.show(&args, context),
        Command::Endpoint(args) => endpoint::run(&args, context),
        Command::Workloads(args) => workloads::LIST.show(&args, context),
        Command::Workload(args) => workload::run(&args, context),
        Command::Graph(args) => graph::run(&args, context),
        Command::Inventory(args) => inventory::run(&args, context),
        Command::Listeners(args) => listeners::LIST.show(&args, context),
        Command::Egress(args) => egress::run(&args, context),
        Command::Alerts(args) => alerts::run(&args, context),
        Command::Anomalies(args) => alerts::anomalies(&args, context),
        Command::Baseline(args) => baseline::run(args, context),
        Command::Findings(args) => findings::LIST.show(&args, context),
        Command::Risks(args) => risks::LIST.show(&args, context),
        Command::Top(args) => top::run(&args, context),
        Command::Report(args) => report::run(&args, context),
        Command::Spec(args) => spec::run(&args, context),
        Command::Observe(args) => observe::run(&args, context),
        Command::Policy(args) => policy::run(&args, context),
        Command::Deny(args) => deny::run(&args, context),
        Command::Fleet(args) => fleet::run(&args, context),
        Command::Status(args) => status::run(&args, context),
        Command::Store(args) => store::run(&args, context),
        Command::Doctor(args) => doctor::run(&args, context),
        Command::Config(args) => config::run(args, context),
        Command::Record(args) => record::run(args, context),
        Command::Replay(args) => replay::run(args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}

/// The definition of the whole command line, for completions and manual pages.
fn definition() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    /// Splits as a shell would, as far as the examples need it.
    fn words(line: &str) -> Vec<OsString> {
        let mut words = vec![String::new()];
        let mut quote = None;
        for c in line.chars() {
            match (quote, c) {
                (None, '\'' | '"') => quote = Some(c),
                (Some(open), _) if c == open => quote = None,
                (None, ' ') => words.push(String::new()),
                _ => words.last_mut().unwrap().push(c),
            }
        }
        words
            .into_iter()
            .filter(|word| !word.is_empty())
            .map(OsString::from)
            .collect()
    }

    fn check_examples(command: &clap::Command, path: &str) {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples: Vec<&str> = help
            .lines()
            .filter_map(|line| line.trim().strip_prefix("apiarist "))
            .collect();
        assert!(!examples.is_empty(), "`{path} --help` has no example");
        for example in examples {
            let example = example.split([';', '|', '>']).next().unwrap();
            let arguments = std::iter::once("apiarist".into()).chain(words(example));
            if let Err(error) = Cli::try_parse_from(arguments) {
                panic!("example of `{path}`: {example}\n{error}");
            }
        }
        for inner in command.get_subcommands().filter(|c| c.get_name() != "help") {
            check_examples(inner, &format!("{path} {}", inner.get_name()));
        }
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        check_examples(&definition(), "apiarist");
    }
}
