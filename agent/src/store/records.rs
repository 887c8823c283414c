//! Between what the inventory and the analysis know and the store's rows.
//!
//! Records are JSON: readable with any tool that opens a SQLite file. A row that does not decode is skipped and
//! counted, never guessed at.

use std::collections::HashMap;

use serde::{Serialize, de::DeserializeOwned};

use super::{Batch, Contents, Listed, Reader, Row, StoreError, Table};
use crate::{
    analysis::{BaselineRecord, Changes, Kept},
    clock::Timestamp,
    inventory::{EndpointRecord, Inventory, Limits, RECORD_VERSION, WorkloadRecord, WorkloadView},
    risk::Assessor,
    status::Status,
    verdict::{Alert, Finding},
};

/// An inventory as a store holds it.
#[derive(Debug)]
pub struct Restored {
    /// The inventory.
    pub inventory: Inventory,
    /// When its newest exchange was seen; the epoch if there is none.
    pub newest: Timestamp,
    /// Rows that this version cannot use: damaged, of another version, or beyond the limits.
    pub skipped: u64,
}

impl Batch {
    /// A batch of what [`Inventory::take_dirty`] and [`Inventory::take_dirty_workloads`] gave.
    pub fn of(endpoints: &[EndpointRecord], workloads: &[WorkloadRecord], status: Option<&Status>) -> Self {
        let endpoint = |record: &EndpointRecord| {
            let endpoint = &record.endpoint;
            let last_seen = endpoint.traffic.last_seen;
            row(
                endpoint.id.to_string(),
                endpoint.workload.clone(),
                last_seen,
                record,
            )
        };
        let workload = |record: &WorkloadRecord| {
            let id = &record.workload.id;
            row(id.clone(), id.clone(), record.last_seen, record)
        };
        Self {
            endpoints: endpoints.iter().filter_map(endpoint).collect(),
            workloads: workloads.iter().filter_map(workload).collect(),
            status: status.and_then(|status| serde_json::to_vec(status).ok()),
            ..Self::default()
        }
    }

    /// Adds verdicts as [`crate::analysis::Analysis::take_changes`] gave them.
    pub fn add_changes(&mut self, changes: &Changes) {
        self.alerts.extend(changes.alerts.iter().filter_map(alert_row));
        self.anomalies
            .extend(changes.anomalies.iter().filter_map(alert_row));
        self.findings
            .extend(changes.findings.iter().filter_map(finding_row));
    }

    /// Adds baselines as [`crate::analysis::Analysis::take_baselines`] gave them.
    pub fn add_baselines(&mut self, baselines: Vec<BaselineRecord>) {
        self.baselines.extend(baselines.into_iter().map(|baseline| Row {
            id: baseline.id,
            workload: baseline.workload,
            last_seen: baseline.updated,
            record: baseline.record,
        }));
    }
}

impl Batch {
    /// Adds the rows of lists that changed, as [`Assessor::take_changed`] gives them: at most so many endpoints.
    pub fn add_lists(&mut self, assessor: &mut Assessor, most: usize) {
        self.judged_by = Some(assessor.criteria().fingerprint());
        for assessed in assessor.take_changed(most) {
            let listed = |place: Vec<u8>, record: Vec<u8>| Listed {
                place,
                row: Row {
                    id: assessed.id.to_string(),
                    workload: assessed.workload.clone(),
                    last_seen: assessed.last_seen,
                    record,
                },
            };
            let risk = assessed.risk.as_ref();
            let risk = risk.and_then(|risk| Some((risk.place(), serde_json::to_vec(risk.as_ref()).ok()?)));
            match risk {
                Some((place, record)) => self.risks.push(listed(place, record)),
                None => self.removed_risks.push(assessed.id.to_string()),
            }
            self.summaries.push(listed(
                assessed.place(),
                assessed.row.as_str().as_bytes().to_vec(),
            ));
        }
    }
}

impl Contents {
    /// The inventory that the rows of endpoints and workloads make, which are taken out: a large store is not held twice.
    pub fn restore(&mut self, limits: Limits) -> Restored {
        let workloads = std::mem::take(&mut self.workloads);
        let endpoints = std::mem::take(&mut self.endpoints);
        let newest = workloads.iter().chain(&endpoints).map(|row| row.last_seen).max();
        let mut inventory = Inventory::new(limits);
        let mut undecoded = [0, 0];
        let [of_workloads, of_endpoints] = &mut undecoded;
        inventory.restore(
            workloads
                .into_iter()
                .filter_map(|row| decoded(&row, of_workloads)),
            endpoints
                .into_iter()
                .filter_map(|row| decoded(&row, of_endpoints)),
        );
        Restored {
            newest: newest.unwrap_or_default(),
            skipped: undecoded.iter().sum::<u64>() + inventory.stats().records_skipped,
            inventory,
        }
    }

    /// What the rows hold for an analysis, and how many of them this version cannot use.
    pub fn kept(self) -> (Kept, u64) {
        let mut skipped = 0;
        let kept = Kept {
            alerts: decode(&self.alerts, &mut skipped),
            anomalies: decode(&self.anomalies, &mut skipped),
            findings: decode(&self.findings, &mut skipped),
            baselines: self
                .baselines
                .into_iter()
                .map(|row| BaselineRecord {
                    id: row.id,
                    workload: row.workload,
                    updated: row.last_seen,
                    record: row.record,
                })
                .collect(),
        };
        (kept, skipped)
    }
}

