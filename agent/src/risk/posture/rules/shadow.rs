//! Served, and in no specification.

use super::{Evidence, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "shadow_endpoint",
    title: "Served but not documented",
    advice: "Document it, or remove it: what nobody knows of, nobody looks after.",
    owasp: Some("API9:2023"),
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let succeeded = subject.view.status.get("2xx").copied().unwrap_or(0);
    (subject.view.spec == "shadow").then(|| {
        let severity = if succeeded > 0 {
            Severity::Medium
        } else {
            Severity::Low
        };
        let text = format!("no specification given has it; answered with 2xx {succeeded} times");
        Evidence::new(severity, subject.always(), text)
    })
}
