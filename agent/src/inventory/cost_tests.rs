//! What filing costs, where nothing new is learned. Run with `--release -- --ignored --nocapture`.

use std::{hint::black_box, sync::Arc, time::Duration};

use super::{
    Inventory, Limits,
    fixture::{Call, call},
};
use crate::{
    clock,
    workload::{Workload, WorkloadKind},
};

fn body() -> String {
    let members: Vec<String> = (0..30)
        .map(|at| format!("\"field{at}\":\"some text {at}\""))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Time per exchange.
fn cost(calls: &[Call]) -> Duration {
    let shop = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let exchanges: Vec<_> = calls.iter().map(|call| call.clone().exchange()).collect();
    let mut inventory = Inventory::new(Limits::default());
    let rounds = 20_000 / exchanges.len().max(1) + 20;
    for _ in 0..20 {
        exchanges
            .iter()
            .for_each(|exchange| drop(inventory.observe(exchange, &shop, None)));
        inventory.settle();
    }
    let start = clock::now();
    for _ in 0..rounds {
        for exchange in &exchanges {
            black_box(inventory.observe(exchange, &shop, None));
        }
    }
    clock::now().since(start) / u32::try_from(rounds * exchanges.len()).unwrap_or(u32::MAX)
}

#[test]
#[ignore = "measures"]
fn filing() {
    let known: Vec<Call> = (0..50)
        .map(|id| call("GET", &format!("/v1/users/{id}/orders")))
        .collect();
    println!("known paths: {:?}", cost(&known));
    let many: Vec<Call> = (0..20_000)
        .map(|id| call("GET", &format!("/v1/users/{id}/orders")))
        .collect();
    println!("paths too many to remember: {:?}", cost(&many));
    let with_bodies = |call: Call| call.body("application/json", &body()).answer(&body());
    for (name, calls) in [("known paths", known), ("paths too many to remember", many)] {
        let calls: Vec<Call> = calls.into_iter().map(with_bodies).collect();
        println!(
            "{name}, {} bytes of JSON each way: {:?}",
            body().len(),
            cost(&calls)
        );
    }
}
