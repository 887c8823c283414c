//! Files each exchange under its endpoint.
//!
//! The way of an exchange: method and target are checked; a path seen lately leads straight to its endpoint; else
//! it is canonicalised and templated. An endpoint that no answer has confirmed is a *candidate*: counted, not
//! shown, and forgotten when there are too many, so that a scan cannot grow the inventory. The first accepted
//! answer makes it an endpoint, with all that was counted before.

use std::{collections::BTreeSet, sync::Arc};

use lru::LruCache;

use super::{
    addresses::Addresses,
    counts::Room,
    endpoint::{Endpoint, EndpointId},
    exposure::server_is_here,
    kind::{EndpointKind, Recognised, recognised},
    limits::{Limits, Stats},
    path::{PathError, canonical, without_query},
    recent::Recent,
    record::{EndpointRecord, WorkloadRecord},
    registry::{Registry, Revised},
    schema::{FieldRoom, Reader, Schemas},
    sensitive::SensitiveType,
    template::{OVERFLOW, Pins, Routes, Template, trie::MAX_HITS},
    traffic::{Traffic, host},
    view::{EndpointView, WorkloadView},
};
use crate::{
    bounded::remember,
    clock::Timestamp,
    exchange::{Exchange, Request, Side},
    openapi::{self, Specification},
    risk::Posture,
    workload::Workload,
};

/// Longest method, in bytes. Overflow policy: counted as malformed.
const MAX_METHOD_BYTES: usize = 32;

/// Exchanges of an endpoint whose messages are all read.
const READ_ALL: u64 = 200;

/// Of the exchanges after those, one in so many is read; and all that have something new.
const READ_EVERY: u64 = 16;

/// Exchanges of an endpoint that has settled.
const SETTLED: u64 = 2_000;

/// Of the exchanges of one that has, one in so many is read.
const READ_SETTLED_EVERY: u64 = 64;

/// Where an exchange was filed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// Its endpoint; `None` if there is none (yet).
    pub endpoint: Option<EndpointId>,
    /// The template of its path; `None` if it has no path, or was not served by this host.
    pub template: Option<Arc<str>>,
    /// This exchange made the endpoint known.
    pub is_new: bool,
}

/// All endpoints and workloads.
#[derive(Debug)]
pub struct Inventory {
    pub(super) limits: Limits,
    pub(super) stats: Stats,
    pub(super) registry: Registry,
    pub(super) candidates: LruCache<EndpointId, Candidate>,
    pub(super) recent: Recent,
    addresses: Addresses,
    reader: Reader,
    /// Endpoints are being taken.
    pub(super) is_held: bool,
}

/// An endpoint that no answer has confirmed.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) workload: usize,
    pub(super) method: Box<str>,
    /// `None` if it names its own operation.
    pub(super) template: Option<Template>,
    pub(super) traffic: Traffic,
}

/// A served exchange on its way to an endpoint.
pub(super) struct Served<'a> {
    /// Place of the workload that served it.
    pub(super) workload: usize,
    pub(super) exchange: &'a Exchange,
    pub(super) request: &'a Request,
    pub(super) caller: &'a str,
    pub(super) recognised: Recognised,
}

