//! Credentials come from other hosts over plain HTTP. A proxy in front that ended TLS says so in a field.

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{inventory::Exposure, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "plain_http_credentials",
    title: "Credentials are sent unencrypted",
    advice: "Serve this over TLS alone, and replace the credentials that went over plain HTTP.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

/// Schemes that send the secret itself, so that whoever reads it has it.
const REPLAYABLE: [&str; 9] = [
    "basic",
    "bearer",
    "bearer_jwt",
    "api_key",
    "session_cookie",
    "session",
    "token",
    "password",
    "other",
];

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let credentials = &message.request.credentials;
    if credentials
        .iter()
        .any(|credential| REPLAYABLE.contains(&credential.scheme))
        && message.is_cleartext()
    {
        posture.note(Fact::CleartextCredential, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let seen = subject.seen(Fact::CleartextCredential)?;
    let severity = match subject.exposure() {
        Exposure::Internet => Severity::High,
        _ => Severity::Medium,
    };
    let text = format!(
        "{} requests from other hosts carried a credential over plain HTTP",
        seen.count
    );
    Some(Evidence::new(severity, seen, text).observed("http", "https"))
}
