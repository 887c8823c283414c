//! TRACE gives requests back, credentials included (RFC 9110 §9.3.8).

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "trace_method",
    title: "TRACE gives requests back",
    advice: "Turn the method TRACE off.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if &*message.request.method == "TRACE" && message.is_success() {
        posture.note(Fact::TraceEcho, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let seen = subject.seen(Fact::TraceEcho)?;
    let text = format!("{} TRACE requests were answered with 2xx", seen.count);
    Some(Evidence::new(Severity::Medium, seen, text).observed("2xx", "405"))
}
