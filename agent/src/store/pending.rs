//! Rows of verdicts that wait for the next write, and for the one after it when that one fails.
//!
//! In: batches. Out: one batch with the newest of each row. Holds no endpoints, workloads and baselines: their
//! owners know which of them are not written yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Batch, Row};

/// Bytes of records that may wait. Overflow policy: further rows are dropped and counted; they are written when
/// they change again.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// What waits.
#[derive(Debug, Default)]
pub struct Pending {
    alerts: BTreeMap<String, Row>,
    anomalies: BTreeMap<String, Row>,
    findings: BTreeMap<String, Row>,
    removed_endpoints: BTreeSet<String>,
    bytes: usize,
    dropped: u64,
}

impl Pending {
    /// Takes the rows of a batch in; a newer row takes the place of an older one. Its endpoints,
    /// workloads, baselines and rows of lists are left out.
    pub fn add(&mut self, batch: Batch) {
        let Batch {
            endpoints: _,
            removed_endpoints,
            workloads: _,
            alerts,
            anomalies,
            findings,
            baselines: _,
            summaries: _,
            risks: _,
            removed_risks: _,
            snapshots: _,
            judged_by: _,
            status: _,
        } = batch;
        self.removed_endpoints.extend(removed_endpoints);
        for (waiting, rows) in [
            (&mut self.alerts, alerts),
            (&mut self.anomalies, anomalies),
            (&mut self.findings, findings),
        ] {
            for row in rows {
                let before = waiting.get(&row.id).map_or(0, |old| old.record.len());
                let after = self.bytes - before + row.record.len();
                if after > MAX_BYTES {
                    self.dropped += 1;
                    continue;
                }
                self.bytes = after;
                waiting.insert(row.id.clone(), row);
            }
        }
    }

    /// All that waits, in order of id.
    pub fn batch(&self) -> Batch {
        let all = |rows: &BTreeMap<String, Row>| rows.values().cloned().collect();
        Batch {
            removed_endpoints: self.removed_endpoints.iter().cloned().collect(),
            alerts: all(&self.alerts),
            anomalies: all(&self.anomalies),
            findings: all(&self.findings),
            ..Batch::default()
        }
    }

    /// It was written: nothing waits any more.
    pub fn written(&mut self) {
        *self = Self {
            dropped: self.dropped,
            ..Self::default()
        };
    }

    /// Rows that found no room since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn alert(id: &str, record: Vec<u8>) -> Batch {
        Batch {
            alerts: vec![Row {
                id: id.into(),
                workload: "w".into(),
                last_seen: Timestamp(1),
                record,
            }],
            ..Batch::default()
        }
    }

    #[test]
    fn the_newest_of_each_row_waits_until_it_is_written() {
        let mut pending = Pending::default();
        pending.add(alert("b", b"1".to_vec()));
        pending.add(alert("a", b"2".to_vec()));
        pending.add(alert("b", b"3".to_vec()));
        let records: Vec<_> = pending.batch().alerts.into_iter().map(|row| row.record).collect();
        assert_eq!(records, [b"2", b"3"]);
        pending.written();
        assert_eq!(pending.batch(), Batch::default());
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut pending = Pending::default();
        for id in ["a", "b", "c"] {
            pending.add(alert(id, vec![b' '; MAX_BYTES / 2]));
        }
        assert_eq!((pending.batch().alerts.len(), pending.dropped()), (2, 1));
        // A smaller version of what waits makes room.
        pending.add(alert("a", Vec::new()));
        pending.add(alert("c", vec![b' '; MAX_BYTES / 2]));
        assert_eq!((pending.batch().alerts.len(), pending.dropped()), (3, 1));
    }
}
