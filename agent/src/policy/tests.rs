//! Rules on exchanges, and what is wrong with files.

use std::sync::Arc;

use super::*;
use crate::{
    event::Address,
    inventory::fixture::{Call, call},
    workload::{Workload, WorkloadKind},
};

fn policies(text: &str) -> Policies {
    Policies::new(read(text).expect("policies").rules)
}

fn from(client: &str, call: Call) -> Call {
    call.from(Address::Ip(client.parse().expect("an address"), 1))
}

/// Names of the incidents and whether it is ignored.
fn judged(policies: &mut Policies, call: Call, template: &str) -> (Vec<String>, bool) {
    let exchange = call.exchange();
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "shop-api"));
    let decision = policies.exchange(&Seen {
        id: None,
        exchange: &exchange,
        workload: &workload,
        caller: None,
        client: None,
        endpoint: None,
        template: Some(template),
        is_new: false,
    });
    let names = decision.incidents.into_iter().map(|held| held.rule.name);
    (names.collect(), decision.is_ignored)
}

const ADMIN: &str = r#"
[[rule]]
name = "monitoring"
action = "ignore"
when = { caller = ["10.0.0.9"], template = ["/health"] }
[[rule]]
name = "admin"
description = "Administration belongs to the office"
action = "incident"
severity = "high"
[rule.when]
method = ["POST", "DELETE"]
template = ["/admin/**"]
workload = ["shop*"]
caller = ["!10.0.0.0/8"]
auth = ["none", "basic"]
status = ["2xx"]
exposure = "internet"
"#;

#[test]
fn every_condition_counts() {
    let mut policies = policies(ADMIN);
    let hit = || from("203.0.113.9", call("DELETE", "/admin/x"));
    let incidents = |policies: &mut Policies, call: Call| judged(policies, call, "/admin/{x}").0;
    assert_eq!(incidents(&mut policies, hit()), ["admin"]);
    assert_eq!(incidents(&mut policies, hit().credential("basic")), ["admin"]);
    for miss in [
        hit().credential("bearer"),
        hit().status(403),
        from("10.0.0.7", call("DELETE", "/admin/x")),
        from("203.0.113.9", call("GET", "/admin/x")),
    ] {
        assert_eq!(incidents(&mut policies, miss), Vec::<String>::new());
    }
    assert_eq!(judged(&mut policies, hit(), "/other").0, Vec::<String>::new());
    assert!(judged(&mut policies, from("10.0.0.9", call("GET", "/health")), "/health").1);
    assert_eq!(policies.hits()["admin"], 2);
}

#[test]
fn reasons_say_what_held() {
    let exchange = from("203.0.113.9", call("DELETE", "/admin/x")).exchange();
    let workload = Arc::new(Workload::named(WorkloadKind::Process, "shop"));
    let decision = policies(ADMIN).exchange(&Seen {
        id: None,
        exchange: &exchange,
        workload: &workload,
        caller: None,
        client: None,
        endpoint: None,
        template: Some("/admin/{x}"),
        is_new: false,
    });
    assert_eq!(
        decision.incidents[0].reason.text,
        "policy admin (Administration belongs to the office): method DELETE, template /admin/{x}, workload shop, status 2xx, auth none, caller 203.0.113.9, called from: internet"
    );
}

#[test]
fn data_and_findings() {
    let mut policies = policies(
        "[[rule]]\nname = 'cards'\naction = 'finding'\nseverity = 'critical'\nwhen = { data = ['card_pan'] }\n",
    );
    let card = call("GET", "/a").answer(r#"{"pan":"4539148803436467"}"#);
    judged(&mut policies, card.clone(), "/a");
    judged(&mut policies, card, "/a");
    judged(&mut policies, call("GET", "/a").answer(r#"{"pan":"none"}"#), "/a");
    let findings = policies.findings();
    assert_eq!((findings.len(), findings[0].count), (1, 2));
    assert_eq!(findings[0].rule, "cards");
}

#[test]
fn rates_are_counted_by_caller_and_window() {
    let mut policies = policies(
        "[[rule]]\nname = 'fast'\naction = 'incident'\nwhen = { rate = { count = 3, seconds = 60 } }\n",
    );
    let mut count = |client: &str, second: u64| {
        judged(
            &mut policies,
            from(client, call("GET", "/a").second(second)),
            "/a",
        )
        .0
        .len()
    };
    let counts: Vec<usize> = (0..5).map(|second| count("10.0.0.7", second)).collect();
    assert_eq!(counts, [0, 0, 0, 1, 1]);
    assert_eq!(count("10.0.0.8", 5), 0);
    assert_eq!(count("10.0.0.7", 200), 0);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (text, part) in [
        ("[[rule]]\nname = 'a'\naction = 'block'\n", "line 3: "),
        (
            "[[rule]]\nname = 'a'\naction = 'ignore'\nwhen = { methods = ['GET'] }\n",
            "line 4: ",
        ),
        ("[[rule]]\nname = 'a b'\naction = 'ignore'\n", "the name `a b`"),
        (
            "[[rule]]\nname='a'\naction='ignore'\n[[rule]]\nname='a'\naction='ignore'\n",
            "two rules",
        ),
        (
            "[[test]]\nname='t'\nexchanges=[]\nexpect=['x']\n",
            "no rule is called x",
        ),
        (
            "[[rule]]\nname='a'\naction='ignore'\nwhen={rate={count=1,seconds=0}}\n",
            "seconds above 0",
        ),
        (
            "[[rule]]\nname='a'\naction='ignore'\nwhen={data=['!email','card*','credit']}\n",
            "unknown variant `credit`, expected one of `card_pan`",
        ),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.contains(part), "{text}: {error}");
    }
}
