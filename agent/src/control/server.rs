//! The routes of the control API.
//!
//! In: a listening [`Socket`] and the [`Query`] end of the core's queue. Out: a future that serves until told to
//! stop. The API is described by `openapi.json`, which is served too.

use std::{
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    extract::{Path, Query as Parameters, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
    serve::Listener,
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixListener,
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{NoAnswer, Query, Socket, follow, list::Wanted, metrics};
use crate::select::SelectError;

/// Clients that may be connected. Overflow policy: further ones wait in the listen queue.
const MAX_CONNECTIONS: usize = 64;

const OPENAPI: &str = include_str!("openapi.json");

/// Serves the API until `stop` completes and the requests under way are answered.
///
/// # Errors
/// The socket cannot be given to the runtime.
pub async fn serve(
    socket: &Socket,
    query: Query,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let listener = Limited {
        listener: UnixListener::from_std(socket.listener()?)?,
        connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
    axum::serve(listener, router(query))
        .with_graceful_shutdown(stop)
        .await
}

/// Serves `/metrics`, and nothing else, on TCP until `stop` completes.
///
/// # Errors
/// The socket cannot be given to the runtime.
pub async fn serve_metrics(
    listener: std::net::TcpListener,
    query: Query,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = Limited {
        listener: tokio::net::TcpListener::from_std(listener)?,
        connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
    };
    let router = Router::new()
        .route("/metrics", get(prometheus))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "only /metrics is here"))
        .with_state(query);
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

fn router(query: Query) -> Router {
    Router::new()
        .route("/v1/endpoints", get(endpoints))
        .route("/v1/endpoints/{id}", get(endpoint))
        .route("/v1/workloads", get(workloads))
        .route("/v1/listeners", get(listeners))
        .route("/v1/specifications", get(specifications))
        .route("/v1/status", get(status))
        .route("/v1/alerts", get(alerts))
        .route("/v1/anomalies", get(anomalies))
        .route("/v1/findings", get(findings))
        .route("/v1/risks", get(risks))
        .route(
            "/v1/openapi.json",
            get(async || ([(header::CONTENT_TYPE, "application/json")], OPENAPI)),
        )
        .route("/metrics", get(prometheus))
        .fallback(async || refuse(StatusCode::NOT_FOUND, "no such route: see /v1/openapi.json"))
        .with_state(query)
}

async fn endpoints(State(query): State<Query>, wanted: Wanted) -> Result<Response, Refusal> {
    wanted.of(query.endpoints().await?).await
}

async fn endpoint(State(query): State<Query>, Path(id): Path<String>) -> Result<Response, NoAnswer> {
    let found = match id.parse() {
        Ok(id) => query.endpoint(id).await?,
        Err(_) => None,
    };
    Ok(match found {
        Some(row) => (
            [(header::CONTENT_TYPE, "application/json")],
            row.as_str().to_owned(),
        )
            .into_response(),
        None => refuse(StatusCode::NOT_FOUND, "no endpoint has this id"),
    })
}

async fn workloads(State(query): State<Query>) -> Result<Response, NoAnswer> {
    Ok(Json(query.workloads().await?).into_response())
}

async fn listeners(State(query): State<Query>) -> Result<Response, NoAnswer> {
    Ok(Json(query.status().await?.listeners).into_response())
}

async fn specifications(State(query): State<Query>) -> Result<Response, NoAnswer> {
    Ok(Json(query.specifications().await?).into_response())
}

async fn status(State(query): State<Query>) -> Result<Response, NoAnswer> {
    Ok(Json(query.status().await?).into_response())
}

/// Parameters of the list of alerts.
#[derive(Deserialize)]
struct AlertParameters {
    /// Do not end: send each alert as it changes.
    #[serde(default)]
    follow: bool,
}

async fn alerts(
    State(query): State<Query>,
    parameters: Result<Parameters<AlertParameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Parameters(parameters) = parameters?;
    match parameters.follow {
        true => Ok(follow::response(query.follow().await?)),
        false => Ok(Json(query.alerts().await?).into_response()),
    }
}

async fn anomalies(State(query): State<Query>) -> Result<Response, NoAnswer> {
    Ok(Json(query.anomalies().await?).into_response())
}

async fn findings(State(query): State<Query>, wanted: Wanted) -> Result<Response, Refusal> {
    wanted.written(query.findings().await?).await
}

async fn risks(State(query): State<Query>, wanted: Wanted) -> Result<Response, Refusal> {
    wanted.written(query.risks().await?).await
}

async fn prometheus(State(query): State<Query>) -> Result<Response, NoAnswer> {
    let text = metrics::render(&query.status().await?);
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

pub(super) fn refuse(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({ "error": error }))).into_response()
}

impl IntoResponse for NoAnswer {
    fn into_response(self) -> Response {
        refuse(StatusCode::SERVICE_UNAVAILABLE, &self.to_string())
    }
}

/// Why a request is not answered as it asks.
pub(super) enum Refusal {
    /// The core did not answer.
    NoAnswer(NoAnswer),
    /// A parameter has no value of its type.
    Malformed(QueryRejection),
    /// The rows could not be selected.
    Select(SelectError),
}

impl From<NoAnswer> for Refusal {
    fn from(error: NoAnswer) -> Self {
        Self::NoAnswer(error)
    }
}

impl From<QueryRejection> for Refusal {
    fn from(error: QueryRejection) -> Self {
        Self::Malformed(error)
    }
}

impl From<SelectError> for Refusal {
    fn from(error: SelectError) -> Self {
        Self::Select(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::NoAnswer(error) => error.into_response(),
            Self::Malformed(error) => {
                // The name of the parameter stands behind what is always the same.
                let text = error.body_text();
                let (_, sentence) = text.split_once(": ").unwrap_or(("", &text));
                refuse(StatusCode::BAD_REQUEST, sentence)
            }
            Self::Select(error) if error.is_usage() => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
            Self::Select(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        }
    }
}

/// A listener that accepts only while fewer than [`MAX_CONNECTIONS`] clients are connected.
struct Limited<L> {
    listener: L,
    connections: Arc<Semaphore>,
}

impl<L: Listener> Listener for Limited<L> {
    type Io = Connection<L::Io>;
    type Addr = L::Addr;

    async fn accept(&mut self) -> (Self::Io, L::Addr) {
        // The semaphore is never closed; were it, serving without a permit is the lesser harm.
        let permit = Arc::clone(&self.connections).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let connection = Connection {
            stream,
            _permit: permit,
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<L::Addr> {
        self.listener.local_addr()
    }
}

/// A client's stream together with its place among the connections.
struct Connection<S> {
    stream: S,
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
