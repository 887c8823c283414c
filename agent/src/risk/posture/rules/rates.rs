//! Passwords can be tried without end: many refusals, and never a limit.

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "missing_rate_limit",
    title: "Credentials can be tried without a limit",
    advice: "Limit attempts per account and per address, and answer 429 beyond that.",
    owasp: Some("API4:2023"),
    notice: Some(notice),
    check,
};

/// Refusals without a limit from which there seems to be none.
const MANY: u64 = 20;

/// Fields that tell how much is left.
const FIELDS: [&str; 4] = [
    "ratelimit",
    "ratelimit-remaining",
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
];

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let status = message.response.status;
    if matches!(status, 400 | 401 | 403 | 422) || message.is_login() && message.says_failed() {
        posture.note(Fact::Refused, message);
    }
    let has_field = || FIELDS.iter().any(|name| message.answer_field(name).is_some());
    if status == 429 || has_field() {
        posture.note(Fact::Limited, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let refused = subject
        .seen(Fact::Refused)
        .filter(|refused| refused.count >= MANY)?;
    let is_tried = subject.is_login() && subject.view.method == "POST";
    if !is_tried || subject.count(Fact::Limited) > 0 {
        return None;
    }
    let text = format!(
        "{} attempts were refused, none was answered with 429",
        refused.count
    );
    Some(
        Evidence::new(Severity::Medium, refused, text)
            .confidence(0.6)
            .observed("no 429", "429 beyond a few attempts"),
    )
}