impl Reader {
    /// The rows of all workloads, by name and id, and how many records this version cannot use. Endpoints are only counted.
    ///
    /// # Errors
    /// The database refuses.
    pub fn workload_views(&self) -> Result<(Vec<WorkloadView>, u64), StoreError> {
        let rows = self.table(Table::Workloads)?;
        let counts: HashMap<String, u64> = self.endpoints_of_workloads()?.into_iter().collect();
        let mut records: Vec<WorkloadRecord> = decode(&rows, &mut 0);
        records.retain(|record| record.version == RECORD_VERSION);
        let count = |record: &WorkloadRecord| counts.get(&record.workload.id).copied().unwrap_or(0);
        let mut views: Vec<_> = records.iter().map(|record| record.view(count(record))).collect();
        views.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        Ok((views, (rows.len() - records.len()) as u64))
    }
}

fn alert_row(alert: &Alert) -> Option<Row> {
    let updated = Timestamp::from_rfc3339(&alert.updated).unwrap_or_default();
    row(alert.id.clone(), alert.workload.clone(), updated, alert)
}

fn finding_row(finding: &Finding) -> Option<Row> {
    let last_seen = Timestamp::from_rfc3339(&finding.last_seen).unwrap_or_default();
    row(finding.id.clone(), finding.workload.clone(), last_seen, finding)
}

fn row(id: String, workload: String, last_seen: Timestamp, record: &impl Serialize) -> Option<Row> {
    // Records hold maps with text keys and finite numbers only, which JSON can always write.
    let record = serde_json::to_vec(record).ok()?;
    Some(Row {
        id,
        workload,
        last_seen,
        record,
    })
}

fn decode<R: DeserializeOwned>(rows: &[Row], undecoded: &mut u64) -> Vec<R> {
    rows.iter().filter_map(|row| decoded(row, undecoded)).collect()
}

fn decoded<R: DeserializeOwned>(row: &Row, undecoded: &mut u64) -> Option<R> {
    let record = serde_json::from_slice(&row.record).ok();
    *undecoded += u64::from(record.is_none());
    record
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        inventory::fixture::call,
        store::{Reader, Store},
        verdict::fixture::{alert, finding},
        workload::{Workload, WorkloadKind},
    };

    fn workload() -> Arc<Workload> {
        Arc::new(Workload {
            id: "w1".into(),
            ..Workload::named(WorkloadKind::Process, "shop")
        })
    }

    #[test]
    fn an_inventory_comes_back_as_it_was() {
        let mut inventory = Inventory::new(Limits::default());
        for target in ["/v1/users/1", "/v1/users/2", "/v1/orders"] {
            inventory.observe(&call("GET", target).exchange(), &workload(), None);
        }
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
            .unwrap()
            .store;
        let batch = Batch::of(&inventory.take_dirty(), &inventory.take_dirty_workloads(), None);
        store.save(&batch).unwrap();
        let restored = Reader::open(directory.path())
            .unwrap()
            .load()
            .unwrap()
            .restore(Limits::default());
        assert_eq!(restored.skipped, 0);
        let now = restored.newest;
        assert!(!inventory.endpoint_views(now).is_empty());
        assert_eq!(
            restored.inventory.endpoint_views(now),
            inventory.endpoint_views(now)
        );
        assert_eq!(restored.inventory.workload_views(), inventory.workload_views());
    }

    #[test]
    fn verdicts_and_baselines_come_back_as_they_were() {
        let changes = Changes {
            alerts: vec![alert("a1")],
            anomalies: vec![alert("a2")],
            findings: vec![finding("f1")],
        };
        let baseline = BaselineRecord {
            id: "e1".into(),
            workload: "w1".into(),
            updated: Timestamp(7),
            record: b"{}".to_vec(),
        };
        let mut batch = Batch::default();
        batch.add_changes(&changes);
        batch.add_baselines(vec![baseline.clone()]);
        let updated = batch.alerts.first().unwrap().last_seen;
        assert_eq!(updated.rfc3339(), "2026-01-31T08:00:00.000Z");
        let directory = tempfile::tempdir().unwrap();
        let mut store = Store::open(directory.path(), 1 << 24, Timestamp(0))
            .unwrap()
            .store;
        store.save(&batch).unwrap();
        let expected = Kept {
            alerts: changes.alerts,
            anomalies: changes.anomalies,
            findings: changes.findings,
            baselines: vec![baseline],
        };
        assert_eq!(store.load().unwrap().kept(), (expected, 0));
    }

    #[test]
    fn rows_that_do_not_decode_are_counted() {
        let row = |record: &str| Row {
            id: "a".into(),
            workload: "w".into(),
            last_seen: Timestamp(5),
            record: record.into(),
        };
        let mut contents = Contents {
            endpoints: vec![row("{"), row("{}")],
            workloads: vec![row("")],
            ..Contents::default()
        };
        let restored = contents.restore(Limits::default());
        assert_eq!((restored.skipped, restored.newest), (3, Timestamp(5)));
    }
}
