//! Where the rows of a query come from: the running agent, or a store that an agent left.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{
    Context, Failure,
    batches::{Batches, Line, Take, Wanted},
    kept,
};
use crate::{
    analysis::Kept,
    clock::Timestamp,
    config::Config,
    control::{self, ClientError},
    inventory::{Inventory, Limits},
    risk::{self, Assessment, Criteria},
    select::{Options, whole},
    status::Status,
    store::{Reader, Restored, Table},
};

/// Which agent or store is asked.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Ask the agent that listens on this unix socket [default: /run/apiarist/apiarist.sock]
    #[arg(
        long,
        value_name = "PATH",
        conflicts_with = "store",
        env = "APIARIST_SOCKET",
        hide_env = true
    )]
    socket: Option<PathBuf>,
    /// Read the store in this directory instead of asking a running agent
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

/// The store was written within its agent's limits; they are not applied again.
const UNLIMITED: Limits = Limits {
    workloads: usize::MAX,
    templates: usize::MAX,
    endpoints: usize::MAX,
    fields: usize::MAX,
    candidates: 1,
    hosts: usize::MAX,
    callers: usize::MAX,
    egress: usize::MAX,
    recent_paths: 1,
};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Endpoints,
    Workloads,
    Alerts,
    Anomalies,
    Findings,
    Risks,
    Listeners,
    Specifications,
    /// One object, not a list.
    Status,
}

impl Topic {
    fn route(self) -> &'static str {
        match self {
            Self::Endpoints => "/v1/endpoints",
            Self::Workloads => "/v1/workloads",
            Self::Alerts => "/v1/alerts",
            Self::Anomalies => "/v1/anomalies",
            Self::Findings => "/v1/findings",
            Self::Risks => "/v1/risks",
            Self::Listeners => "/v1/listeners",
            Self::Specifications => "/v1/specifications",
            Self::Status => "/v1/status",
        }
    }
}

impl Args {
    /// The rows of a list.
    pub(super) fn rows(&self, topic: Topic, context: &Context<'_>) -> Result<Vec<Value>, Failure> {
        let lines = self.lines(topic, context)?;
        let rows = lines.iter().map(|line| Ok(whole(line)?));
        rows.collect()
    }

    /// The rows of a list as they come.
    fn lines(&self, topic: Topic, context: &Context<'_>) -> Result<Vec<Line>, Failure> {
        self.settled(context)?.lines(topic)
    }

    /// The answer as it is.
    pub(super) fn object(&self, topic: Topic, context: &Context<'_>) -> Result<Value, Failure> {
        self.settled(context)?.object(topic)
    }

    /// Nothing is named that would be asked beside a fleet. What the environment names is passed over.
    pub(super) fn alone(&self) -> Result<(), Failure> {
        match self.store {
            Some(_) => Err(Failure::usage(
                "--fleet and --store name two sources: leave out one",
            )),
            None => Ok(()),
        }
    }

    /// Which agent or store it is, with what the configuration says about it.
    pub(super) fn settled(&self, context: &Context<'_>) -> Result<Settled, Failure> {
        if context.fleet.is_some() {
            return Err(Failure::usage(
                "this command asks one agent: --fleet goes with endpoints, workloads, alerts, anomalies, findings, risks and graph",
            ));
        }
        Ok(match &self.store {
            Some(directory) => Settled::Store {
                directory: directory.clone(),
                config: Box::new(context.config()?),
            },
            None => Settled::Agent(self.agent(context)?),
        })
    }

