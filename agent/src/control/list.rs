//! Lists of the control API: which rows of one are sent, and how.
//!
//! In: all rows of a list, in the order of the agent, and the parameters of a request. Out: the page that was asked for, as
//! one array or one object a line. Rows are looked at beside the runtime, by few requests at a time and for a bounded
//! time, so that no question holds up the others; an answer is put together part by part while it is sent, so that a
//! long one is not held a second time. Refuses parameters that are malformed, too long or too costly.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{FromRequestParts, Query as Parameters},
    http::{header, request},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::{ANSWER_TIMEOUT, NoAnswer, SELECTED, server::Refusal};
use crate::{
    clock::{Timestamp, monotonic_ns},
    select::{Line, Options, Picked, Row, Rows, SelectError, Selection},
};

/// Requests whose rows are looked at at the same time. Overflow policy: further ones wait, then get status 503.
const MAX_SELECTING: usize = 2;

/// How long the rows of a request may be looked at. Overflow policy: status 400.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows that are looked at first: few requests without an order need more. Then there are more and more at a time.
const FIRST: usize = 4096;

/// Bytes of an answer that are put together at a time; one row more may be in it.
const PART_BYTES: usize = 64 * 1024;

static SELECTING: Semaphore = Semaphore::const_new(MAX_SELECTING);

/// Parameters of lists.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListParameters {
    /// One object a line, not one array.
    #[serde(default)]
    lines: bool,
    /// Rows left out before the first.
    #[serde(default)]
    offset: usize,
    /// At most so many rows.
    limit: Option<usize>,
    /// Only this workload: its name or id, `*` for any characters.
    workload: Option<String>,
    /// Only these methods, with commas between them.
    method: Option<String>,
    /// Only paths that begin so, or match a pattern with `*`.
    path: Option<String>,
    /// Only what was seen since this time.
    since: Option<String>,
    /// Order by this member; `-` before it for the largest first.
    sort: Option<String>,
    /// Only rows that satisfy an expression.
    filter: Option<String>,
}

/// What is wanted of a list: understood before the core is asked.
pub(super) struct Wanted {
    lines: bool,
    selection: Selection,
}

impl<S: Send + Sync> FromRequestParts<S> for Wanted {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut request::Parts, state: &S) -> Result<Self, Refusal> {
        let Parameters(ListParameters {
            lines,
            offset,
            limit,
            workload,
            method,
            path,
            since,
            sort,
            filter,
        }) = Parameters::from_request_parts(parts, state).await?;
        let methods = method.iter().flat_map(|method| method.split(','));
        let time = |text: String| Timestamp::from_rfc3339(&text).ok_or(SelectError::Since);
        let selection = Selection::new(Options {
            workload,
            methods: methods.map(str::to_owned).collect(),
            path,
            since: since.map(time).transpose()?,
            sort,
            filter,
            offset,
            limit,
        })?;
        Ok(Self { lines, selection })
    }
}

impl Wanted {
    /// The answer, given all rows of the list.
    pub(super) async fn of(self, all: Rows) -> Result<Response, Refusal> {
        self.answer(move |selection| page_of(&all, selection)).await
    }

    /// The answer, given all rows of a list that are not text yet: no more of them become text than are looked at.
    pub(super) async fn written<T>(self, all: Vec<Arc<T>>) -> Result<Response, Refusal>
    where
        T: Serialize + Send + Sync + 'static,
    {
        self.answer(move |selection| written_page(&all, selection)).await
    }

    async fn answer<R: Row + Send + Unpin + 'static>(
        self,
        page: impl FnOnce(&Selection) -> Result<Vec<R>, SelectError> + Send + 'static,
    ) -> Result<Response, Refusal> {
        let Self { lines, selection } = self;
        let permit = tokio::time::timeout(ANSWER_TIMEOUT, SELECTING.acquire());
        // The semaphore is never closed; were it, looking without a permit is the lesser harm.
        let permit = permit.await.map_err(|_| NoAnswer::Busy)?.ok();
        let selecting = tokio::task::spawn_blocking(move || {
            // Held until the work is done, even when the client has gone.
            let _permit = permit;
            page(&selection)
        });
        let page = selecting.await.map_err(|_| NoAnswer::Stopping)??;
        let (marks, media) = match lines {
            true => (["", "\n", "\n"], "application/jsonl"),
            false => (["[", ",", "]"], "application/json"),
        };
        let headers = [(header::CONTENT_TYPE.as_str(), media), (SELECTED, "true")];
        Ok((headers, Body::new(Parts::of(page, marks))).into_response())
    }
}

