//! Fetches again and again, in a thread of its own.

use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::Duration,
};

use crate::{
    clock::monotonic_ns,
    inventory::{EndpointView, WorkloadView},
    status::Status,
    verdict::Alert,
};

/// Shortest pause between an answer and the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What fetching may take of the time: one part in so many. The larger the inventory, the rarer it is asked for.
const SHARE: u32 = 10;

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
                    let start = monotonic_ns();
                    let answer = fetch();
                    let took = Duration::from_nanos(monotonic_ns().saturating_sub(start));
                    if give.send(answer).is_err() {
                        return;
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
