//! Where the results of a replay are kept: a store that is filled anew.

use std::path::Path;

use crate::{
    analysis::{Analysis, Changes},
    cli::Failure,
    clock::Timestamp,
    inventory::Inventory,
    risk::{Assessor, Criteria},
    status::Status,
    store::{Batch, Store},
};

/// A store that is to be filled anew. It never takes the place of an agent's.
pub(super) struct Replacement {
    store: Store,
}

impl Replacement {
    /// Opens the store in `directory`, which must be empty or left by a replay.
    pub(super) fn open(directory: &Path, max_bytes: u64, now: Timestamp) -> Result<Self, Failure> {
        let store = Store::open(directory, max_bytes, now)
            .map_err(Failure::usage)?
            .store;
        let contents = store.load().map_err(Failure::usage)?;
        let is_ours = match contents.status.as_deref().map(serde_json::from_slice::<Status>) {
            Some(status) => status.is_ok_and(|status| status.tier == 0),
            None => contents.endpoints.is_empty() && contents.workloads.is_empty(),
        };
        if !is_ours {
            return Err(Failure::usage(format!(
                "the store {} is that of an agent: name another directory with --store",
                directory.display()
            )));
        }
        Ok(Self { store })
    }

    /// Puts the results of a replay in place of what is there.
    pub(super) fn save(
        mut self,
        inventory: &mut Inventory,
        analysis: &mut Analysis,
        status: &Status,
        (criteria, now): (Criteria, Timestamp),
    ) -> Result<(), Failure> {
        let mut batch = Batch::of(
            &inventory.take_dirty(),
            &inventory.take_dirty_workloads(),
            Some(status),
        );
        let changes = Changes {
            alerts: analysis.alerts(),
            anomalies: analysis.anomalies(),
            findings: analysis.findings(),
        };
        let mut assessor = Assessor::new(criteria);
        assessor.refresh(inventory, &changes.findings, &changes.alerts, now);
        assessor.end_changed();
        batch.add_lists(&mut assessor, usize::MAX);
        batch.add_changes(&changes);
        batch.add_baselines(analysis.take_baselines(usize::MAX));
        let saved = self
            .store
            .remove_older(Timestamp(u64::MAX))
            .and_then(|_| self.store.save(&batch));
        saved.map_err(Failure::usage)
    }
}
