//! The control API: HTTP/1.1 with JSON over a unix socket, for the command line and local tools.
//!
//! In: requests on the socket. Out: what the core thread answers, as JSON, and `/metrics` for Prometheus. The
//! core is asked by message ([`Request`]) and never waits for a client: the queue is bounded, and a request that
//! finds it full is refused with 503. Refuses to change anything: all routes only read.

mod client;
mod follow;
mod list;
mod listener;
mod metrics;
mod server;

use std::{sync::Arc, time::Duration};

use tokio::sync::{broadcast, mpsc, oneshot};

pub use client::{ClientError, Lines, follow, get, lines};
pub use listener::{BindError, Socket, bind};
pub use server::{serve, serve_metrics};

use crate::{
    inventory::{EndpointId, WorkloadView},
    openapi::Specification,
    risk::RiskView,
    select::{Line, Rows},
    status::Status,
    verdict::{Alert, Finding},
};

/// Requests that may wait for the core. Overflow policy: further ones are refused with status 503.
pub const MAX_WAITING_REQUESTS: usize = 32;

/// How long the core may take to answer. Overflow policy: status 503.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Alerts that one who follows them may be behind. Overflow policy: the oldest are left out, and told as a number.
pub const MAX_UNREAD_ALERTS: usize = 1024;

/// Header of answers whose rows are those that the parameters ask for. Agents that knew no more of lists than where a page
/// begins and ends do not send it.
const SELECTED: &str = "apiarist-selected";

/// Where an answer goes. Dropping it tells the client that there is none.
pub type Reply<T> = oneshot::Sender<T>;

/// What the core thread is asked.
#[derive(Debug)]
pub enum Request {
    /// The rows of all endpoints, in a stable order.
    Endpoints(Reply<Rows>),
    /// The row of one endpoint, if there is one.
    Endpoint(EndpointId, Reply<Option<Arc<Line>>>),
    /// All workloads, in a stable order.
    Workloads(Reply<Vec<WorkloadView>>),
    /// The OpenAPI documents of all workloads.
    Specifications(Reply<Vec<Specification>>),
    /// The health of the agent.
    Status(Reply<Status>),
    /// All incidents, the latest first.
    Alerts(Reply<Vec<Alert>>),
    /// All anomalies, the latest first.
    Anomalies(Reply<Vec<Alert>>),
    /// All findings.
    Findings(Reply<Vec<Arc<Finding>>>),
    /// Risk of endpoints and workloads, the highest first.
    Risks(Reply<Vec<Arc<RiskView>>>),
    /// All incidents, and those that come.
    Follow(Reply<Followed>),
}

/// Incidents so far, and those that come: none is missed between the two.
#[derive(Debug)]
pub struct Followed {
    /// The latest first.
    pub present: Vec<Alert>,
    /// As they change.
    pub further: broadcast::Receiver<Arc<Alert>>,
}

/// The asking end of the core's request queue.
#[derive(Debug, Clone)]
pub struct Query {
    requests: mpsc::Sender<Request>,
}

/// The core did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// Too many requests are waiting.
    #[error("the agent is busy: too many requests are waiting")]
    Busy,
    /// It took longer than [`ANSWER_TIMEOUT`].
    #[error("the agent is busy: it did not answer in time")]
    Late,
    /// It is shutting down.
    #[error("the agent is stopping")]
    Stopping,
}

impl Query {
    /// The queue: this end asks, the other end is read by the core thread (`blocking_recv` or `try_recv`).
    pub fn channel() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(MAX_WAITING_REQUESTS);
        (Self { requests }, receiver)
    }

    /// Asks for the rows of all endpoints.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn endpoints(&self) -> Result<Rows, NoAnswer> {
        self.ask(Request::Endpoints).await
    }

    /// Asks for the row of one endpoint.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn endpoint(&self, id: EndpointId) -> Result<Option<Arc<Line>>, NoAnswer> {
        self.ask(|reply| Request::Endpoint(id, reply)).await
    }

    /// Asks for all workloads.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn workloads(&self) -> Result<Vec<WorkloadView>, NoAnswer> {
        self.ask(Request::Workloads).await
    }

    /// Asks for the OpenAPI documents of all workloads.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn specifications(&self) -> Result<Vec<Specification>, NoAnswer> {
        self.ask(Request::Specifications).await
    }

    /// Asks for the health of the agent.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn status(&self) -> Result<Status, NoAnswer> {
        self.ask(Request::Status).await
    }

    /// Asks for all incidents.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn alerts(&self) -> Result<Vec<Alert>, NoAnswer> {
        self.ask(Request::Alerts).await
    }

    /// Asks for all anomalies.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn anomalies(&self) -> Result<Vec<Alert>, NoAnswer> {
        self.ask(Request::Anomalies).await
    }

    /// Asks for all findings.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn findings(&self) -> Result<Vec<Arc<Finding>>, NoAnswer> {
        self.ask(Request::Findings).await
    }

    /// Asks for the risk of endpoints and workloads.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn risks(&self) -> Result<Vec<Arc<RiskView>>, NoAnswer> {
        self.ask(Request::Risks).await
    }

    /// Asks for all incidents, and to be told of those that come.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn follow(&self) -> Result<Followed, NoAnswer> {
        self.ask(Request::Follow).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .try_send(request(reply))
            .map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => NoAnswer::Busy,
                mpsc::error::TrySendError::Closed(_) => NoAnswer::Stopping,
            })?;
        match tokio::time::timeout(ANSWER_TIMEOUT, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(NoAnswer::Stopping),
            Err(_) => Err(NoAnswer::Late),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_queue_refuses_instead_of_waiting() {
        let (query, _receiver) = Query::channel();
        let mut waiting = Vec::new();
        for _ in 0..MAX_WAITING_REQUESTS {
            let (reply, answer) = oneshot::channel();
            query.requests.try_send(Request::Status(reply)).unwrap();
            waiting.push(answer);
        }
        assert_eq!(query.status().await, Err(NoAnswer::Busy));
    }

    #[tokio::test]
    async fn a_core_that_has_gone_is_told() {
        let (query, receiver) = Query::channel();
        drop(receiver);
        assert_eq!(query.endpoints().await, Err(NoAnswer::Stopping));
    }
}
