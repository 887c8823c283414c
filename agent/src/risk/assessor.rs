//! What was assessed stays assessed until something changes.
//!
//! In: an inventory, findings and incidents, again and again. Out: the same as [`super::assess`] gives, at the price of
//! the endpoints that changed since: rows as JSON text, ready to be sent or stored, and which of them are new. An
//! endpoint is judged again when it, its workload or what is said of its template changed, when it became stale, and
//! as long as a detector says something about it. Holds one row per endpoint: the inventory's bound is its bound.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use foldhash::fast::FixedState;

use super::{
    assess::{Criteria, Judged, Verdicts, higher_first, judge, of_workloads},
    score::RiskView,
    weights::Risk,
};
use crate::{
    clock::Timestamp,
    inventory::{EndpointId, EndpointState, EndpointView, Inventory, Revised, STALE_AFTER},
    select::{Line, Rows},
    verdict::{Alert, Finding},
};

/// One endpoint as it was judged last.
#[derive(Debug)]
pub struct Assessed {
    /// Its id.
    pub id: EndpointId,
    /// Id of its workload.
    pub workload: String,
    /// Its last exchange.
    pub last_seen: Timestamp,
    /// Its row.
    pub row: Arc<Line>,
    order: (String, Arc<str>, Box<str>, Option<Box<str>>, EndpointId),
    owner: Option<String>,
    revision: u64,
    state: EndpointState,
    has_verdicts: bool,
    posture: Vec<Arc<Finding>>,
    /// What is wrong with it; absent when nothing is.
    pub risk: Option<Arc<RiskView>>,
}

/// What an endpoint is named by in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndpointKey<'a> {
    /// Id of its workload.
    pub workload_id: &'a str,
    /// Name of its workload.
    pub workload: &'a str,
    /// Path template.
    pub template: &'a str,
    /// Method.
    pub method: &'a str,
}

impl<'a> EndpointKey<'a> {
    /// What a place tells of an endpoint of this workload, if it is certain.
    pub fn of(workload_id: &'a str, place: &'a [u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(place).ok()?.split('\0');
        let (workload, template, method) = (parts.next()?, parts.next()?, parts.next()?);
        // Operation and id. More parts have a zero byte in one of them.
        (parts.count() == 2).then_some(Self {
            workload_id,
            workload,
            template,
            method,
        })
    }
}

/// Keeps what was assessed.
#[derive(Debug, Default)]
pub struct Assessor {
    criteria: Criteria,
    /// By workload, template, method and operation.
    known: Vec<Arc<Assessed>>,
    /// Their rows, place by place. Those who asked may still hold them as they were.
    rows: Rows,
    places: HashMap<EndpointId, usize, FixedState>,
    /// Judged since they were taken, and not taken since.
    changed: BTreeSet<EndpointId>,
    /// Those of them that are being taken.
    due: BTreeSet<EndpointId>,
    /// Those that have to be judged before.
    waiting: BTreeSet<EndpointId>,
    /// Taken, and not said to be kept yet.
    taken: Vec<EndpointId>,
    /// The criteria are others than those that were judged by.
    is_outdated: bool,
    /// Those that a detector says something about.
    spoken_of: BTreeSet<EndpointId>,
    /// The inventory's revision that was judged last.
    seen: u64,
    /// When that was, and when the first of those that were not stale then becomes it, at the earliest.
    judged: Timestamp,
    stale: Timestamp,
}

impl Assessor {
    /// Knows nothing yet.
    pub fn new(criteria: Criteria) -> Self {
        Self {
            criteria,
            ..Self::default()
        }
    }

    /// What it judges by.
    pub fn criteria(&self) -> &Criteria {
        &self.criteria
    }

    /// Weighs otherwise from now on.
    pub fn set_risk(&mut self, risk: Risk) {
        self.is_outdated |= self.criteria.risk != risk;
        self.criteria.risk = risk;
    }

    /// Judges what changed: looks at all endpoints only where what changed is not known of single ones. To be called with the
    /// same inventory again and again.
    pub fn refresh(
        &mut self,
        inventory: &Inventory,
        behaviour: &[Finding],
        incidents: &[Alert],
        now: Timestamp,
    ) {
        let verdicts = Verdicts::of(behaviour, incidents);
        let is_outdated = std::mem::take(&mut self.is_outdated);
        let mut ids = self.outdated(is_outdated, inventory, &verdicts, now);
        ids.extend(&self.waiting);
        self.judge(&ids, is_outdated, inventory, &verdicts, now);
    }

