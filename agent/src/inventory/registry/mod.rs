//! Where endpoints and workloads are kept, and which of them changed.
//!
//! In: workloads and endpoints to keep. Out: their places (stable as long as the registry lives) and rows; [`records`]
//! of what changed, and templates of their [`routes`]. What has no room is not taken in. An endpoint that became one with another leaves its place to
//! the next new one, and its id leads to the other.

mod records;
mod routes;

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    endpoint::{Endpoint, EndpointId},
    limits::Limits,
    record::WorkloadRecord,
    template::{Pins, Routes, Template, TemplateSource, trie::Node},
    view::{EndpointView, WorkloadView},
};
use crate::{clock::Timestamp, workload::Workload};

/// Moves that wait to be taken. Overflow policy: later ones are not told; what is kept by a former id is lost.
const MAX_MOVES: usize = 65_536;

/// All endpoints and workloads, by place.
#[derive(Debug)]
pub(super) struct Registry {
    limits: Limits,
    workloads: Vec<WorkloadSlot>,
    workload_places: HashMap<String, usize, FixedState>,
    endpoints: Vec<EndpointSlot>,
    endpoint_places: HashMap<EndpointId, usize, FixedState>,
    dirty_workloads: Vec<usize>,
    dirty_endpoints: VecDeque<usize>,
    /// Endpoints that were taken to be kept, and are not said to be yet.
    taken: Vec<EndpointId>,
    /// Places of workloads that were.
    taken_workloads: Vec<usize>,
    /// Places to be used again.
    free: Vec<usize>,
    /// Templates that the operator has given.
    pins: Pins,
    /// Routes of documents that the operator has given.
    documents: Routes,
    /// Former ids whose records are no more.
    gone: BTreeSet<EndpointId>,
    /// Former ids, with those they lead to now.
    moved: Vec<(EndpointId, EndpointId)>,
    /// Counts changes of what rows show.
    revision: u64,
    /// When each endpoint changed last, place by place: apart from them, so that those that changed are found at once.
    revisions: Vec<u64>,
    /// When more than single endpoints changed last: ids, or what their rows show of workloads and routes.
    reshaped: u64,
}

/// An endpoint as somebody sees it who keeps something that was made of it.
#[derive(Debug, Clone, Copy)]
pub struct Revised<'a> {
    /// The endpoint.
    pub endpoint: &'a Endpoint,
    /// The workload that serves it.
    pub workload: &'a Workload,
    /// Grows with every change of the endpoint, or of who says what its template is.
    pub revision: u64,
}

#[derive(Debug)]
struct WorkloadSlot {
    record: WorkloadRecord,
    templates: HashSet<Arc<str>>,
    endpoints: u64,
    is_dirty: bool,
    /// What follows from the paths observed.
    learned: Node,
    /// Routes found in the code of the application.
    harvested: Routes,
    /// Paths observed that nothing was learned from yet.
    news: usize,
    /// Paths observed that something was learned from.
    learned_from: usize,
    /// When its routes changed last.
    revision: u64,
}

#[derive(Debug)]
struct EndpointSlot {
    /// `None` while the place is free.
    endpoint: Option<Endpoint>,
    workload: usize,
    is_dirty: bool,
}