/// The rows that are wanted.
fn page_of(all: &[Arc<Line>], selection: &Selection) -> Result<Vec<Arc<Line>>, SelectError> {
    let is_late = patience();
    let mut picked = Picked::new(selection, &is_late);
    let (mut rest, mut size) = (all, FIRST);
    while let (batch @ [_, ..], behind) = rest.split_at(size.min(rest.len())) {
        if picked.take_of(batch)?.is_break() {
            break;
        }
        (rest, size) = (behind, size.saturating_mul(2));
    }
    picked.page()
}

/// The rows that are wanted, as text.
fn written_page<T: Serialize>(all: &[Arc<T>], selection: &Selection) -> Result<Vec<String>, SelectError> {
    // They hold maps with text keys and finite numbers only, which JSON can always write.
    let text = |row: &Arc<T>| serde_json::to_string(&**row).ok();
    let options = selection.options();
    if options.is_plain() {
        let page = all.iter().skip(options.offset);
        return Ok(page
            .take(options.limit.unwrap_or(usize::MAX))
            .filter_map(text)
            .collect());
    }
    let is_late = patience();
    let mut picked = Picked::new(selection, &is_late);
    for batch in all.chunks(FIRST) {
        if picked.take(batch.iter().filter_map(text).collect())?.is_break() {
            break;
        }
    }
    picked.page()
}

/// Tells whether the time of a request is over.
fn patience() -> impl Fn() -> bool {
    let end = monotonic_ns().saturating_add(u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX));
    move || monotonic_ns() > end
}

/// Rows as the body of an answer, with something before, between and behind them.
struct Parts<R> {
    rows: std::iter::Peekable<std::vec::IntoIter<R>>,
    before: &'static str,
    between: &'static str,
    behind: Option<&'static str>,
    /// Bytes still to come.
    left: u64,
}

impl<R: Row> Parts<R> {
    fn of(rows: Vec<R>, [before, between, behind]: [&'static str; 3]) -> Self {
        let texts: usize = rows.iter().map(|row| row.text().len()).sum();
        let marks = before.len() + between.len() * rows.len().saturating_sub(1) + behind.len();
        Self {
            rows: rows.into_iter().peekable(),
            before,
            between,
            behind: Some(behind),
            left: (texts + marks) as u64,
        }
    }
}

impl<R: Row + Unpin> hyper::body::Body for Parts<R> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut part = String::from(std::mem::take(&mut self.before));
        while part.len() < PART_BYTES {
            let Some(row) = self.rows.next() else {
                part.push_str(self.behind.take().unwrap_or_default());
                break;
            };
            part.push_str(row.text());
            if self.rows.peek().is_some() {
                part.push_str(self.between);
            }
        }
        self.left = self.left.saturating_sub(part.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(part.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    fn rows(number: usize) -> Vec<Arc<Line>> {
        let row = |number: usize| format!(r#"{{"id":"{number:05}","hits":{}}}"#, number % 7);
        (0..number)
            .map(|number| Arc::new(Line::of(row(number), &["id", "hits"])))
            .collect()
    }

    async fn body(rows: Vec<Arc<Line>>) -> (usize, String) {
        let mut parts = Parts::of(rows, ["[", ",", "]"]);
        let whole = hyper::body::Body::size_hint(&parts).exact().unwrap();
        let (mut number, mut text) = (0, String::new());
        while let Some(frame) = parts.frame().await {
            number += 1;
            text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
        assert_eq!(text.len() as u64, whole);
        (number, text)
    }

    #[tokio::test]
    async fn a_long_answer_is_put_together_in_parts() {
        for (number, parts) in [(0, 1), (1, 1), (2, 1), (10_000, 4)] {
            let (sent, text) = body(rows(number)).await;
            let read: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!((sent, read.len()), (parts, number));
        }
    }

    #[test]
    fn what_takes_too_long_is_given_up() {
        let selection = Selection::new(Options {
            filter: Some("hits > 3".to_owned()),
            ..Options::default()
        })
        .unwrap();
        let is_late = || true;
        let mut picked = Picked::new(&selection, &is_late);
        assert_eq!(picked.take(rows(3)), Err(SelectError::TooSlow));
    }

    #[test]
    fn a_page_is_the_same_however_many_rows_are_looked_at_together() {
        let options = Options {
            filter: Some("hits >= 5".to_owned()),
            sort: Some("-hits".to_owned()),
            offset: 1400,
            limit: Some(60),
            ..Options::default()
        };
        let selection = Selection::new(options).unwrap();
        let page = page_of(&rows(10_000), &selection).unwrap();
        let mut wanted: Vec<usize> = (0..10_000).filter(|number| number % 7 >= 5).collect();
        wanted.sort_by_key(|number| std::cmp::Reverse(number % 7));
        let all = rows(10_000);
        let wanted = wanted
            .iter()
            .skip(1400)
            .take(60)
            .map(|number| all[*number].clone());
        assert!(page.iter().cloned().eq(wanted));
    }
}
