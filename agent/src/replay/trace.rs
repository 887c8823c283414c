//! The trace: for each exchange of the input, in order, what was concluded about it.
//!
//! In: [`Row`]s as exchanges are seen, when the templates that their endpoints will have are not known yet. Out:
//! JSON Lines with the templates known at the end. Until then rows wait in memory, beyond
//! [`MEMORY_BYTES`] in an unnamed temporary file.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    io::{self, BufRead, BufReader, BufWriter, Seek, Write},
};

use serde::{Deserialize, Serialize};
use tempfile::SpooledTempFile;

use crate::{
    clock::Timestamp,
    event::SocketId,
    inventory::{EndpointId, Inventory},
    verdict::{Signal, Verdict},
};

/// Rows that are put in order of their start: exchanges end in another order, side by side on many connections or on
/// one of HTTP/2. Overflow policy: the earliest is written, and one that started before it comes late.
const MAX_EARLY_ROWS: usize = 4_096;

/// Rows kept in memory, in bytes of JSON. Overflow policy: all rows go to a temporary file.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

/// One line of the trace. Members are a contract: add, don't rename.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the exchange in its file; for captures connection and number.
    pub id: String,
    /// Endpoint it was filed under; `None` if under none.
    pub endpoint: Option<EndpointId>,
    /// Path template of that endpoint at the end of the replay.
    pub template: Option<String>,
    /// `none`, `anomaly` or `incident`.
    pub verdict: Verdict,
    /// What detectors saw in it.
    pub signals: Vec<Signal>,
    /// Sensitive data in it.
    pub sensitive: Vec<Sensitive>,
    /// Scheme of its first credential; `none` without any; `null` if the request was not seen.
    pub auth: Option<String>,
    /// Method.
    pub method: Option<String>,
    /// Request target, as it was in the input.
    pub target: Option<String>,
    /// Status code.
    pub status: Option<u16>,
    /// Client, with its port if that is known.
    pub client: Option<String>,
    /// Server.
    pub server: Option<String>,
    /// Seconds since the epoch.
    pub ts: f64,
    /// Every byte of it was seen or left out on purpose.
    pub complete: bool,
    /// Operation, for protocols that name their own.
    pub operation: Option<String>,
    /// Status of a gRPC call, which is not that of HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grpc_status: Option<u32>,
}

/// Sensitive data at one place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sensitive {
    /// `request` or `response`.
    pub direction: String,
    /// Where in the message.
    pub path: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: String,
    /// No more than a check digit says so, or it is published for tests.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspected: bool,
}

/// A row that waits for the end of the replay.
#[derive(Debug, Serialize, Deserialize)]
struct Waiting {
    /// Id of the workload it was filed under.
    workload: String,
    row: Row,
}

/// Rows that wait for the end of the replay.
#[derive(Debug)]
pub struct Trace {
    rows: BufWriter<SpooledTempFile>,
    /// Rows whose exchanges may have started after others that are still under way.
    early: BinaryHeap<Reverse<Early>>,
    line: Vec<u8>,
}

/// The start of an exchange, by which its row is put in order: when, on which connection, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Start(pub Timestamp, pub SocketId, pub u64);

/// A row that waits for rows of exchanges that started before.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Early {
    start: Start,
    line: Vec<u8>,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            rows: BufWriter::new(SpooledTempFile::new(MEMORY_BYTES)),
            early: BinaryHeap::new(),
            line: Vec::new(),
        }
    }
}

impl Trace {
    /// Adds the row of an exchange that was filed under the workload with this id. Without a start the order is that
    /// of the calls.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn push(&mut self, workload: &str, row: Row, start: Option<Start>) -> io::Result<()> {
        let workload = workload.to_owned();
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        serde_json::to_writer(&mut line, &Waiting { workload, row })?;
        line.push(b'\n');
        let Some(start) = start else {
            self.settle_order()?;
            self.rows.write_all(&line)?;
            self.line = line;
            return Ok(());
        };
        self.early.push(Reverse(Early { start, line }));
        if self.early.len() > MAX_EARLY_ROWS
            && let Some(Reverse(early)) = self.early.pop()
        {
            self.rows.write_all(&early.line)?;
            self.line = early.line;
        }
        Ok(())
    }

    /// The end of a file: no row of it comes any more.
    ///
    /// # Errors
    /// When the temporary file cannot be written.
    pub fn settle_order(&mut self) -> io::Result<()> {
        while let Some(Reverse(early)) = self.early.pop() {
            self.rows.write_all(&early.line)?;
        }
        Ok(())
    }

    /// Writes all rows, in order, with the endpoints and templates that they have in the
    /// inventory now.
    ///
    /// # Errors
    /// When the temporary file cannot be read, or those of `out`.
    pub fn write(mut self, out: &mut dyn Write, inventory: &Inventory) -> io::Result<()> {
        self.settle_order()?;
        let mut rows = self.rows.into_inner().map_err(io::IntoInnerError::into_error)?;
        rows.rewind()?;
        let mut rows = BufReader::new(rows);
        let mut line = self.line;
        loop {
            line.clear();
            if rows.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            let Waiting { workload, mut row } = serde_json::from_slice(&line)?;
            settle(&workload, &mut row, inventory);
            serde_json::to_writer(&mut *out, &row)?;
            out.write_all(b"\n")?;
        }
    }
}

