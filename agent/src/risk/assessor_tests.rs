//! What is judged again when, and what is taken of it.

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
fn what_is_taken_next_is_judged_in_parts() {
    let targets = ["/v1/users", "/v1/carts", "/v1/lamps", "/v1/mail", "/v1/bills"];
    // Whoever asks between two parts has everything judged, and changes nothing of what is taken.
    for is_asked in [false, true] {
        let mut inventory = Inventory::new(Limits::default());
        let mut assessor = Assessor::default();
        let ids = targets.map(|target| observe(&mut inventory, target));
        assessor.collect(&inventory, &[], &[], NOW);
        let judge =
            |assessor: &mut Assessor, inventory: &Inventory| assessor.judge_part(2, inventory, &[], &[], NOW);
        assert!(judge(&mut assessor, &inventory));
        assert_eq!(assessor.endpoints().len(), 2);
        // One that is new, and others that change again.
        let late = observe(&mut inventory, "/v1/late");
        for target in targets {
            observe(&mut inventory, target);
        }
        if is_asked {
            check(&mut assessor, &inventory, &[], &[], NOW);
            assert!(!judge(&mut assessor, &inventory));
        } else {
            assert!(judge(&mut assessor, &inventory));
            assert!(!judge(&mut assessor, &inventory));
        }
        let taken: BTreeSet<_> = assessor.take_changed(9).iter().map(|row| row.id).collect();
        assert_eq!(taken, BTreeSet::from(ids));
        check(&mut assessor, &inventory, &[], &[], NOW);
        assessor.end_changed();
        assert!(assessor.take_changed(9).iter().any(|row| row.id == late));
    }
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
