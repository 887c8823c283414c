//! The control API: HTTP/1.1 with JSON over a unix socket, for the command line and local tools.
//!
//! In: requests on the socket. Out: what the core thread answers, as JSON, and `/metrics` for Prometheus. The
//! core is asked by message ([`Request`]) and never waits for a client: the queue is bounded, and a request that
//! finds it full is refused with 503. Refuses to change anything: all routes only read.

mod client;
mod listener;
mod metrics;
mod server;

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use client::{ClientError, get};
pub use listener::{BindError, Socket, bind};
pub use server::serve;

use crate::{
    inventory::{EndpointView, WorkloadView},
    openapi::Specification,
    status::Status,
};

/// Requests that may wait for the core. Overflow policy: further ones are refused with status 503.
pub const MAX_WAITING_REQUESTS: usize = 32;

/// How long the core may take to answer. Overflow policy: status 503.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Where an answer goes. Dropping it tells the client that there is none.
pub type Reply<T> = oneshot::Sender<T>;

/// What the core thread is asked.
#[derive(Debug)]
pub enum Request {
    /// All endpoints, in a stable order.
    Endpoints(Reply<Vec<EndpointView>>),
    /// All workloads, in a stable order.
    Workloads(Reply<Vec<WorkloadView>>),
    /// The OpenAPI documents of all workloads.
    Specifications(Reply<Vec<Specification>>),
    /// The health of the agent.
    Status(Reply<Status>),
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

    /// Asks for all endpoints.
    ///
    /// # Errors
    /// The core did not answer.
    pub async fn endpoints(&self) -> Result<Vec<EndpointView>, NoAnswer> {
        self.ask(Request::Endpoints).await
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

    async fn ask<T>(&self, request: fn(Reply<T>) -> Request) -> Result<T, NoAnswer> {
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
