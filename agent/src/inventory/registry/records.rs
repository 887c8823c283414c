//! Records of endpoints and workloads: those that changed, to be kept, and those that were kept, taken back.
//!
//! In: records of a store, or of another inventory. Out: records of what changed since the last call. Refuses records of
//! another version, and what is beyond a bound.

use super::Registry;
use crate::inventory::record::{EndpointRecord, RECORD_VERSION, WorkloadRecord};

impl Registry {
    /// Endpoints that changed since they were taken: at most so many of them. When nothing is given, there are none left.
    pub(in crate::inventory) fn take_dirty_endpoints(&mut self, most: usize) -> Vec<EndpointRecord> {
        let mut records = Vec::new();
        while records.len() < most
            && let Some(place) = self.dirty_endpoints.pop_front()
        {
            let Some(slot) = self.endpoints.get_mut(place) else {
                continue;
            };
            slot.is_dirty = false;
            let Some(endpoint) = &mut slot.endpoint else {
                continue;
            };
            if endpoint.schemas.note_words() {
                self.revision += 1;
                if let Some(revision) = self.revisions.get_mut(place) {
                    *revision = self.revision;
                }
            }
            self.taken.push(endpoint.id);
            records.push(EndpointRecord {
                version: RECORD_VERSION,
                endpoint: endpoint.clone(),
            });
        }
        records
    }

    /// How many endpoints changed since they were taken; some of them may be no more.
    pub(in crate::inventory) fn dirty(&self) -> usize {
        self.dirty_endpoints.len()
    }

    /// What was taken is kept.
    pub(in crate::inventory) fn kept(&mut self) {
        self.taken = Vec::new();
        self.taken_workloads = Vec::new();
    }

    /// What was taken was not kept: it is given again.
    pub(in crate::inventory) fn take_again(&mut self) {
        for place in std::mem::take(&mut self.taken_workloads) {
            self.workload_mut(place);
        }
        for id in std::mem::take(&mut self.taken) {
            if let Some(place) = self.place(id) {
                self.endpoint_mut(place);
            }
        }
    }

    /// Workloads that changed since the last call.
    pub(in crate::inventory) fn take_dirty_workloads(&mut self) -> Vec<WorkloadRecord> {
        let places = std::mem::take(&mut self.dirty_workloads);
        self.taken_workloads.extend(&places);
        let records = places.into_iter().filter_map(|place| {
            let slot = self.workloads.get_mut(place)?;
            slot.is_dirty = false;
            Some(slot.record.clone())
        });
        records.collect()
    }

    /// Everything counts as changed: what was kept of it may be gone.
    pub(in crate::inventory) fn mark_all_dirty(&mut self) {
        self.kept();
        let workloads = self.workloads.iter_mut().enumerate();
        self.dirty_workloads = workloads
            .map(|(place, slot)| {
                slot.is_dirty = true;
                place
            })
            .collect();
        let endpoints = self.endpoints.iter_mut().enumerate();
        self.dirty_endpoints = endpoints
            .filter(|(_, slot)| slot.endpoint.is_some())
            .map(|(place, slot)| {
                slot.is_dirty = true;
                place
            })
            .collect();
    }

    /// Takes back a stored workload. Whether it did: not if the record is of another version, known or beyond the
    /// bound.
    pub(in crate::inventory) fn restore_workload(&mut self, record: WorkloadRecord) -> bool {
        let fits = record.version == RECORD_VERSION
            && self.workloads.len() < self.limits.workloads
            && !self.workload_places.contains_key(&record.workload.id);
        if fits {
            self.insert_workload(record);
        }
        fits
    }

    /// Takes back a stored endpoint. Whether it did: not if the record is of another version, known, beyond a
    /// bound, or of no known workload.
    pub(in crate::inventory) fn restore_endpoint(&mut self, record: EndpointRecord) -> bool {
        let EndpointRecord { version, endpoint } = record;
        let workload = self.workload_places.get(&endpoint.workload).copied();
        version == RECORD_VERSION
            && self.place(endpoint.id).is_none()
            && workload
                .filter(|place| self.has_room(*place, &endpoint.template))
                .and_then(|place| self.insert_endpoint(place, endpoint))
                .is_some()
    }

    /// Adds what another inventory knows of a workload. Whether it did: not if the record is of another version, or
    /// beyond the bound.
    pub(in crate::inventory) fn merge_workload(&mut self, record: WorkloadRecord) -> bool {
        let limits = self.limits;
        let Some(place) = self.workload_place(&record.workload.id) else {
            let place = self.workloads.len();
            // New here: to be written.
            return self.restore_workload(record) && self.workload_mut(place).is_some();
        };
        if record.version != RECORD_VERSION {
            return false;
        }
        if let Some(known) = self.workload_mut(place) {
            known.merge(record, &limits);
        }
        self.reshape();
        if let Some(slot) = self.workloads.get_mut(place) {
            slot.news += 1;
        }
        true
    }

    /// Adds what another inventory knows of an endpoint. Whether it did, as [`Self::restore_endpoint`].
    pub(in crate::inventory) fn merge_endpoint(&mut self, record: EndpointRecord) -> bool {
        let limits = self.limits;
        let id = record.endpoint.id;
        let known = self.place(id).filter(|_| record.version == RECORD_VERSION);
        let Some(place) = known else {
            let restored = self.restore_endpoint(record);
            let place = self.place(id);
            return restored && place.is_some_and(|place| self.endpoint_mut(place).is_some());
        };
        let more = record.endpoint;
        for former in &more.merged_from {
            self.endpoint_places.entry(*former).or_insert(place);
        }
        if let Some(endpoint) = self.endpoint_mut(place) {
            endpoint.kind = endpoint.kind.max(more.kind);
            endpoint.traffic.merge(&more.traffic, &limits);
            endpoint.schemas.merge(&more.schemas);
            endpoint.descend_from(more.merged_from);
        }
        true
    }
}
