//! Where the rows of a query come from: the running agent, or a store that an agent left.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Context, Failure};
use crate::{
    control::{self, ClientError},
    inventory::Limits,
    risk::{self, Risk},
    store::Reader,
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
    Specifications,
    /// One object, not a list.
    Status,
}

impl Topic {
    fn route(self) -> &'static str {
        match self {
            Self::Endpoints => "/v1/endpoints",
            Self::Workloads => "/v1/workloads",
            Self::Specifications => "/v1/specifications",
            Self::Status => "/v1/status",
        }
    }
}

impl Args {
    /// The rows of a list.
    pub(super) fn rows(&self, topic: Topic, context: &Context<'_>) -> Result<Vec<Value>, Failure> {
        match self.object(topic, context)? {
            Value::Array(rows) => Ok(rows),
            _ => Err(Failure::usage(format!(
                "the agent answered {} with something that is no list",
                topic.route()
            ))),
        }
    }

    /// The answer as it is.
    pub(super) fn object(&self, topic: Topic, context: &Context<'_>) -> Result<Value, Failure> {
        match (&self.store, &self.socket) {
            (Some(directory), _) => from_store(directory, topic, &context.config()?.risk),
            (None, Some(socket)) => from_agent(socket, topic),
            (None, None) => from_agent(&context.config()?.control.socket, topic),
        }
    }
}

fn from_agent(socket: &Path, topic: Topic) -> Result<Value, Failure> {
    control::get(socket, topic.route()).map_err(|error| match error {
        ClientError::NotRunning(_)
        | ClientError::NotAllowed(_)
        | ClientError::TimedOut(_)
        | ClientError::Broken { .. }
        | ClientError::Refused { .. } => Failure::unreachable(error),
    })
}

/// The same rows that an agent with this store would answer, as of the newest exchange in it.
fn from_store(directory: &Path, topic: Topic, risk: &Risk) -> Result<Value, Failure> {
    let contents = Reader::open(directory)
        .and_then(|reader| reader.load())
        .map_err(Failure::usage)?;
    let shown = directory.display();
    let unreadable = |error| Failure::usage(format!("the store {shown} cannot be shown: {error}"));
    if topic == Topic::Status {
        return match contents.status {
            Some(bytes) => serde_json::from_slice(&bytes).map_err(unreadable),
            None => Err(Failure::usage(format!(
                "the store {shown} holds no status: the agent had not written one yet"
            ))),
        };
    }
    let restored = contents.restore(UNLIMITED);
    if restored.skipped > 0 {
        let skipped = restored.skipped;
        tracing::warn!(skipped, store = %shown, "some records are damaged or of another version");
    }
    match topic {
        Topic::Workloads => serde_json::to_value(restored.inventory.workload_views()),
        Topic::Specifications => serde_json::to_value(restored.inventory.specifications(restored.newest)),
        _ => {
            let inventory = &restored.inventory;
            let assessment = risk::assess(inventory, Vec::new(), &[], risk, restored.newest);
            serde_json::to_value(assessment.endpoints)
        }
    }
    .map_err(unreadable)
}
