//! A login that tells whether an account exists: it says so when it fails.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "account_enumeration",
    title: "A login tells whether an account exists",
    advice: "Answer every login that fails with the same message, in the same time.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

/// Bytes of an answer that are read. Overflow policy: what is behind them does not count.
const MAX_BYTES: usize = 512;

/// Ways to say that there is no such account.
const ABSENT: &[&str] = &[
    "username does not exist",
    "user does not exist",
    "account does not exist",
    "email does not exist",
    "user not found",
    "username not found",
    "account not found",
    "email not found",
    "no such user",
    "no such account",
    "unknown user",
    "unknown account",
    "unknown email",
    "user doesn't exist",
    "account doesn't exist",
    "not registered",
    "no account with",
    "no user with",
    "invalid username\"",
];

/// Ways to say that the account is right and its password is not.
const WRONG: &[&str] = &[
    "password is not correct",
    "password is incorrect",
    "password is wrong",
    "password is invalid",
    "password incorrect",
    "incorrect password",
    "wrong password",
    "invalid password",
    "bad password",
    "password does not match",
    "password mismatch",
];

static MATCHER: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(ABSENT.iter().chain(WRONG))
        .ok()
});

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if !message.is_login() || message.is_page() {
        return;
    }
    let sample = &message.response.body.sample;
    let text = sample.get(..MAX_BYTES).unwrap_or(sample);
    let found = MATCHER.as_ref().and_then(|matcher| matcher.find(text));
    match found.map(|found| found.pattern().as_usize() < ABSENT.len()) {
        Some(true) => posture.note(Fact::SaysNoAccount, message),
        Some(false) => posture.note(Fact::SaysWrongPassword, message),
        None => {}
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let absent = subject.seen(Fact::SaysNoAccount);
    let wrong = subject.seen(Fact::SaysWrongPassword);
    let (seen, confidence, text) = match (absent, wrong) {
        (Some(absent), Some(_)) => (
            absent,
            0.95,
            "one message for accounts that do not exist, another one for passwords that are wrong",
        ),
        (Some(absent), None) => (absent, 0.7, "a message for accounts that do not exist"),
        _ => return None,
    };
    Some(
        Evidence::new(
            Severity::Medium,
            seen,
            format!("logins that failed were answered with {text}"),
        )
        .confidence(confidence)
        .observed("what was wrong", "that it failed"),
    )
}
