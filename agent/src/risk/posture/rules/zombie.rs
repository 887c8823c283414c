//! Documented as deprecated, and still used.

use super::{Evidence, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "zombie_endpoint",
    title: "Deprecated and still used",
    advice: "Move its callers to what replaces it, then remove it.",
    owasp: Some("API9:2023"),
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    (subject.view.spec == "zombie").then(|| {
        let callers = subject.view.callers.len();
        let text = format!("its specification calls it deprecated; {callers} callers still use it");
        Evidence::new(Severity::Medium, subject.always(), text)
    })
}
