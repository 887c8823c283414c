//! The worst there is: from the internet, without a credential, sensitive data is answered.

use super::{
    Evidence, Rule, Subject,
    unauthenticated_sensitive::{self, sensitive},
};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "exposed_sensitive_response",
    title: "The internet is given sensitive data without a credential",
    advice: "Take it off the internet or ask for a credential now, then look for who has asked already.",
    owasp: Some("API2:2023"),
    // The facts are those of the rule for every exposure.
    notice: None,
    check,
};

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    if subject.exposure() != Exposure::Internet {
        return None;
    }
    let found = sensitive(subject)?;
    let severity = match found.gravity {
        gravity if gravity < 0.5 => Severity::Medium,
        _ => Severity::Critical,
    };
    Some(unauthenticated_sensitive::evidence(&found, severity))
}
