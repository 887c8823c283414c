//! Fetches again and again, in a thread of its own.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::{
    inventory::{EndpointView, WorkloadView},
    status::Status,
    verdict::Alert,
};

/// Pause between an answer and the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// One state of affairs, or why there is none.
#[derive(Debug)]
pub(crate) struct Answer {
    /// All endpoints.
    pub(crate) endpoints: Vec<EndpointView>,
    /// All workloads.
    pub(crate) workloads: Vec<WorkloadView>,
    /// Incidents and anomalies, the latest first.
    pub(crate) alerts: Vec<Alert>,
    /// Health of the agent.
    pub(crate) status: Status,
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
                    if give.send(fetch()).is_err() {
                        return;
                    }
                    if stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout) {
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
