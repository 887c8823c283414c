//! Where the rows of a query come from: the running agent, or a store that an agent left.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Context, Failure};
use crate::{
    control::{self, ClientError},
    store::{Reader, Row, StoreError},
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

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    Endpoints,
    Workloads,
    /// One object, not a list.
    Status,
}

impl Topic {
    fn route(self) -> &'static str {
        match self {
            Self::Endpoints => "/v1/endpoints",
            Self::Workloads => "/v1/workloads",
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
            (Some(directory), _) => from_store(directory, topic),
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

fn from_store(directory: &Path, topic: Topic) -> Result<Value, Failure> {
    let failed = |error: StoreError| Failure::usage(error);
    let contents = Reader::open(directory)
        .and_then(|reader| reader.load())
        .map_err(failed)?;
    match topic {
        Topic::Endpoints => decode(&contents.endpoints, directory),
        Topic::Workloads => decode(&contents.workloads, directory),
        Topic::Status => match contents.status {
            Some(bytes) => {
                serde_json::from_slice(&bytes).map_err(|error| foreign(directory, "status", &error))
            }
            None => Err(Failure::usage(format!(
                "the store {} holds no status: the agent had not written one yet",
                directory.display()
            ))),
        },
    }
}

fn decode(rows: &[Row], directory: &Path) -> Result<Value, Failure> {
    let decode = |row: &Row| -> Result<Value, Failure> {
        serde_json::from_slice(&row.record).map_err(|error| foreign(directory, &row.id, &error))
    };
    rows.iter().map(decode).collect()
}

fn foreign(directory: &Path, id: &str, error: &serde_json::Error) -> Failure {
    Failure::usage(format!(
        "the store {} holds {id} in a form this version cannot read: {error}",
        directory.display()
    ))
}