    /// The directory of the store, if one was named.
    pub(super) fn directory(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    /// Passes on each line of an answer that does not end.
    pub(super) fn follow(
        &self,
        route: &str,
        context: &mut Context<'_>,
        mut take: impl FnMut(&mut Context<'_>, Value) -> ControlFlow<()>,
    ) -> Result<(), Failure> {
        let socket = self.agent(context)?;
        control::follow(&socket, route, |row| take(context, row)).map_err(Failure::unreachable)
    }

    fn agent(&self, context: &Context<'_>) -> Result<PathBuf, Failure> {
        match &self.socket {
            Some(socket) => Ok(socket.clone()),
            None => Ok(context.config()?.control.socket),
        }
    }
}

/// One agent, or one store.
pub(super) enum Settled {
    /// The agent that listens on this socket.
    Agent(PathBuf),
    /// A store, and what the configuration says about it.
    Store { directory: PathBuf, config: Box<Config> },
}

impl Settled {
    /// The answer as it is.
    pub(super) fn object(&self, topic: Topic) -> Result<Value, Failure> {
        match self {
            Self::Agent(socket) => from_agent(socket, topic),
            Self::Store { directory, config } => from_store(directory, topic, config),
        }
    }

    /// The rows of a list, in the order of the agent.
    pub(super) fn lines(&self, topic: Topic) -> Result<Vec<Line>, Failure> {
        let mut all = Vec::new();
        self.batches(topic, Wanted::default(), &mut |mut batch| {
            all.append(&mut batch);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    /// The rows that an agent selects itself. `None` where it cannot: the list is no long one, the agent is of a version
    /// that does not know how, or there is a store instead.
    pub(super) fn page(&self, topic: Topic, wanted: &Options) -> Result<Option<Vec<Line>>, Failure> {
        let (Self::Agent(socket), Topic::Endpoints | Topic::Findings | Topic::Risks) = (self, topic) else {
            return Ok(None);
        };
        let answer = control::lines(socket, topic.route(), wanted).map_err(asked)?;
        let rows = answer.rows().map(str::to_owned);
        Ok(answer.is_selected.then(|| rows.collect()))
    }

    /// Passes the rows of a list on, in the order of the agent, until `take` has enough. Rows that are not wanted may be
    /// among them.
    pub(super) fn batches(&self, topic: Topic, wanted: Wanted<'_>, take: Take<'_>) -> Result<(), Failure> {
        let most = wanted.most;
        match (self, topic) {
            (Self::Agent(socket), Topic::Endpoints | Topic::Findings | Topic::Risks) => {
                let first = Options {
                    limit: most,
                    ..Options::default()
                };
                let answer = control::lines(socket, topic.route(), &first).map_err(asked)?;
                return pass_on(answer.rows().map(str::to_owned), most, take);
            }
            (Self::Store { directory, config }, _)
                if kept::list(directory, config, (topic, wanted), take)? =>
            {
                return Ok(());
            }
            _ => {}
        }
        match self.object(topic)? {
            Value::Array(rows) => pass_on(rows.iter().map(Value::to_string), most, take),
            _ => Err(Failure::usage(format!(
                "the agent answered {} with something that is no list",
                topic.route()
            ))),
        }
    }

    /// The store, read whole; `None` when it is an agent.
    pub(super) fn opened(&self) -> Result<Option<Opened>, Failure> {
        let Self::Store { directory, config } = self else {
            return Ok(None);
        };
        let reader = Reader::open(directory).map_err(Failure::usage)?;
        Opened::read(&reader, directory, config).map(Some)
    }
}

/// Why an agent did not answer: what it does not understand of the options is named as it is typed.
fn asked(error: ClientError) -> Failure {
    match error {
        ClientError::Refused { status: 400, reason } => Failure::usage(format!("--{reason}")),
        other => Failure::unreachable(other),
    }
}

fn from_agent(socket: &Path, topic: Topic) -> Result<Value, Failure> {
    control::get(socket, topic.route()).map_err(Failure::unreachable)
}

fn pass_on(lines: impl Iterator<Item = Line>, most: Option<usize>, take: Take<'_>) -> Result<(), Failure> {
    let mut batches = Batches::to(take, most);
    batches.extend(lines);
    batches.end()
}

/// The same rows that an agent with this store would answer, as of the newest exchange in it.
fn from_store(directory: &Path, topic: Topic, config: &Config) -> Result<Value, Failure> {
    let shown = directory.display();
    let unreadable = |error| Failure::usage(format!("the store {shown} cannot be shown: {error}"));
    let reader = Reader::open(directory).map_err(Failure::usage)?;
    match topic {
        Topic::Status => {
            return match reader.status().map_err(Failure::usage)? {
                Some(bytes) => serde_json::from_slice(&bytes).map_err(unreadable),
                None => Err(Failure::usage(format!(
                    "the store {shown} holds no status: the agent had not written one yet"
                ))),
            };
        }
        Topic::Listeners => {
            let mut status = from_store(directory, Topic::Status, config)?;
            return Ok(status.get_mut("listeners").map_or_else(|| json!([]), Value::take));
        }
        Topic::Alerts => return incidents(&reader, Table::Alerts, directory),
        Topic::Anomalies => return incidents(&reader, Table::Anomalies, directory),
        Topic::Workloads => {
            let (views, skipped) = reader.workload_views().map_err(Failure::usage)?;
            warn_of_skipped(skipped, directory);
            return serde_json::to_value(views).map_err(unreadable);
        }
        Topic::Endpoints | Topic::Findings | Topic::Risks | Topic::Specifications => {}
    }
    let opened = Opened::read(&reader, directory, config)?;
    match topic {
        Topic::Specifications => serde_json::to_value(opened.inventory.specifications(opened.newest)),
        Topic::Findings => serde_json::to_value(opened.assess().findings),
        Topic::Risks => serde_json::to_value(opened.assess().risks),
        _ => serde_json::to_value(opened.assess().endpoints),
    }
    .map_err(unreadable)
}

/// A store, read whole.
pub(super) struct Opened {
    pub(super) inventory: Inventory,
    pub(super) kept: Kept,
    pub(super) status: Option<Status>,
    /// When its newest exchange was seen.
    newest: Timestamp,
    criteria: Criteria,
}

impl Opened {
    fn read(reader: &Reader, directory: &Path, config: &Config) -> Result<Self, Failure> {
        let criteria = config.criteria().map_err(Failure::usage)?;
        let mut contents = reader.load().map_err(Failure::usage)?;
        let Restored {
            inventory,
            newest,
            skipped,
        } = contents.restore(UNLIMITED);
        let status = contents.status.take();
        let (kept, undecoded) = contents.kept();
        warn_of_skipped(skipped + undecoded, directory);
        Ok(Self {
            inventory,
            kept,
            newest,
            status: status.and_then(|status| serde_json::from_slice(&status).ok()),
            criteria,
        })
    }

    /// Endpoints, findings and risks, as of the newest exchange.
    pub(super) fn assess(&self) -> Assessment {
        let Kept { findings, alerts, .. } = &self.kept;
        risk::assess(
            &self.inventory,
            findings.clone(),
            alerts,
            &self.criteria,
            self.newest,
        )
    }
}

/// The records of a table as they are, the latest first.
fn incidents(reader: &Reader, table: Table, directory: &Path) -> Result<Value, Failure> {
    let mut rows = reader.table(table).map_err(Failure::usage)?;
    rows.sort_by_key(|row| std::cmp::Reverse(row.last_seen));
    let records: Vec<Value> = rows
        .iter()
        .filter_map(|row| serde_json::from_slice(&row.record).ok())
        .collect();
    warn_of_skipped((rows.len() - records.len()) as u64, directory);
    Ok(Value::Array(records))
}

fn warn_of_skipped(skipped: u64, directory: &Path) {
    if skipped > 0 {
        let store = directory.display();
        tracing::warn!(skipped, %store, "some records are damaged or of another version");
    }
}
