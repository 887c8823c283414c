//! Recorded traffic of public APIs, with the templates of their vendors.

use super::{Asked, method, place, rows, score::Score};
use crate::inventory::fixture::call;

#[test]
fn recorded_traffic() {
    for (name, exact, precision) in [("recorded-github", 0.9, 0.99), ("recorded-okta", 0.95, 0.99)] {
        let (Some(exchanges), Some(truth)) = (
            rows(&format!("{name}.jsonl.gz")),
            rows(&format!("{name}.truth.jsonl.gz")),
        ) else {
            return;
        };
        let mut asked = Vec::new();
        for (exchange, truth) in exchanges.iter().zip(&truth) {
            let (target, status) = (exchange["target"].as_str(), exchange["status"].as_u64());
            let body = exchange["response"]["body"].as_str().unwrap_or_default();
            let (Some(method), Some(target)) = (method(exchange["method"].as_str().expect("method")), target)
            else {
                continue;
            };
            let made = call(method, target).answer(body);
            asked.push(Asked {
                method,
                call: match status.and_then(|status| u16::try_from(status).ok()) {
                    Some(status) => made.status(status),
                    None => made.unanswered(),
                },
                target: target.to_owned(),
                template: truth["template"].as_str().unwrap_or_default().to_owned(),
            });
        }
        let placed: Vec<_> = place(&asked)
            .into_iter()
            .filter(|one| !one.template.is_empty())
            .collect();
        let score = Score::of(&placed);
        if std::env::var_os("APIARIST_SHOW").is_some() {
            score.show(name, &placed);
        }
        println!("{name}: {score}");
        assert!(
            score.exact_multi() >= exact && score.pair_precision() >= precision,
            "{name}: {score}"
        );
    }
}
