use std::sync::Arc;

use super::*;
use crate::{
    analysis::Seen,
    event::Address,
    exchange::Exchange,
    inventory::{EndpointId, fixture::call},
    workload::{Workload, WorkloadKind},
};

fn learn(baseline: &mut Baseline, exchange: &Exchange) {
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let seen = Seen {
        id: None,
        exchange,
        workload: &workload,
        caller: None,
        client: None,
        endpoint: Some(EndpointId(7)),
        template: Some("/v1/users/{userId}"),
        is_new: false,
    };
    let look = Look::new(&seen).expect("a request");
    let (mut asked, mut answered) = (Fields::default(), Fields::default());
    asked.read_body(look.request);
    asked.read_target(&look);
    answered.read_answer(&look);
    baseline.pass(&look);
    baseline.learn(&look, &asked, Some(&answered), Voucher::Operator);
}

fn request(second: u64, source: u8) -> Exchange {
    call("GET", &format!("/v1/users/{second}?full=1"))
        .second(second)
        .from(Address::Ip([10, 0, 0, source].into(), 1))
        .latency_ms(5 + second % 7)
        .answer(&format!("{{\"id\":{second},\"name\":\"A\"}}"))
        .exchange()
}

#[test]
fn it_is_believed_after_time_volume_and_variety() {
    let gate = Gate::default();
    let stage = |every: u64, count: u64, sources: u64| {
        let mut baseline = Baseline::default();
        for at in 0..count {
            learn(&mut baseline, &request(at * every, (at % sources) as u8));
        }
        baseline.promote(&gate, baseline.last);
        baseline.stage
    };
    assert_eq!(stage(600, 5, 3), Stage::New);
    assert_eq!(stage(600, 300, 4), Stage::Active);
    assert_eq!(stage(600, 300, 1), Stage::Learning, "one source");
    assert_eq!(stage(1, 3_000, 4), Stage::Learning, "one hour");
    assert_eq!(stage(3_600, 100, 4), Stage::Learning, "few requests");
}

#[test]
fn it_goes_stale_and_survives_being_stored() {
    let mut baseline = Baseline::default();
    (0..300).for_each(|at| learn(&mut baseline, &request(at * 600, (at % 4) as u8)));
    baseline.promote(&Gate::default(), baseline.last);
    let record = BaselineRecord::of(EndpointId(7), "w", &baseline).expect("a record");
    let again = record.read().expect("a baseline");
    assert_eq!(
        (again.stage, again.n, again.last),
        (baseline.stage, baseline.n, baseline.last)
    );
    assert_eq!(
        again.latency_us.quantile(0.99),
        baseline.latency_us.quantile(0.99)
    );
    assert_eq!((&again.asked, &again.week), (&baseline.asked, &baseline.week));
    assert_eq!(
        (record.stage(), record.exchanges()),
        (Some(Stage::Active), Some(300))
    );
    let later = baseline.last.after(STALE_AFTER * 2);
    baseline.promote(&Gate::default(), later);
    assert_eq!(baseline.stage, Stage::Stale);
    let damaged = BaselineRecord {
        record: b"{}".to_vec(),
        ..record
    };
    assert_eq!(damaged.stage(), None);
}

#[test]
fn parts_add_up() {
    let (mut whole, mut left, mut right) = (Baseline::default(), Baseline::default(), Baseline::default());
    for at in 0..400 {
        let exchange = request(at * 60, (at % 5) as u8);
        learn(&mut whole, &exchange);
        learn(if at < 200 { &mut left } else { &mut right }, &exchange);
    }
    left.merge(&right);
    assert_eq!(
        (left.n, left.first, left.last),
        (whole.n, whole.first, whole.last)
    );
    assert_eq!(left.latency_us.quantile(0.5), whole.latency_us.quantile(0.5));
    assert_eq!(left.sources.count(), whole.sources.count());
    assert_eq!(left.status.total(), whole.status.total());
}

#[test]
fn the_worst_endpoint_fits_16_kib() {
    let mut baseline = Baseline::default();
    let mut seed = 1_u64;
    for at in 0..30_000_u64 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let random = seed >> 33;
        let body: String = (0..20)
            .map(|field| format!("\"f{}\":\"v{random}\",", (at + field) % 90))
            .collect();
        let exchange = call(
            "GET",
            &format!("/v1/users/{random}?q{}={random}&r={}", at % 70, random % 5),
        )
        .second(at * 97)
        .from(Address::Ip(
            [10, 0, (at % 7) as u8, (random % 250) as u8].into(),
            1,
        ))
        .latency_ms(1 + random % (1 << (at % 24)))
        .answer(&format!("{{{body}\"z\":1}}"))
        .exchange();
        learn(&mut baseline, &exchange);
        baseline.objects_per_actor.add(random);
        baseline.amount.add(random);
        baseline.work.add(random % 1000);
        baseline.request_bytes.add(random);
        baseline.response_bytes.add(random);
    }
    let bytes = baseline.bytes();
    println!("largest baseline: {bytes} bytes");
    assert!(bytes <= 16 * 1024, "{bytes}");
}

#[test]
fn endpoints_that_become_one_are_believed_at_once_if_they_have_what_it_takes() {
    let mut baselines = Baselines::default();
    let moved = |baselines: &mut Baselines, count: u64| {
        for number in 0..count {
            // One name was asked for by one source, a few times.
            let name = baselines.entry(EndpointId(100 + number), "w");
            (0..4).for_each(|at| {
                learn(name, &request(number * 1200 + at * 300, (number % 4) as u8));
            });
            assert_eq!(name.stage, Stage::New);
            baselines.moved(EndpointId(100 + number), EndpointId(7));
        }
        baselines.get(EndpointId(7)).map(|baseline| baseline.stage)
    };
    assert_eq!(moved(&mut baselines, 12), Some(Stage::Learning));
    let mut baselines = Baselines::default();
    assert_eq!(
        moved(&mut baselines, 80),
        Some(Stage::Active),
        "nothing more has to come"
    );
}
