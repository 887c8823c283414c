//! Documentation of the API is open to other hosts: it tells an attacker what there is.

use super::{Evidence, Rule, Subject};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "documentation_endpoint",
    title: "Documentation is open to other hosts",
    advice: "If the API is not public, ask for a credential here too, or serve it to your own network alone.",
    owasp: Some("API9:2023"),
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let succeeded = *subject.view.status.get("2xx")?;
    let severity = match subject.exposure() {
        Exposure::Internet => Severity::Low,
        Exposure::Cluster => Severity::Info,
        Exposure::Host | Exposure::Unknown => return None,
    };
    subject.is_documentation().then(|| {
        let text = format!("answered with 2xx {succeeded} times");
        Evidence::new(severity, subject.always(), text)
    })
}