impl Inventory {
    /// An empty inventory.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stats: Stats::default(),
            registry: Registry::new(limits),
            candidates: remember(limits.candidates),
            recent: Recent::new(limits.recent_paths, MAX_HITS),
            addresses: Addresses::default(),
            reader: Reader::of(limits.fields),
            is_held: false,
        }
    }

    /// Files one exchange under the workload at its observed end. `caller` is the workload at the other end;
    /// without it a caller is named by its address.
    pub fn observe(
        &mut self,
        exchange: &Exchange,
        workload: &Arc<Workload>,
        caller: Option<&Arc<Workload>>,
    ) -> Observation {
        self.take(exchange, workload, caller, Self::file)
    }

    /// Looks whether an exchange can be filed, and lets `file` do it.
    pub(super) fn take(
        &mut self,
        exchange: &Exchange,
        workload: &Arc<Workload>,
        caller: Option<&Arc<Workload>>,
        file: impl FnOnce(&mut Self, &Served<'_>) -> Observation,
    ) -> Observation {
        self.stats.exchanges += 1;
        let Some(request) = &exchange.request else {
            self.stats.without_request += 1;
            return Observation::default();
        };
        if !is_method(&request.method) {
            self.stats.malformed_method += 1;
            return Observation::default();
        }
        let is_client = exchange.connection.side == Side::Client;
        if is_client && server_is_here(&exchange.connection) {
            self.stats.local_client += 1;
            return Observation::default();
        }
        let Some(place) = self.registry.workload(workload, exchange.started) else {
            self.stats.workload_overflow += 1;
            return Observation::default();
        };
        if is_client {
            self.add_egress(place, exchange, request);
            return Observation::default();
        }
        let address;
        let caller = match caller {
            Some(caller) => caller.name.as_str(),
            None => {
                address = self.addresses.name(&exchange.connection.client);
                &*address
            }
        };
        self.count_served(place, caller);
        let served = Served {
            workload: place,
            exchange,
            request,
            caller,
            recognised: recognised(exchange, request),
        };
        file(self, &served)
    }

    /// The endpoint that has this id, or had it before it became one with others.
    pub fn endpoint(&self, id: EndpointId) -> Option<&Endpoint> {
        self.registry.endpoint(self.registry.place_now(id)?)
    }

    /// The rows of all endpoints, by workload, template, method and operation.
    pub fn endpoint_views(&self, now: Timestamp) -> Vec<EndpointView> {
        self.registry.endpoint_views(now)
    }

    /// All endpoints with their workloads, and when each changed last.
    pub fn revised(&self) -> impl Iterator<Item = Revised<'_>> {
        self.registry.revised()
    }

    /// Those of them that changed since a revision.
    pub fn revised_since(&self, since: u64) -> impl Iterator<Item = Revised<'_>> {
        self.registry.revised_since(since)
    }

    /// The endpoint that has this id, with its workload.
    pub fn revised_of(&self, id: EndpointId) -> Option<Revised<'_>> {
        self.registry.revised_at(self.registry.place(id)?)
    }

    /// The last revision of all, and that of the last change that concerned more than single endpoints: then all may be shown
    /// otherwise, or be no more.
    pub fn revisions(&self) -> (u64, u64) {
        self.registry.revisions()
    }

    /// The row of one endpoint.
    pub fn endpoint_view(&self, id: EndpointId, now: Timestamp) -> Option<EndpointView> {
        self.registry.endpoint_view(self.registry.place_now(id)?, now)
    }

    /// The rows of all workloads, by name.
    pub fn workload_views(&self) -> Vec<WorkloadView> {
        self.registry.workload_views()
    }

    /// The OpenAPI documents of all workloads, by name.
    pub fn specifications(&self, now: Timestamp) -> Vec<Specification> {
        let views = self.registry.endpoint_views(now);
        openapi::export(
            views
                .into_iter()
                .filter_map(|view| Some((self.endpoint(view.id)?, view))),
        )
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Puts templates that the operator has given before all that is learned, and settles.
    pub fn set_pins(&mut self, pins: Pins) {
        self.registry.set_pins(pins);
        self.settle();
    }

    /// Puts the routes of documents before all that is learned, behind what the operator has pinned, and settles.
    pub fn set_documents(&mut self, documents: Routes) {
        self.registry.set_documents(documents);
        self.settle();
    }

    /// Puts the routes that were found in the code of a workload before what is learned of it, and settles. Whether
    /// anything was seen of the workload yet.
    pub fn set_harvested(&mut self, workload: &str, routes: &Routes) -> bool {
        let Some(place) = self.registry.workload_place(workload) else {
            return false;
        };
        self.registry.set_harvested(place, routes);
        self.settle_workload(place);
        true
    }

    /// Notes the build id of the program that a workload runs. Whether anything was seen of the workload yet.
    pub fn set_build(&mut self, workload: &str, build: &str) -> bool {
        let Some(place) = self.registry.workload_place(workload) else {
            return false;
        };
        if let Some(record) = self.registry.workload_mut(place) {
            record.build = Some(build.to_owned());
        }
        true
    }

    /// Moves all endpoints to the templates that follow from what was observed. To be called now and then, and
    /// before a result is final.
    pub fn settle(&mut self) {
        for workload in 0..self.registry.workload_count() {
            self.settle_workload(workload);
        }
        self.measure();
    }

    /// Counts the fields that are known: those of endpoints that became one have become fewer.
    fn measure(&mut self) {
        self.reader.room = FieldRoom::of(self.limits.fields.saturating_sub(self.registry.fields()));
    }

    /// Settles, then gives the endpoints that changed since the last call, whole.
    pub fn take_dirty(&mut self) -> Vec<EndpointRecord> {
        self.settle();
        self.take_dirty_part(usize::MAX)
    }

    /// Some of the endpoints that changed since they were taken, whole, at most so many; none are left when nothing is given.
    /// To be called after [`Self::settle`].
    pub fn take_dirty_part(&mut self, most: usize) -> Vec<EndpointRecord> {
        self.registry.take_dirty_endpoints(most)
    }

    /// How many endpoints changed since they were taken; some of them may be no more.
    pub fn dirty(&self) -> usize {
        self.registry.dirty()
    }

    /// Whether endpoints stay what they are while they are taken in parts: nothing that is observed makes several of them
    /// one then. That waits until it is let go.
    pub fn hold(&mut self, is_held: bool) {
        self.is_held = is_held;
    }

    /// What was taken is kept.
    pub fn kept(&mut self) {
        self.registry.kept();
    }

    /// What was taken since [`Self::kept`] was not kept: it counts as changed.
    pub fn take_again(&mut self) {
        self.registry.take_again();
    }

    /// Ids of endpoints that became one with others since the last call: their records are no more.
    pub fn take_gone(&mut self) -> Vec<EndpointId> {
        self.registry.take_gone()
    }

    /// Former ids and those they lead to, in the order of the moves, since the last call: for those who keep
    /// something by id.
    pub fn take_moved(&mut self) -> Vec<(EndpointId, EndpointId)> {
        self.registry.take_moved()
    }

    /// Workloads that changed since the last call, whole.
    pub fn take_dirty_workloads(&mut self) -> Vec<WorkloadRecord> {
        self.registry.take_dirty_workloads()
    }

    /// Everything counts as changed: for a store that lost what it was given.
    pub fn mark_all_dirty(&mut self) {
        self.registry.mark_all_dirty();
    }

    /// Takes back what was stored; nothing becomes dirty. Records that are known already are skipped.
    pub fn restore(
        &mut self,
        workloads: impl IntoIterator<Item = WorkloadRecord>,
        endpoints: impl IntoIterator<Item = EndpointRecord>,
    ) {
        for record in workloads {
            self.stats.records_skipped += u64::from(!self.registry.restore_workload(record));
        }
        for record in endpoints {
            self.stats.records_skipped += u64::from(!self.registry.restore_endpoint(record));
        }
        self.measure();
    }

    /// Adds what another inventory has stored, of other times or other hosts, and settles. Counts add up: the same
    /// records twice count twice.
    pub fn merge(
        &mut self,
        workloads: impl IntoIterator<Item = WorkloadRecord>,
        endpoints: impl IntoIterator<Item = EndpointRecord>,
    ) {
        for record in workloads {
            self.stats.records_skipped += u64::from(!self.registry.merge_workload(record));
        }
        for record in endpoints {
            self.stats.records_skipped += u64::from(!self.registry.merge_endpoint(record));
        }
        self.recent.clear();
        self.settle();
    }

    pub(super) fn file(&mut self, served: &Served<'_>) -> Observation {
        let (method, sent) = (&served.request.method, without_query(&served.request.target));
        let by_path = served.recognised.operation.is_none();
        if by_path && let Some(place) = self.recent.get(served.workload, method, sent) {
            return self.add(place, served);
        }
        let path = match canonical(&served.request.target) {
            Ok(path) => path,
            Err(error) => {
                self.count_unroutable(served.workload, error);
                return Observation::default();
            }
        };
        let template = match served.recognised {
            // The path of a gRPC call is the operation, with nothing to leave out.
            Recognised {
                kind: EndpointKind::Grpc,
                operation: Some(_),
            } => Template::literal(&path),
            _ => self.template(served, &path),
        };
        match self.find(served, &template) {
            Found::Endpoint { place, is_new } => {
                if by_path {
                    self.recent.put(served.workload, method, sent, place);
                }
                Observation {
                    is_new,
                    ..self.add(place, served)
                }
            }
            Found::Candidate(id) => {
                self.add_candidate(id, served, &template);
                Observation::unfiled(template)
            }
            Found::NoRoom => {
                self.stats.endpoint_overflow += 1;
                Observation::unfiled(template)
            }
        }
    }

    fn find(&mut self, served: &Served<'_>, template: &Template) -> Found {
        let operation = served.recognised.operation.as_deref();
        let Some(workload) = self.registry.workload_id(served.workload) else {
            return Found::NoRoom;
        };
        let id = EndpointId::new(workload, &served.request.method, &template.text, operation);
        match self.registry.place(id) {
            Some(place) => Found::Endpoint { place, is_new: false },
            None if is_accepted(served.exchange) => self.promote(id, served, template),
            None => Found::Candidate(id),
        }
    }

    /// Makes an endpoint, with what was counted while it was a candidate.
    fn promote(&mut self, id: EndpointId, served: &Served<'_>, template: &Template) -> Found {
        let Some(workload) = self.registry.workload_id(served.workload) else {
            return Found::NoRoom;
        };
        let mut endpoint = Endpoint {
            id,
            workload: workload.to_owned(),
            kind: served.recognised.kind,
            method: served.request.method.as_ref().into(),
            template: Arc::clone(&template.text),
            operation: served.recognised.operation.as_deref().map(Box::from),
            parameters: template.parameters.clone(),
            merged_from: BTreeSet::new(),
            schemas: Schemas::default(),
            posture: Posture::default(),
            traffic: Traffic::default(),
        };
        if !self.registry.has_room(served.workload, &template.text) {
            self.stats.template_overflow += 1;
            endpoint.id = EndpointId::new(workload, &endpoint.method, OVERFLOW, None);
            endpoint.template = Arc::from(OVERFLOW);
            endpoint.operation = None;
            endpoint.parameters = Vec::new();
        }
        let known = self.registry.place(endpoint.id);
        let Some(place) = known.or_else(|| self.registry.insert_endpoint(served.workload, endpoint)) else {
            return Found::NoRoom;
        };
        if let Some(before) = self.candidates.pop(&id) {
            self.adopt(served.workload, place, &before.traffic);
        }
        Found::Endpoint {
            place,
            is_new: known.is_none(),
        }
    }

    pub(super) fn adopt(&mut self, workload: usize, place: usize, before: &Traffic) {
        self.stats.unrouted = self.stats.unrouted.saturating_sub(before.hits);
        if let Some(record) = self.registry.workload_mut(workload) {
            record.unrouted = record.unrouted.saturating_sub(before.hits);
        }
        if let Some(endpoint) = self.registry.endpoint_mut(place) {
            endpoint.traffic.merge(before, &self.limits);
        }
    }

    fn add(&mut self, place: usize, served: &Served<'_>) -> Observation {
        let Some(endpoint) = self.registry.endpoint_mut(place) else {
            return Observation::default();
        };
        endpoint.kind = endpoint.kind.max(served.recognised.kind);
        let Served {
            exchange,
            request,
            caller,
            ..
        } = served;
        endpoint
            .traffic
            .add(exchange, request, caller, &self.limits, &mut self.stats);
        let hits = endpoint.traffic.hits;
        let every = if hits <= SETTLED {
            READ_EVERY
        } else {
            READ_SETTLED_EVERY
        };
        let is_read =
            endpoint.schemas.has_news(exchange, request) || hits <= READ_ALL || hits.is_multiple_of(every);
        let mut answered: &[SensitiveType] = &[];
        if is_read {
            let is_cut = endpoint.schemas.add(exchange, request, &mut self.reader);
            self.stats.json_cut += u64::from(is_cut);
            self.stats.field_overflow += std::mem::take(&mut self.reader.room.refused);
            answered = self.reader.found();
        }
        endpoint.posture.add(exchange, &endpoint.template, answered);
        Observation {
            endpoint: Some(endpoint.id),
            template: Some(Arc::clone(&endpoint.template)),
            is_new: false,
        }
    }

    pub(super) fn add_candidate(&mut self, id: EndpointId, served: &Served<'_>, template: &Template) {
        self.count_unrouted(served.workload);
        let Served {
            exchange,
            request,
            caller,
            ..
        } = served;
        let known = self.candidates.pop(&id).map(|known| known.traffic);
        let mut traffic = known.unwrap_or_default();
        traffic.add(exchange, request, caller, &self.limits, &mut self.stats);
        let candidate = Candidate {
            workload: served.workload,
            method: request.method.as_ref().into(),
            template: served.recognised.operation.is_none().then(|| template.clone()),
            traffic,
        };
        if self.candidates.push(id, candidate).is_some() {
            self.stats.candidates_forgotten += 1;
        }
    }

    pub(super) fn count_unroutable(&mut self, workload: usize, error: PathError) {
        match error {
            PathError::TooLong | PathError::TooDeep => self.stats.oversized_path += 1,
            PathError::Undecodable | PathError::NoPath => self.stats.undecodable_path += 1,
        }
        self.count_unrouted(workload);
    }

    fn count_unrouted(&mut self, workload: usize) {
        self.stats.unrouted += 1;
        if let Some(record) = self.registry.workload_mut(workload) {
            record.unrouted += 1;
        }
    }

    fn count_served(&mut self, workload: usize, caller: &str) {
        if let Some(record) = self.registry.workload_mut(workload) {
            record.hits += 1;
            if record.callers.add(caller, self.limits.callers) == Room::Overflow {
                self.stats.caller_overflow += 1;
            }
        }
    }

    fn add_egress(&mut self, workload: usize, exchange: &Exchange, request: &Request) {
        self.stats.egress += 1;
        let name = host(request).unwrap_or_else(|| exchange.connection.server.to_string().into());
        if let Some(record) = self.registry.workload_mut(workload)
            && record.egress.add(&name, self.limits.egress) == Room::Overflow
        {
            self.stats.egress_overflow += 1;
        }
    }
}

impl Observation {
    pub(super) fn unfiled(template: Template) -> Self {
        Self {
            template: Some(template.text),
            ..Self::default()
        }
    }
}

enum Found {
    Endpoint { place: usize, is_new: bool },
    Candidate(EndpointId),
    NoRoom,
}

/// A token of RFC 9110 §5.6.2.
fn is_method(method: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (1..=MAX_METHOD_BYTES).contains(&method.len()) && method.bytes().all(token)
}

/// Whether the answer shows that the endpoint exists. These do not: nothing there (404), not with this method
/// (405, 501), and refusals that need no routing (400, 408, 414, 421, 431, 505); for gRPC, `UNIMPLEMENTED`.
pub(super) fn is_accepted(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| {
        !matches!(
            response.status,
            400 | 404 | 405 | 408 | 414 | 421 | 431 | 501 | 505
        ) && response.head.first("grpc-status") != Some(b"12")
    })
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