    /// Ends what is taken next with all that has changed by now, of which [`Self::judge_part`] judges what is not judged yet.
    pub fn collect(
        &mut self,
        inventory: &Inventory,
        behaviour: &[Finding],
        incidents: &[Alert],
        now: Timestamp,
    ) {
        if self.is_outdated {
            self.refresh(inventory, behaviour, incidents, now);
        }
        self.end_changed();
        let verdicts = Verdicts::of(behaviour, incidents);
        let ids = self.outdated(false, inventory, &verdicts, now);
        self.waiting.extend(ids);
    }

    /// Judges at most so many endpoints that are taken next; whether more of them wait.
    pub fn judge_part(
        &mut self,
        most: usize,
        inventory: &Inventory,
        behaviour: &[Finding],
        incidents: &[Alert],
        now: Timestamp,
    ) -> bool {
        let verdicts = Verdicts::of(behaviour, incidents);
        let ids: Vec<_> = self.waiting.iter().take(most).copied().collect();
        self.judge(&ids, false, inventory, &verdicts, now);
        !self.waiting.is_empty()
    }

    /// Endpoints that may have to be judged anew. Forgets those that are no more.
    fn outdated(
        &mut self,
        is_outdated: bool,
        inventory: &Inventory,
        verdicts: &Verdicts<'_>,
        now: Timestamp,
    ) -> Vec<EndpointId> {
        let (revision, reshaped) = inventory.revisions();
        let is_whole = is_outdated
            || reshaped > self.seen
            || now < self.judged
            || now > self.stale
            || self.known.is_empty();
        let spoken_of: BTreeSet<EndpointId> = verdicts.endpoints().collect();
        let id = |revised: Revised<'_>| revised.endpoint.id;
        let ids = match is_whole {
            true => {
                self.stale = Timestamp(u64::MAX);
                self.forget_gone(inventory);
                inventory.revised().map(id).collect()
            }
            false => {
                let spoken = spoken_of.union(&self.spoken_of).copied();
                inventory.revised_since(self.seen).map(id).chain(spoken).collect()
            }
        };
        (self.seen, self.judged, self.spoken_of) = (revision, now, spoken_of);
        ids
    }

    fn forget_gone(&mut self, inventory: &Inventory) {
        let before = self.known.len();
        self.known.retain(|known| {
            let revised = inventory.revised_of(known.id);
            revised.is_some_and(|revised| revised.endpoint.id == known.id)
        });
        if self.known.len() != before {
            self.put_in_order();
        }
    }

    fn judge(
        &mut self,
        ids: &[EndpointId],
        is_outdated: bool,
        inventory: &Inventory,
        verdicts: &Verdicts<'_>,
        now: Timestamp,
    ) {
        let mut is_in_order = true;
        for id in ids {
            let is_waiting = self.waiting.remove(id);
            let Some(revised) = inventory.revised_of(*id) else {
                continue;
            };
            let id = revised.endpoint.id;
            if revised.endpoint.state(now) != EndpointState::Stale {
                let stale = revised.endpoint.traffic.last_seen.after(STALE_AFTER);
                self.stale = self.stale.min(stale);
            }
            let place = self.places.get(&id).copied();
            let known = place.and_then(|place| self.known.get(place));
            if !is_outdated && known.is_some_and(|known| known.holds(&revised, verdicts.has(id), now)) {
                continue;
            }
            let Some(view) = inventory.endpoint_view(id, now) else {
                continue;
            };
            let has_verdicts = verdicts.has(id);
            let judged = judge(revised.endpoint, view, verdicts, &self.criteria);
            let Some(assessed) = Assessed::of(&revised, judged, has_verdicts, now) else {
                continue;
            };
            if known.is_none_or(|known| known.row != assessed.row || known.risk != assessed.risk) {
                match is_waiting {
                    true => self.due.insert(id),
                    false => self.changed.insert(id),
                };
            }
            match place.and_then(|place| self.known.get_mut(place)) {
                Some(known) => {
                    is_in_order &= known.order == assessed.order;
                    *known = Arc::new(assessed);
                    if let Some(row) = place.and_then(|place| Arc::make_mut(&mut self.rows).get_mut(place)) {
                        *row = Arc::clone(&known.row);
                    }
                }
                None => {
                    is_in_order = false;
                    self.places.insert(id, self.known.len());
                    self.known.push(Arc::new(assessed));
                }
            }
        }
        if !is_in_order {
            self.put_in_order();
        }
    }

    fn put_in_order(&mut self) {
        self.known.sort_by(|a, b| a.order.cmp(&b.order));
        self.places = self
            .known
            .iter()
            .zip(0..)
            .map(|(known, place)| (known.id, place))
            .collect();
        self.rows = Arc::new(self.known.iter().map(|known| Arc::clone(&known.row)).collect());
    }

