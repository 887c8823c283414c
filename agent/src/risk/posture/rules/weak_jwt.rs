//! Tokens that are accepted and should not be issued like this.

use std::time::Duration;

use super::{Caller, Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "weak_jwt",
    title: "Tokens are issued carelessly",
    advice: "Sign with a random key of 256 bits, issue tokens that expire within hours, name no key of their own, and carry no secrets in \
             their claims.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

/// Validity above which a token is long-lived.
const LONG: Duration = Duration::from_secs(30 * 86_400);

fn notice(message: &Message<'_>, posture: &mut Posture) {
    if message.caller != Caller::Authenticated || !message.is_success() {
        return;
    }
    for token in message
        .request
        .credentials
        .iter()
        .filter_map(|credential| credential.token.as_deref())
    {
        match (token.issued, token.expires) {
            (_, None) => posture.note(Fact::EndlessToken, message),
            (issued, Some(expires)) if expires.since(issued.unwrap_or(message.at())) > LONG => {
                posture.note(Fact::LongToken, message);
            }
            _ => {}
        }
        if token.has_guessable_key {
            posture.note(Fact::GuessableKey, message);
        }
        if token.brings_key {
            posture.note(Fact::KeyInToken, message);
        }
        if token.is_sensitive {
            posture.note(Fact::TellingToken, message);
        }
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let kinds = [
        (
            Fact::GuessableKey,
            Severity::Critical,
            "are signed with a key that everybody guesses: whoever does is whom they like",
        ),
        (
            Fact::KeyInToken,
            Severity::High,
            "bring the key they are checked with (jku, x5u, jwk)",
        ),
        (
            Fact::TellingToken,
            Severity::Medium,
            "carry claims named like secrets, readable by all who see them",
        ),
        (Fact::EndlessToken, Severity::Medium, "never expire"),
        (Fact::LongToken, Severity::Low, "are valid for more than 30 days"),
    ];
    let mut found = kinds
        .into_iter()
        .filter_map(|(fact, severity, what)| Some((severity, subject.seen(fact)?, what)));
    let (severity, seen, first) = found.next()?;
    let all = found.fold(first.to_owned(), |all, (_, _, what)| format!("{all}; {what}"));
    Some(Evidence::new(
        severity,
        seen,
        format!("tokens that were accepted {all}"),
    ))
}
