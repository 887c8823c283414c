//! Sensitive answers that caches may keep (RFC 9111 §5.2.2.5).

use super::{Caller, Evidence, Fact, Message, Posture, Rule, Subject, gravity};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "missing_no_store",
    title: "Sensitive answers may be kept by caches",
    advice: "Answer with `Cache-Control: no-store`.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    // Other methods are not kept unless the answer asks for it.
    if message.caller != Caller::Authenticated || &*message.request.method != "GET" || !message.has_data() {
        return;
    }
    let is_forbidden = message.response.head.values("cache-control").any(|value| {
        value
            .to_ascii_lowercase()
            .windows(8)
            .any(|part| part == b"no-store")
    });
    if !is_forbidden {
        posture.note(Fact::StorableAnswer, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let seen = subject.seen(Fact::StorableAnswer)?;
    let field = subject
        .answers()
        .find(|field| !field.suspected && gravity(&field.kind) > 0.5)?;
    let text = format!(
        "{} answers to authenticated requests, with {} at {}, came without no-store",
        seen.count, field.kind, field.path
    );
    Some(Evidence::new(Severity::Low, seen, text).observed("no such directive", "no-store"))
}