    /// The rows of all endpoints, by workload, template, method and operation.
    pub fn endpoints(&self) -> Rows {
        Arc::clone(&self.rows)
    }

    /// The row of one endpoint.
    pub fn endpoint(&self, id: EndpointId) -> Option<Arc<Line>> {
        let known = self.known.get(*self.places.get(&id)?)?;
        Some(Arc::clone(&known.row))
    }

    /// Posture findings, then those given.
    pub fn findings(&self, behaviour: Vec<Finding>) -> Vec<Arc<Finding>> {
        let posture = self.known.iter().flat_map(|known| known.posture.iter().cloned());
        posture.chain(behaviour.into_iter().map(Arc::new)).collect()
    }

    /// Risk of endpoints and workloads, the highest first.
    pub fn risks(&self) -> Vec<Arc<RiskView>> {
        let of_endpoints = || self.known.iter().filter_map(|known| known.risk.as_ref());
        let workloads = of_workloads(of_endpoints().map(Arc::as_ref));
        let mut risks: Vec<_> = of_endpoints()
            .cloned()
            .chain(workloads.into_iter().map(Arc::new))
            .collect();
        risks.sort_by(|a, b| higher_first(a, b));
        risks
    }

    /// Ends what is taken next: what changes from now on is taken after it.
    pub fn end_changed(&mut self) {
        self.due.append(&mut self.changed);
    }

    /// The endpoints whose rows changed since they were taken, up to [`Self::end_changed`]: at most so many of them. Some
    /// may be no more: when nothing is given, there are none left.
    pub fn take_changed(&mut self, most: usize) -> Vec<Arc<Assessed>> {
        let mut changed = Vec::new();
        while changed.len() < most
            && let Some(id) = self.due.pop_first()
        {
            let known = self.places.get(&id).and_then(|place| self.known.get(*place));
            if let Some(known) = known {
                changed.push(Arc::clone(known));
                self.taken.push(id);
            }
        }
        changed
    }

    /// What was taken is kept.
    pub fn kept(&mut self) {
        self.taken = Vec::new();
    }

    /// What was taken was not kept: it is given again.
    pub fn take_again(&mut self) {
        self.changed.extend(std::mem::take(&mut self.taken));
        self.changed.append(&mut self.due);
    }

    /// Every row counts as changed: what was kept of it may be gone.
    pub fn mark_all_changed(&mut self) {
        self.taken = Vec::new();
        self.due = BTreeSet::new();
        self.changed = self.known.iter().map(|known| known.id).collect();
    }
}

impl Assessed {
    fn of(revised: &Revised<'_>, judged: Judged, has_verdicts: bool, now: Timestamp) -> Option<Self> {
        let Revised {
            endpoint,
            workload,
            revision,
        } = *revised;
        let Judged { view, posture, risk } = judged;
        Some(Self {
            id: endpoint.id,
            workload: endpoint.workload.clone(),
            last_seen: endpoint.traffic.last_seen,
            row: line(&view)?,
            order: (
                workload.name.clone(),
                Arc::clone(&endpoint.template),
                endpoint.method.clone(),
                endpoint.operation.clone(),
                endpoint.id,
            ),
            owner: workload.owner.clone(),
            revision,
            state: endpoint.state(now),
            has_verdicts,
            posture: posture.into_iter().map(Arc::new).collect(),
            risk: risk.map(Arc::new),
        })
    }

    /// Where its row stands among those of all endpoints: by workload, template, method and operation.
    pub fn place(&self) -> Vec<u8> {
        let (workload, template, method, operation, id) = &self.order;
        // One that names an operation comes after one that names none, be its name as short as it may.
        let (mark, operation) = operation
            .as_deref()
            .map_or(("", ""), |operation| ("\x01", operation));
        format!("{workload}\0{template}\0{method}\0{mark}{operation}\0{id}").into_bytes()
    }

    /// Whether the endpoint would be judged alike now.
    fn holds(&self, revised: &Revised<'_>, has_verdicts: bool, now: Timestamp) -> bool {
        let Revised {
            endpoint,
            workload,
            revision,
        } = *revised;
        !has_verdicts
            && !self.has_verdicts
            && self.revision == revision
            && self.order.0 == workload.name
            && self.owner == workload.owner
            && self.state == endpoint.state(now)
    }
}

/// A row as JSON in one line. Rows hold maps with text keys and finite numbers only, which JSON can always write.
fn line(view: &EndpointView) -> Option<Arc<Line>> {
    let text = serde_json::to_string(view).ok()?;
    Some(Arc::new(Line::of(text, EndpointView::MEMBERS)))
}

#[cfg(test)]
#[path = "assessor_tests.rs"]
mod tests;
