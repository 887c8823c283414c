//! Fetches again and again, in a thread of its own.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use serde::Deserialize;

use crate::{
    clock::monotonic_ns,
    inventory::{EndpointId, LatencyView, WorkloadView},
    status::Status,
    verdict::Alert,
};

/// Shortest pause between an answer and the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What fetching may take of the time: one part in so many. The larger the inventory, the rarer it is asked for.
const SHARE: u32 = 10;

/// One state of affairs.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Whether this is everything; if not, it is the first endpoints and the status.
    pub(crate) is_complete: bool,
    /// All endpoints.
    pub(crate) endpoints: Vec<Endpoint>,
    /// All workloads.
    pub(crate) workloads: Vec<WorkloadView>,
    /// Incidents and anomalies, the latest first.
    pub(crate) alerts: Vec<Alert>,
    /// Health of the agent.
    pub(crate) status: Status,
}

/// What a line of the screen shows of an endpoint. There may be many: the rest is understood when it is asked for.
#[derive(Debug, Deserialize)]
pub(crate) struct Endpoint {
    /// Id.
    pub(super) id: EndpointId,
    /// Name of its workload.
    pub(super) workload: String,
    /// Method.
    pub(super) method: String,
    /// Path template.
    pub(super) template: String,
    /// Operation, for protocols that name their own.
    pub(super) operation: Option<String>,
    /// Exchanges.
    pub(super) hits: u64,
    /// Time to answer.
    pub(super) latency_ms: LatencyView,
    /// Risk score.
    pub(super) risk: Option<f64>,
    /// Its row as it came.
    #[serde(skip)]
    pub(super) line: String,
}

impl Endpoint {
    /// Reads a row of `endpoints`.
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn read(line: &str) -> serde_json::Result<Self> {
        let endpoint: Self = serde_json::from_str(line)?;
        Ok(Self {
            line: line.to_owned(),
            ..endpoint
        })
    }
}

/// The receiving end. Fetching ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Feed {
    answers: Receiver<Result<Answer, String>>,
    /// Dropped with this: tells the thread to end.
    _stop: SyncSender<()>,
}

impl Feed {
    /// Starts to fetch.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        mut fetch: impl FnMut() -> Result<Answer, String> + Send + 'static,
    ) -> io::Result<Self> {
        let (give, answers) = sync_channel(1);
        let (stop, stopped) = sync_channel::<()>(0);
        thread::Builder::new()
            .name("apiarist-feed".to_owned())
            .spawn(move || {
                loop {
                    let start = monotonic_ns();
                    let answer = fetch();
                    let took = Duration::from_nanos(monotonic_ns().saturating_sub(start));
                    // What is not everything is followed by the rest at once.
                    let is_partial = answer.as_ref().is_ok_and(|answer| !answer.is_complete);
                    if give.send(answer).is_err() {
                        return;
                    }
                    if is_partial {
                        continue;
                    }
                    let pause = (took * SHARE).clamp(PAUSE, LONGEST_PAUSE);
                    if stopped.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            })?;
        Ok(Self { answers, _stop: stop })
    }

    /// The newest answer, if there is one that was not taken yet.
    pub(super) fn latest(&self) -> Option<Result<Answer, String>> {
        self.answers.try_iter().last()
    }
}
