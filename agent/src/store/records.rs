//! Between the inventory's records and the store's rows.
//!
//! Records are JSON: readable with any tool that opens a SQLite file. A row that does not decode is skipped and
//! counted, never guessed at.

use serde::{Serialize, de::DeserializeOwned};

use super::{Batch, Contents, Row};
use crate::{
    clock::Timestamp,
    inventory::{EndpointRecord, Inventory, Limits, WorkloadRecord},
    status::Status,
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
            removed_endpoints: Vec::new(),
            workloads: workloads.iter().filter_map(workload).collect(),
            status: status.and_then(|status| serde_json::to_vec(status).ok()),
        }
    }
}

impl Contents {
    /// The inventory that the rows make.
    pub fn restore(&self, limits: Limits) -> Restored {
        let mut inventory = Inventory::new(limits);
        let mut undecoded = 0;
        let workloads: Vec<WorkloadRecord> = decode(&self.workloads, &mut undecoded);
        let endpoints: Vec<EndpointRecord> = decode(&self.endpoints, &mut undecoded);
        inventory.restore(workloads, endpoints);
        let all = self.workloads.iter().chain(&self.endpoints);
        Restored {
            newest: all.map(|row| row.last_seen).max().unwrap_or_default(),
            skipped: undecoded + inventory.stats().records_skipped,
            inventory,
        }
    }
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
    let decoded: Vec<R> = rows
        .iter()
        .filter_map(|row| serde_json::from_slice(&row.record).ok())
        .collect();
    *undecoded += (rows.len() - decoded.len()) as u64;
    decoded
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        inventory::fixture::call,
        store::{Reader, Store},
        workload::{Workload, WorkloadKind},
    };

    fn workload() -> Arc<Workload> {
        Arc::new(Workload {
            id: "w1".into(),
            name: "shop".into(),
            kind: WorkloadKind::Process,
            executable: None,
            script: None,
            unit: None,
            container: None,
            cgroup: None,
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
    fn rows_that_do_not_decode_are_counted() {
        let row = |record: &str| Row {
            id: "a".into(),
            workload: "w".into(),
            last_seen: Timestamp(5),
            record: record.into(),
        };
        let contents = Contents {
            endpoints: vec![row("{"), row("{}")],
            workloads: vec![row("")],
            status: None,
        };
        let restored = contents.restore(Limits::default());
        assert_eq!((restored.skipped, restored.newest), (3, Timestamp(5)));
    }
}