/// Gives a row the endpoint that its exchange has now.
fn settle(workload: &str, row: &mut Row, inventory: &Inventory) {
    if row.endpoint.is_none()
        && row.template.is_some()
        && let Some((method, target)) = row.method.as_deref().zip(row.target.as_deref())
    {
        row.endpoint = inventory.locate(workload, method, target).endpoint;
    }
    if let Some(endpoint) = row.endpoint.and_then(|id| inventory.endpoint(id)) {
        row.endpoint = Some(endpoint.id);
        row.template = Some(endpoint.template.to_string());
        row.operation = endpoint.operation.as_deref().map(str::to_owned);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        inventory::{Limits, fixture::call},
        workload::{Workload, WorkloadKind},
    };

    fn row(id: usize, endpoint: Option<EndpointId>, target: &str) -> Row {
        Row {
            id: id.to_string(),
            endpoint,
            template: Some("/as/it/was".to_owned()),
            verdict: Verdict::None,
            signals: Vec::new(),
            sensitive: Vec::new(),
            auth: None,
            method: Some("GET".to_owned()),
            target: Some(target.to_owned()),
            status: None,
            client: None,
            server: None,
            ts: 1.5,
            complete: true,
            operation: None,
            grpc_status: None,
        }
    }

    #[test]
    fn rows_get_the_endpoints_of_the_end_in_the_order_of_the_input() {
        let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
        let mut inventory = Inventory::new(Limits::default());
        let known = inventory
            .observe(&call("GET", "/users/42").exchange(), &shop, None)
            .endpoint;
        let mut trace = Trace::default();
        trace.push(&shop.id, row(1, None, "/users/7"), None).unwrap();
        trace.push(&shop.id, row(2, known, "/users/42"), None).unwrap();
        trace.push(&shop.id, row(3, None, "/nothing"), None).unwrap();
        let mut out = Vec::new();
        trace.write(&mut out, &inventory).unwrap();
        let rows: Vec<Row> = out
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect();
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row.id.as_str(), row.endpoint, row.template.as_deref()))
            .collect();
        assert_eq!(
            found,
            [
                ("1", known, Some("/users/{userId}")),
                ("2", known, Some("/users/{userId}")),
                ("3", None, Some("/as/it/was")),
            ]
        );
    }

    #[test]
    fn exchanges_are_in_the_order_of_their_start() {
        let mut trace = Trace::default();
        let start = |at, number| Some(Start(Timestamp(at), SocketId(1), number));
        for (id, start) in [(2, start(7, 2)), (1, start(7, 1)), (0, start(5, 0)), (3, None)] {
            trace.push("w", row(id, None, "/"), start).unwrap();
        }
        let mut out = Vec::new();
        trace.write(&mut out, &Inventory::new(Limits::default())).unwrap();
        let ids: Vec<String> = out
            .split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Row>(line).ok())
            .map(|row| row.id)
            .collect();
        assert_eq!(ids, ["0", "1", "2", "3"]);
    }

    #[test]
    fn many_rows_go_to_a_file() {
        let mut trace = Trace::default();
        let target = "x".repeat(100_000);
        let count = 2 * MEMORY_BYTES / 100_000;
        for id in 0..count {
            trace.push("w", row(id, None, &target), None).unwrap();
        }
        let mut out = Vec::new();
        trace.write(&mut out, &Inventory::new(Limits::default())).unwrap();
        assert_eq!(out.split(|byte| *byte == b'\n').count(), count + 1);
    }
}
