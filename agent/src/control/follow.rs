//! The stream of alerts: JSON Lines that do not end.
//!
//! First the incidents that are there, the oldest first, then each as it changes. Between them blank lines, so that
//! a client that has gone away is noticed. One that reads too slowly is told `{"missed":N}`.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};
use serde::Serialize;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::Followed;
use crate::verdict::Alert;

/// Lines that may wait for one client. It is told of alerts that it missed beyond [`super::MAX_UNREAD_ALERTS`].
const MAX_WAITING_LINES: usize = 16;

/// How often a blank line is sent while nothing happens.
const BLANK_EVERY: Duration = Duration::from_secs(5);

/// Content type of JSON Lines.
const CONTENT_TYPE: &str = "application/x-ndjson";

/// The answer to one who follows. Its body ends when the client goes, or the agent stops.
pub(super) fn response(followed: Followed) -> Response {
    let (lines, body) = Channel::<Bytes>::new(MAX_WAITING_LINES);
    tokio::spawn(feed(followed, lines));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], Body::new(body)).into_response()
}

async fn feed(followed: Followed, mut lines: Sender<Bytes>) {
    let Followed { present, mut further } = followed;
    for alert in present.iter().rev() {
        if lines.send_data(line(alert)).await.is_err() {
            return;
        }
    }
    // Sending fails when the client has gone.
    while let Some(line) = next(&mut further).await {
        if lines.send_data(line).await.is_err() {
            return;
        }
    }
}

async fn next(further: &mut Receiver<Arc<Alert>>) -> Option<Bytes> {
    match tokio::time::timeout(BLANK_EVERY, further.recv()).await {
        Ok(Ok(alert)) => Some(line(&*alert)),
        Ok(Err(RecvError::Lagged(missed))) => Some(line(&serde_json::json!({ "missed": missed }))),
        Ok(Err(RecvError::Closed)) => None,
        Err(_) => Some(Bytes::from_static(b"\n")),
    }
}

/// A line of JSON; blank if it could not be written as JSON, which plain alerts always can.
fn line(value: &impl Serialize) -> Bytes {
    let mut line = serde_json::to_vec(value).unwrap_or_default();
    line.push(b'\n');
    line.into()
}
