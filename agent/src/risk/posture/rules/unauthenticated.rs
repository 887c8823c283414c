//! The same endpoint serves data with a credential and without one.

use super::{Caller, Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{inventory::AuthVerdict, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "unauthenticated_success",
    title: "Served with and without a credential",
    advice: "If it is not public, check the credential before anything else, and answer 401 without one.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    match (message.caller, message.response.status) {
        (Caller::Anonymous, 401 | 403) => posture.note(Fact::AnonymousRefused, message),
        (Caller::Anonymous, _) if message.has_data() => posture.note(Fact::AnonymousSuccess, message),
        (Caller::Authenticated, _) if message.has_data() => posture.note(Fact::AuthenticatedSuccess, message),
        _ => {}
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    if subject.is_preflight() || subject.is_login() {
        return None;
    }
    let seen = subject.seen(Fact::AnonymousSuccess)?;
    let (anonymous, authenticated) = (seen.count, subject.count(Fact::AuthenticatedSuccess));
    if AuthVerdict::of(anonymous + authenticated, anonymous) != AuthVerdict::Mixed {
        return None;
    }
    let severity = if subject.posture.anonymous.is_empty() {
        Severity::Medium
    } else {
        Severity::High
    };
    let text =
        format!("{anonymous} requests without a credential were answered like {authenticated} with one");
    // Where some without a credential are refused, it is meant to be asked for.
    let confidence = match subject.count(Fact::AnonymousRefused) {
        0 => 0.7,
        _ => 0.95,
    };
    Some(
        Evidence::new(severity, seen, text)
            .confidence(confidence)
            .observed("2xx", "401"),
    )
}
