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
        let (revision, reshaped) = inventory.revisions();
        let is_outdated = std::mem::take(&mut self.is_outdated);
        let is_whole = is_outdated
            || reshaped > self.seen
            || now < self.judged
            || now > self.stale
            || self.known.is_empty();
        let spoken_of: BTreeSet<EndpointId> = verdicts.endpoints().collect();
        let revised: Box<dyn Iterator<Item = Revised<'_>>> = match is_whole {
            true => {
                self.stale = Timestamp(u64::MAX);
                Box::new(inventory.revised())
            }
            false => {
                let spoken = spoken_of.union(&self.spoken_of).copied().collect::<Vec<_>>();
                let spoken = spoken.into_iter().filter_map(|id| inventory.revised_of(id));
                Box::new(inventory.revised_since(self.seen).chain(spoken))
            }
        };
        (self.seen, self.judged, self.spoken_of) = (revision, now, spoken_of);
        let mut is_present = vec![!is_whole; self.known.len()];
        let mut is_in_order = true;
        for revised in revised {
            let id = revised.endpoint.id;
            if revised.endpoint.state(now) != EndpointState::Stale {
                let stale = revised.endpoint.traffic.last_seen.after(STALE_AFTER);
                self.stale = self.stale.min(stale);
            }
            let place = self.places.get(&id).copied();
            let known = place.and_then(|place| self.known.get(place));
            if let Some(present) = place.and_then(|place| is_present.get_mut(place)) {
                *present = true;
            }
            if !is_outdated && known.is_some_and(|known| known.holds(&revised, verdicts.has(id), now)) {
                continue;
            }
            let Some(view) = inventory.endpoint_view(id, now) else {
                continue;
            };
            let has_verdicts = verdicts.has(id);
            let judged = judge(revised.endpoint, view, &verdicts, &self.criteria);
            let Some(assessed) = Assessed::of(&revised, judged, has_verdicts, now) else {
                continue;
            };
            if known.is_none_or(|known| known.row != assessed.row || known.risk != assessed.risk) {
                self.changed.insert(id);
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
        if is_present.contains(&false) {
            let mut is_present = is_present.into_iter().chain(std::iter::repeat(true));
            self.known.retain(|_| is_present.next() != Some(false));
            is_in_order = false;
        }
        if !is_in_order {
            self.known.sort_by(|a, b| a.order.cmp(&b.order));
            self.places = self
                .known
                .iter()
                .zip(0..)
                .map(|(known, place)| (known.id, place))
                .collect();
            self.rows = Arc::new(self.known.iter().map(|known| Arc::clone(&known.row)).collect());
        }
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
mod tests {
    use super::*;
    use crate::{
        inventory::{EndpointView, Limits, fixture::call},
        protocol::json,
        risk::assess,
        verdict::fixture::{alert, finding},
        workload::{Workload, WorkloadKind},
    };

    const NOW: Timestamp = Timestamp(1_700_000_100_000_000_000);

    fn observe(inventory: &mut Inventory, target: &str) -> EndpointId {
        let workload = Arc::new(Workload {
            id: "w1".into(),
            ..Workload::named(WorkloadKind::Process, "shop")
        });
        let answer = r#"{"email":"a@example.test","password":"secret-word"}"#;
        let exchange = call("GET", target).answer(answer).exchange();
        inventory.observe(&exchange, &workload, None).endpoint.unwrap()
    }

    /// The same as everything assessed at once.
    fn taken(assessor: &mut Assessor, most: usize) -> Vec<Arc<Assessed>> {
        assessor.end_changed();
        assessor.take_changed(most)
    }

    fn check(
        assessor: &mut Assessor,
        inventory: &Inventory,
        behaviour: &[Finding],
        incidents: &[Alert],
        now: Timestamp,
    ) {
        assessor.refresh(inventory, behaviour, incidents, now);
        let whole = assess(inventory, behaviour.to_vec(), incidents, assessor.criteria(), now);
        let endpoints: Vec<EndpointView> = assessor
            .endpoints()
            .iter()
            .map(|row| serde_json::from_str(row.as_str()).unwrap())
            .collect();
        assert_eq!(endpoints, whole.endpoints);
        for row in assessor.endpoints().iter() {
            let names = json::members(row.as_str().as_bytes()).map(|(name, _)| name);
            assert!(names.eq(EndpointView::MEMBERS.iter().map(|name| name.as_bytes())));
        }
        let findings = assessor.findings(behaviour.to_vec());
        assert!(findings.iter().map(Arc::as_ref).eq(&whole.findings));
        assert!(assessor.risks().iter().map(Arc::as_ref).eq(&whole.risks));
    }

    #[test]
    fn what_is_kept_is_what_would_be_found_anew() {
        let mut inventory = Inventory::new(Limits::default());
        let mut assessor = Assessor::default();
        let users = observe(&mut inventory, "/v1/users");
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 1);
        // Another endpoint, that sorts before it.
        observe(&mut inventory, "/v1/carts");
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 1);
        // Nothing new.
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert!(taken(&mut assessor, usize::MAX).is_empty());
        // A detector speaks, and is silent again.
        let behaviour = [Finding {
            endpoint: Some(users),
            ..finding("f1")
        }];
        let incidents = [Alert {
            endpoint: Some(users),
            ..alert("a1")
        }];
        check(&mut assessor, &inventory, &behaviour, &incidents, NOW);
        assert_eq!(taken(&mut assessor, usize::MAX)[0].id, users);
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 1);
        // Other weights.
        assessor.set_risk(Risk {
            host: 10,
            cluster: 10,
            ..Risk::default()
        });
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 2);
        // Time passes.
        let later = NOW.after(2 * crate::inventory::STALE_AFTER);
        check(&mut assessor, &inventory, &[], &[], later);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 2);
        // The clock is set back, and one is called again.
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 2);
        observe(&mut inventory, "/v1/users");
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX)[0].id, users);
        // Somebody else answers for all of them.
        let workload = Arc::new(Workload {
            id: "w1".into(),
            owner: Some("shop team".into()),
            ..Workload::named(WorkloadKind::Process, "shop")
        });
        let exchange = call("GET", "/v1/users").exchange();
        inventory.observe(&exchange, &workload, None);
        check(&mut assessor, &inventory, &[], &[], NOW);
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 2);
        check(&mut assessor, &inventory, &[], &[], later);
        // Endpoints become one.
        for user in 0..50 {
            observe(&mut inventory, &format!("/v1/users/{user}"));
        }
        inventory.settle();
        check(&mut assessor, &inventory, &[], &[], later);
    }

    #[test]
    fn only_what_changed_is_looked_at() {
        let mut inventory = Inventory::new(Limits::default());
        let mut assessor = Assessor::default();
        observe(&mut inventory, "/v1/users");
        observe(&mut inventory, "/v1/carts");
        assessor.refresh(&inventory, &[], &[], NOW);
        let changed = |inventory: &Inventory, assessor: &Assessor| {
            let (_, reshaped) = inventory.revisions();
            (
                reshaped > assessor.seen,
                inventory.revised_since(assessor.seen).count(),
            )
        };
        assert_eq!(changed(&inventory, &assessor), (false, 0));
        observe(&mut inventory, "/v1/users");
        assert_eq!(changed(&inventory, &assessor), (false, 1));
        assessor.refresh(&inventory, &[], &[], NOW);
        assert_eq!(changed(&inventory, &assessor), (false, 0));
        // Routes are given: the rows of all may say so.
        inventory.set_pins(Default::default());
        assert!(changed(&inventory, &assessor).0);
    }

    #[test]
    fn a_store_that_lost_rows_gets_all_of_them() {
        let mut inventory = Inventory::new(Limits::default());
        let mut assessor = Assessor::default();
        observe(&mut inventory, "/v1/users");
        assessor.refresh(&inventory, &[], &[], NOW);
        assert_eq!(
            (
                taken(&mut assessor, usize::MAX).len(),
                taken(&mut assessor, usize::MAX).len()
            ),
            (1, 0)
        );
        assessor.mark_all_changed();
        assert_eq!(taken(&mut assessor, usize::MAX).len(), 1);
    }

    #[test]
    fn what_changed_is_taken_in_parts_and_again_if_it_was_not_kept() {
        let mut inventory = Inventory::new(Limits::default());
        let mut assessor = Assessor::default();
        for target in ["/v1/users", "/v1/carts", "/v1/lamps"] {
            observe(&mut inventory, target);
        }
        assessor.refresh(&inventory, &[], &[], NOW);
        let three = |assessor: &mut Assessor| [2, 2, 2].map(|most| taken(assessor, most).len());
        assert_eq!(three(&mut assessor), [2, 1, 0]);
        assessor.take_again();
        assert_eq!(three(&mut assessor), [2, 1, 0]);
        assessor.kept();
        assessor.take_again();
        assert_eq!(three(&mut assessor), [0, 0, 0]);
    }

    #[test]
    fn criteria_are_told_apart() {
        let strict = Criteria {
            risk: crate::risk::Risk {
                ceiling: 50,
                ..Default::default()
            },
            documents: None,
        };
        assert_ne!(strict.fingerprint(), Criteria::default().fingerprint());
        assert_eq!(
            Criteria::default().fingerprint(),
            Criteria::default().fingerprint()
        );
    }
}
