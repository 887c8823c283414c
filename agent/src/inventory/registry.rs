//! Where endpoints and workloads are kept, and which of them changed.
//!
//! In: workloads and endpoints to keep. Out: their places (stable as long as the registry lives), rows, and records
//! of what changed. Nothing is ever removed; what has no room is not taken in.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::{
    endpoint::{Endpoint, EndpointId},
    limits::Limits,
    record::{EndpointRecord, RECORD_VERSION, WorkloadRecord},
    view::{EndpointView, WorkloadView},
};
use crate::{clock::Timestamp, workload::Workload};

/// All endpoints and workloads, by place.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    workloads: Vec<WorkloadSlot>,
    workload_places: HashMap<String, usize>,
    endpoints: Vec<EndpointSlot>,
    endpoint_places: HashMap<EndpointId, usize>,
    dirty_workloads: Vec<usize>,
    dirty_endpoints: Vec<usize>,
}

#[derive(Debug)]
struct WorkloadSlot {
    record: WorkloadRecord,
    templates: HashSet<Arc<str>>,
    endpoints: u64,
    is_dirty: bool,
}

#[derive(Debug)]
struct EndpointSlot {
    endpoint: Endpoint,
    workload: usize,
    is_dirty: bool,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            workloads: Vec::new(),
            workload_places: HashMap::new(),
            endpoints: Vec::new(),
            endpoint_places: HashMap::new(),
            dirty_workloads: Vec::new(),
            dirty_endpoints: Vec::new(),
        }
    }

    /// The place of a workload, taken in if it is new and seen at this time; `None` if there is no room.
    pub(super) fn workload(&mut self, workload: &Arc<Workload>, at: Timestamp) -> Option<usize> {
        let place = match self.workload_places.get(&workload.id) {
            Some(place) => *place,
            None if self.workloads.len() >= self.limits.workloads => return None,
            None => self.insert_workload(WorkloadRecord::new(Arc::clone(workload), at)),
        };
        self.workload_mut(place)?.see(workload, at);
        Some(place)
    }

    /// What is known of the workload at a place, to be changed.
    pub(super) fn workload_mut(&mut self, place: usize) -> Option<&mut WorkloadRecord> {
        let slot = self.workloads.get_mut(place)?;
        if !std::mem::replace(&mut slot.is_dirty, true) {
            self.dirty_workloads.push(place);
        }
        Some(&mut slot.record)
    }

    /// The id of the workload at a place.
    pub(super) fn workload_id(&self, place: usize) -> Option<&str> {
        self.workloads
            .get(place)
            .map(|slot| slot.record.workload.id.as_str())
    }

    /// Whether the workload at a place has this template, or room for it.
    pub(super) fn has_room(&self, place: usize, template: &str) -> bool {
        self.workloads.get(place).is_some_and(|slot| {
            slot.templates.len() < self.limits.templates || slot.templates.contains(template)
        })
    }

    /// The place of an endpoint.
    pub(super) fn place(&self, id: EndpointId) -> Option<usize> {
        self.endpoint_places.get(&id).copied()
    }

    /// The endpoint at a place.
    pub(super) fn endpoint(&self, place: usize) -> Option<&Endpoint> {
        self.endpoints.get(place).map(|slot| &slot.endpoint)
    }

    /// The endpoint at a place, to be changed.
    pub(super) fn endpoint_mut(&mut self, place: usize) -> Option<&mut Endpoint> {
        let slot = self.endpoints.get_mut(place)?;
        if !std::mem::replace(&mut slot.is_dirty, true) {
            self.dirty_endpoints.push(place);
        }
        Some(&mut slot.endpoint)
    }

    /// Takes in a new endpoint of the workload at a place; `None` if there is no room.
    pub(super) fn insert_endpoint(&mut self, workload: usize, endpoint: Endpoint) -> Option<usize> {
        if self.endpoints.len() >= self.limits.endpoints {
            return None;
        }
        let slot = self.workloads.get_mut(workload)?;
        slot.templates.insert(Arc::clone(&endpoint.template));
        slot.endpoints += 1;
        let place = self.endpoints.len();
        self.endpoint_places.insert(endpoint.id, place);
        self.endpoints.push(EndpointSlot {
            endpoint,
            workload,
            is_dirty: false,
        });
        Some(place)
    }

    /// The rows of all endpoints, by workload, template, method and operation.
    pub(super) fn endpoint_views(&self, now: Timestamp) -> Vec<EndpointView> {
        let mut views: Vec<_> = (0..self.endpoints.len())
            .filter_map(|place| self.endpoint_view(place, now))
            .collect();
        views.sort_by(|a, b| {
            (&a.workload, &a.template, &a.method, &a.operation, a.id).cmp(&(
                &b.workload,
                &b.template,
                &b.method,
                &b.operation,
                b.id,
            ))
        });
        views
    }

    /// The row of the endpoint at a place.
    pub(super) fn endpoint_view(&self, place: usize, now: Timestamp) -> Option<EndpointView> {
        let slot = self.endpoints.get(place)?;
        let workload = &self.workloads.get(slot.workload)?.record.workload;
        Some(EndpointView::new(&slot.endpoint, workload, now))
    }

    /// The rows of all workloads, by name.
    pub(super) fn workload_views(&self) -> Vec<WorkloadView> {
        let mut views: Vec<_> = self
            .workloads
            .iter()
            .map(|slot| WorkloadView::new(&slot.record, slot.endpoints))
            .collect();
        views.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
        views
    }

    /// Endpoints that changed since the last call.
    pub(super) fn take_dirty_endpoints(&mut self) -> Vec<EndpointRecord> {
        let places = std::mem::take(&mut self.dirty_endpoints);
        let records = places.into_iter().filter_map(|place| {
            let slot = self.endpoints.get_mut(place)?;
            slot.is_dirty = false;
            Some(EndpointRecord {
                version: RECORD_VERSION,
                endpoint: slot.endpoint.clone(),
            })
        });
        records.collect()
    }

    /// Workloads that changed since the last call.
    pub(super) fn take_dirty_workloads(&mut self) -> Vec<WorkloadRecord> {
        let places = std::mem::take(&mut self.dirty_workloads);
        let records = places.into_iter().filter_map(|place| {
            let slot = self.workloads.get_mut(place)?;
            slot.is_dirty = false;
            Some(slot.record.clone())
        });
        records.collect()
    }

    /// Takes back a stored workload. Whether it did: not if the record is of another version, known or beyond the
    /// bound.
    pub(super) fn restore_workload(&mut self, record: WorkloadRecord) -> bool {
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
    pub(super) fn restore_endpoint(&mut self, record: EndpointRecord) -> bool {
        let EndpointRecord { version, endpoint } = record;
        let workload = self.workload_places.get(&endpoint.workload).copied();
        version == RECORD_VERSION
            && self.place(endpoint.id).is_none()
            && workload
                .filter(|place| self.has_room(*place, &endpoint.template))
                .and_then(|place| self.insert_endpoint(place, endpoint))
                .is_some()
    }

    fn insert_workload(&mut self, record: WorkloadRecord) -> usize {
        let place = self.workloads.len();
        self.workload_places.insert(record.workload.id.clone(), place);
        self.workloads.push(WorkloadSlot {
            record,
            templates: HashSet::new(),
            endpoints: 0,
            is_dirty: false,
        });
        place
    }
}
