//! The client's end of the control API, used by the query commands.
//!
//! In: the path of a socket and a route. Out: JSON, or an error that says what to do. Every wait has an end and
//! every answer a bound.

use std::{io, path::Path, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// Time for a whole query. The core answers within [`super::ANSWER_TIMEOUT`].
const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest answer, in bytes. Overflow policy: the query fails.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "no agent listens on {0}: start one with `apiarist run`, or name its socket with --socket or a store with --store"
    )]
    NotRunning(String),
    /// This user may not connect.
    #[error("no permission to use {0}: run this as root or as a member of the socket's group")]
    NotAllowed(String),
    /// It did not answer in time.
    #[error("the agent on {0} does not answer: look at its log")]
    TimedOut(String),
    /// The conversation failed.
    #[error("the agent on {path} cannot be asked: {reason}")]
    Broken {
        /// The socket.
        path: String,
        /// What happened.
        reason: String,
    },
    /// The agent answered with an error.
    #[error("the agent refused: {reason}")]
    Refused {
        /// HTTP status code.
        status: u16,
        /// Its explanation.
        reason: String,
    },
}

/// Asks the agent on `socket` for `route` and waits for the answer, at most 15 seconds.
///
/// # Errors
/// See [`ClientError`].
pub fn get(socket: &Path, route: &str) -> Result<Value, ClientError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(socket, error))?
        .block_on(fetch(socket, route))
}

pub(super) async fn fetch(socket: &Path, route: &str) -> Result<Value, ClientError> {
    let body = tokio::time::timeout(TIMEOUT, exchange(socket, route))
        .await
        .map_err(|_| ClientError::TimedOut(socket.display().to_string()))??;
    serde_json::from_slice(&body).map_err(|error| broken(socket, error))
}

#[cfg(test)]
pub(super) async fn fetch_text(socket: &Path, route: &str) -> Result<String, ClientError> {
    let body = exchange(socket, route).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn exchange(socket: &Path, route: &str) -> Result<Bytes, ClientError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| refused(socket, &error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(socket, error))?;
    let request = Request::get(route)
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(socket, error))?;
    let conversation = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(socket, error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(|error| broken(socket, error))?
            .to_bytes();
        match status.is_success() {
            true => Ok(body),
            false => Err(ClientError::Refused {
                status: status.as_u16(),
                reason: explanation(&body).unwrap_or_else(|| status.to_string()),
            }),
        }
    };
    tokio::pin!(conversation);
    tokio::select! {
        answer = &mut conversation => answer,
        ended = connection => match ended {
            // The whole answer may have arrived together with the end of the connection.
            Ok(()) => conversation.await,
            Err(error) => Err(broken(socket, error)),
        },
    }
}

fn explanation(body: &[u8]) -> Option<String> {
    let document: Value = serde_json::from_slice(body).ok()?;
    Some(document.get("error")?.as_str()?.to_owned())
}

fn refused(socket: &Path, error: &io::Error) -> ClientError {
    let path = socket.display().to_string();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotRunning(path),
        io::ErrorKind::PermissionDenied => ClientError::NotAllowed(path),
        _ => broken(socket, error),
    }
}

fn broken(socket: &Path, reason: impl ToString) -> ClientError {
    ClientError::Broken {
        path: socket.display().to_string(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_is_explained() {
        let error = get(Path::new("/nonexistent/api.sock"), "/v1/status").unwrap_err();
        assert!(
            error.to_string().contains("start one with `apiarist run`"),
            "{error}"
        );
    }

    #[test]
    fn something_else_on_the_socket_is_an_error_not_a_hang() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("other.sock");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let other = std::thread::spawn(move || {
            use std::io::{Read as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 16];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(b"220 smtp ready\r\n").unwrap();
        });
        assert!(matches!(
            get(&path, "/v1/status"),
            Err(ClientError::Broken { .. })
        ));
        other.join().unwrap();
    }
}
