//! The client's end of the control API, used by the query commands.
//!
//! In: the path of a socket and a route. Out: JSON, or an error that says what to do. Every wait has an end and
//! every answer a bound.

use std::{io, ops::ControlFlow, path::Path, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, Response, body::Incoming, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::SELECTED;
use crate::{clock::Timestamp, select::Options};

/// Time for a whole query. The core answers within [`super::ANSWER_TIMEOUT`].
const TIMEOUT: Duration = Duration::from_secs(15);

/// Longest answer, in bytes. Overflow policy: the query fails.
const MAX_ANSWER_BYTES: usize = 256 * 1024 * 1024;

/// Longest line of a stream, in bytes. Overflow policy: following ends with an error.
const MAX_LINE_BYTES: usize = 1024 * 1024;

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
    runtime(socket)?.block_on(fetch(socket, route))
}

/// Rows of a list.
#[derive(Debug)]
pub struct Lines {
    text: String,
    /// Whether they are those that were asked for. An agent of an older version may know no more than how many: then
    /// conditions are still to be looked at, and rows may be missing.
    pub is_selected: bool,
}

impl Lines {
    /// The rows, each a JSON object.
    pub fn rows(&self) -> impl Iterator<Item = &str> {
        self.text.lines().filter(|line| !line.is_empty())
    }
}

/// Asks the agent on `socket` for some rows of a list; `route` has no parameters yet. Waits as [`get`] does.
///
/// # Errors
/// See [`ClientError`].
pub fn lines(socket: &Path, route: &str, wanted: &Options) -> Result<Lines, ClientError> {
    let route = format!("{route}?{}", parameters(wanted));
    let (body, is_selected) = runtime(socket)?.block_on(within(socket, async {
        converse(socket, &route, async |response| {
            let is_selected = response.headers().contains_key(SELECTED);
            Ok((collect(socket, response.into_body()).await?, is_selected))
        })
        .await
    }))?;
    let mut text = String::from_utf8(body.into()).map_err(|error| broken(socket, error))?;
    if text.starts_with('[') {
        // An agent of a version that knows no lines.
        let rows: Vec<Value> = serde_json::from_str(&text).map_err(|error| broken(socket, error))?;
        text = rows.iter().map(|row| format!("{row}\n")).collect();
    }
    Ok(Lines { text, is_selected })
}

/// What is wanted of a list as the parameters of a route.
fn parameters(wanted: &Options) -> String {
    let Options {
        workload,
        methods,
        path,
        since,
        sort,
        filter,
        offset,
        limit,
    } = wanted;
    let mut parameters = form_urlencoded::Serializer::new(String::new());
    parameters.append_pair("lines", "true");
    let method = (!methods.is_empty()).then(|| methods.join(","));
    let since = since.map(Timestamp::rfc3339);
    let texts = [
        ("workload", workload),
        ("method", &method),
        ("path", path),
        ("since", &since),
        ("sort", sort),
        ("filter", filter),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            parameters.append_pair(name, text);
        }
    }
    if *offset > 0 {
        parameters.append_pair("offset", &offset.to_string());
    }
    if let Some(limit) = limit {
        parameters.append_pair("limit", &limit.to_string());
    }
    parameters.finish()
}

/// Asks the agent on `socket` for `route`, an answer that does not end, and passes each JSON line on until told to
/// stop. Ends without an error when the agent stops.
///
/// # Errors
/// See [`ClientError`].
pub fn follow(
    socket: &Path,
    route: &str,
    take: impl FnMut(Value) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    runtime(socket)?.block_on(stream(socket, route, take))
}

fn runtime(socket: &Path) -> Result<tokio::runtime::Runtime, ClientError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| broken(socket, error))
}

pub(super) async fn fetch(socket: &Path, route: &str) -> Result<Value, ClientError> {
    let body = body(socket, route).await?;
    serde_json::from_slice(&body).map_err(|error| broken(socket, error))
}

async fn body(socket: &Path, route: &str) -> Result<Bytes, ClientError> {
    within(socket, exchange(socket, route)).await
}

/// What an exchange gives, if it gives it in time.
async fn within<T>(
    socket: &Path,
    exchange: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| ClientError::TimedOut(socket.display().to_string()))?
}

#[cfg(test)]
pub(super) async fn fetch_text(socket: &Path, route: &str) -> Result<String, ClientError> {
    let body = exchange(socket, route).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

pub(super) async fn stream(
    socket: &Path,
    route: &str,
    mut take: impl FnMut(Value) -> ControlFlow<()>,
) -> Result<(), ClientError> {
    converse(socket, route, async |response| {
        let mut body = response.into_body();
        let mut unread = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                // The agent stopped in the middle of a chunk, or between two.
                break;
            };
            unread.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            while let Some(end) = unread.iter().position(|byte| *byte == b'\n') {
                let line = unread.split_to(end + 1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let value = serde_json::from_slice(&line).map_err(|error| broken(socket, error))?;
                if take(value).is_break() {
                    return Ok(());
                }
            }
            if unread.len() > MAX_LINE_BYTES {
                return Err(broken(socket, "a line of its answer is too long"));
            }
        }
        Ok(())
    })
    .await
}

async fn exchange(socket: &Path, route: &str) -> Result<Bytes, ClientError> {
    converse(socket, route, async |response| {
        collect(socket, response.into_body()).await
    })
    .await
}

async fn collect(socket: &Path, body: Incoming) -> Result<Bytes, ClientError> {
    let whole = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
    Ok(whole.map_err(|error| broken(socket, error))?.to_bytes())
}

/// Sends one request; `read` gets the answer if it is a success.
async fn converse<T>(
    socket: &Path,
    route: &str,
    read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, ClientError>,
) -> Result<T, ClientError> {
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
        if status.is_success() {
            return read(response).await;
        }
        let body = collect(socket, response.into_body()).await?;
        Err(ClientError::Refused {
            status: status.as_u16(),
            reason: explanation(&body).unwrap_or_else(|| status.to_string()),
        })
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