impl Registry {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            workloads: Vec::new(),
            workload_places: HashMap::default(),
            endpoints: Vec::new(),
            endpoint_places: HashMap::default(),
            dirty_workloads: Vec::new(),
            dirty_endpoints: VecDeque::new(),
            taken: Vec::new(),
            taken_workloads: Vec::new(),
            free: Vec::new(),
            pins: Pins::default(),
            documents: Routes::default(),
            gone: BTreeSet::new(),
            moved: Vec::new(),
            revision: 0,
            revisions: Vec::new(),
            reshaped: 0,
        }
    }

    /// The place of a workload, taken in if it is new and seen at this time; `None` if there is no room.
    pub(super) fn workload(&mut self, workload: &Arc<Workload>, at: Timestamp) -> Option<usize> {
        let place = match self.workload_places.get(&workload.id) {
            Some(place) => *place,
            None if self.workloads.len() >= self.limits.workloads => return None,
            None => self.insert_workload(WorkloadRecord::new(Arc::clone(workload), at)),
        };
        let record = self.workload_mut(place)?;
        let known = &record.workload;
        let is_shown_otherwise =
            !Arc::ptr_eq(known, workload) && (known.name != workload.name || known.owner != workload.owner);
        record.see(workload, at);
        if is_shown_otherwise {
            self.reshape();
        }
        Some(place)
    }

    /// Notes that more changed than single endpoints.
    fn reshape(&mut self) -> u64 {
        self.revision += 1;
        self.reshaped = self.revision;
        self.revision
    }

    /// Notes that an endpoint changed.
    fn revise(&mut self, place: usize) {
        self.revision += 1;
        if let Some(revision) = self.revisions.get_mut(place) {
            *revision = self.revision;
        }
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

    /// The place of the endpoint that has this id.
    pub(super) fn place(&self, id: EndpointId) -> Option<usize> {
        self.place_now(id)
            .filter(|place| self.endpoint(*place).is_some_and(|endpoint| endpoint.id == id))
    }

    /// The place of the endpoint that has or had this id.
    pub(super) fn place_now(&self, id: EndpointId) -> Option<usize> {
        self.endpoint_places.get(&id).copied()
    }

    /// The place of the workload with this id.
    pub(super) fn workload_place(&self, id: &str) -> Option<usize> {
        self.workload_places.get(id).copied()
    }

    /// How many workloads there are.
    pub(super) fn workload_count(&self) -> usize {
        self.workloads.len()
    }

    /// How many places of endpoints there are, free ones included.
    pub(super) fn endpoint_count(&self) -> usize {
        self.endpoints.len()
    }

    /// The endpoint at a place, if it is one of this workload.
    pub(super) fn endpoint_of(&self, workload: usize, place: usize) -> Option<&Endpoint> {
        let slot = self.endpoints.get(place)?;
        slot.endpoint.as_ref().filter(|_| slot.workload == workload)
    }

    /// Gives the endpoint at a place another template and id; the old id leads here too.
    pub(super) fn rename(&mut self, place: usize, id: EndpointId, template: &Template) {
        let Some(endpoint) = self.endpoint_mut(place) else {
            return;
        };
        let old = std::mem::replace(&mut endpoint.id, id);
        endpoint.descend_from([old]);
        endpoint.template = Arc::clone(&template.text);
        endpoint.parameters.clone_from(&template.parameters);
        self.endpoint_places.insert(id, place);
        self.note_move(old, id);
    }

    /// Makes the endpoint at one place part of that at another.
    pub(super) fn merge(&mut self, place: usize, target: usize) {
        let limits = self.limits;
        let Some(slot) = self.endpoints.get_mut(place) else {
            return;
        };
        let Some(merged) = slot.endpoint.take() else {
            return;
        };
        let workload = slot.workload;
        let old = merged.id;
        let new = self.endpoint(target).map(|endpoint| endpoint.id);
        if let Some(endpoint) = self.endpoint_mut(target) {
            endpoint.kind = endpoint.kind.max(merged.kind);
            endpoint.traffic.merge(&merged.traffic, &limits);
            endpoint.schemas.merge(&merged.schemas);
            endpoint.posture.merge(&merged.posture);
            endpoint.descend_from(merged.merged_from.iter().copied().chain([merged.id]));
        }
        for id in merged.merged_from.into_iter().chain([merged.id]) {
            self.endpoint_places.insert(id, target);
        }
        if let Some(workload) = self.workloads.get_mut(workload) {
            workload.endpoints = workload.endpoints.saturating_sub(1);
        }
        self.free.push(place);
        self.reshape();
        if let Some(new) = new {
            self.note_move(old, new);
        }
    }

    /// Remembers that one id leads to another now.
    fn note_move(&mut self, old: EndpointId, new: EndpointId) {
        self.reshape();
        if self.moved.len() < MAX_MOVES {
            self.moved.push((old, new));
        }
    }

    /// Former ids and those they lead to, in the order of the moves, since the last call.
    pub(super) fn take_moved(&mut self) -> Vec<(EndpointId, EndpointId)> {
        std::mem::take(&mut self.moved)
    }

    /// Notes that nothing has this id any more.
    pub(super) fn gone(&mut self, id: EndpointId) {
        self.gone.insert(id);
    }

    /// Ids that nothing has any more, since the last call.
    pub(super) fn take_gone(&mut self) -> Vec<EndpointId> {
        let gone = std::mem::take(&mut self.gone);
        gone.into_iter().filter(|id| self.place(*id).is_none()).collect()
    }

    /// Counts the templates of a workload anew.
    pub(super) fn count_templates(&mut self, workload: usize) {
        let templates = (0..self.endpoints.len())
            .filter_map(|place| self.endpoint_of(workload, place))
            .map(|endpoint| Arc::clone(&endpoint.template))
            .collect();
        if let Some(slot) = self.workloads.get_mut(workload) {
            slot.templates = templates;
        }
    }

    /// The endpoint at a place.
    pub(super) fn endpoint(&self, place: usize) -> Option<&Endpoint> {
        self.endpoints.get(place)?.endpoint.as_ref()
    }

    /// The endpoint at a place, to be changed.
    pub(super) fn endpoint_mut(&mut self, place: usize) -> Option<&mut Endpoint> {
        let slot = self.endpoints.get_mut(place)?;
        let endpoint = slot.endpoint.as_mut()?;
        if !std::mem::replace(&mut slot.is_dirty, true) {
            self.dirty_endpoints.push_back(place);
        }
        self.revision += 1;
        if let Some(revision) = self.revisions.get_mut(place) {
            *revision = self.revision;
        }
        Some(endpoint)
    }

    /// Takes in a new endpoint of the workload at a place; `None` if there is no room.
    pub(super) fn insert_endpoint(&mut self, workload: usize, endpoint: Endpoint) -> Option<usize> {
        if self.endpoints.len() - self.free.len() >= self.limits.endpoints {
            return None;
        }
        let slot = self.workloads.get_mut(workload)?;
        slot.templates.insert(Arc::clone(&endpoint.template));
        slot.endpoints += 1;
        let place = self.free.pop().unwrap_or(self.endpoints.len());
        for id in &endpoint.merged_from {
            self.endpoint_places.entry(*id).or_insert(place);
        }
        self.endpoint_places.insert(endpoint.id, place);
        let endpoint = Some(endpoint);
        match self.endpoints.get_mut(place) {
            // It may be waiting to be written: then it is written with what is there now.
            Some(slot) => (slot.endpoint, slot.workload) = (endpoint, workload),
            None => {
                self.revisions.push(0);
                self.endpoints.push(EndpointSlot {
                    endpoint,
                    workload,
                    is_dirty: false,
                });
            }
        }
        self.revise(place);
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

    /// All endpoints with their workloads, and when what their rows show changed last.
    pub(super) fn revised(&self) -> impl Iterator<Item = Revised<'_>> {
        (0..self.endpoints.len()).filter_map(|place| self.revised_at(place))
    }

    /// The same, of those that changed since.
    pub(super) fn revised_since(&self, since: u64) -> impl Iterator<Item = Revised<'_>> {
        let places = (0..).zip(&self.revisions);
        let changed = places.filter(move |(_, revision)| **revision > since);
        changed.filter_map(|(place, _)| self.revised_at(place))
    }

    /// The same, of one.
    pub(super) fn revised_at(&self, place: usize) -> Option<Revised<'_>> {
        let slot = self.endpoints.get(place)?;
        let workload = self.workloads.get(slot.workload)?;
        Some(Revised {
            endpoint: slot.endpoint.as_ref()?,
            workload: &workload.record.workload,
            revision: workload.revision.max(*self.revisions.get(place)?),
        })
    }

    /// The last change of anything, and of more than single endpoints.
    pub(super) fn revisions(&self) -> (u64, u64) {
        (self.revision, self.reshaped)
    }

    /// The row of the endpoint at a place.
    pub(super) fn endpoint_view(&self, place: usize, now: Timestamp) -> Option<EndpointView> {
        let slot = self.endpoints.get(place)?;
        let workload = &self.workloads.get(slot.workload)?.record.workload;
        let endpoint = slot.endpoint.as_ref()?;
        let given = self.given(slot.workload, &endpoint.method, &endpoint.template);
        let source = given
            .filter(|(template, _)| template.text == endpoint.template)
            .map_or(TemplateSource::Learned, |(_, source)| source);
        Some(EndpointView {
            source,
            ..EndpointView::new(endpoint, workload, now)
        })
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

    /// Fields of the messages of all endpoints.
    pub(super) fn fields(&self) -> usize {
        let endpoints = self.endpoints.iter().filter_map(|slot| slot.endpoint.as_ref());
        endpoints.map(|endpoint| endpoint.schemas.len()).sum()
    }

    fn insert_workload(&mut self, record: WorkloadRecord) -> usize {
        let place = self.workloads.len();
        self.workload_places.insert(record.workload.id.clone(), place);
        let mut record = record;
        self.workloads.push(WorkloadSlot {
            learned: record.paths.learn(),
            harvested: Routes::default(),
            news: 0,
            learned_from: 0,
            record,
            templates: HashSet::new(),
            endpoints: 0,
            is_dirty: false,
            revision: self.revision,
        });
        place
    }
}
