//! Called from public addresses. No fault by itself: it raises what else is wrong.

use super::{Evidence, Rule, Subject};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "internet_exposure",
    title: "Called from the internet",
    advice: "If that is not meant, close it at the firewall or the gateway.",
    owasp: Some("API9:2023"),
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    (subject.exposure() == Exposure::Internet).then(|| {
        Evidence::new(
            Severity::Info,
            subject.always(),
            "at least one caller has a public address",
        )
    })
}
