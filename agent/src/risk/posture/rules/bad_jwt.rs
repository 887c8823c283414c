//! A token that must be refused was accepted: not signed, or expired.
//!
//! Where requests without any credential succeed too, the token is not looked at, and nothing follows from it.

use std::time::Duration;

use super::{Caller, Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{exchange::TokenAlgorithm, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "bad_jwt_accepted",
    title: "A token that must be refused is accepted",
    advice: "Verify the signature with a fixed algorithm and refuse tokens after `exp`, before anything else is done.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

/// Clocks may differ by this much (RFC 7519 §4.1.4 asks for "a small leeway").
const LEEWAY: Duration = Duration::from_secs(300);

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if message.caller != Caller::Authenticated || !message.has_data() {
        return;
    }
    // With a second credential it is not known which one was accepted.
    let [credential] = message.request.credentials.as_slice() else {
        return;
    };
    let Some(token) = &credential.token else {
        return;
    };
    if token.algorithm == TokenAlgorithm::None {
        posture.note(Fact::UnsignedToken, message);
    }
    if token.expires.is_some_and(|end| message.at() > end.after(LEEWAY)) {
        posture.note(Fact::ExpiredToken, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    if subject.count(Fact::AnonymousSuccess) > 0 {
        return None;
    }
    let confidence = match subject.count(Fact::AnonymousRefused) + subject.count(Fact::Refused) {
        0 => 0.6,
        _ => 0.95,
    };
    let (severity, seen, what) = match (
        subject.seen(Fact::UnsignedToken),
        subject.seen(Fact::ExpiredToken),
    ) {
        (Some(seen), _) => (Severity::Critical, seen, "without a signature (alg none)"),
        (None, Some(seen)) => (Severity::High, seen, "after they had expired"),
        (None, None) => return None,
    };
    let text = format!(
        "{} requests with tokens {what} were answered with 2xx",
        seen.count
    );
    Some(
        Evidence::new(severity, seen, text)
            .confidence(confidence)
            .observed("2xx", "401"),
    )
}
