//! Credentials in the query: they end up in logs, histories and `Referer`.

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::{exchange::CredentialLocation, verdict::Severity};

pub(super) const RULE: Rule = Rule {
    name: "credentials_in_url",
    title: "Credentials stand in the URL",
    advice: "Take credentials from a header field; replace those that have been sent in URLs.",
    owasp: Some("API2:2023"),
    notice: Some(notice),
    check,
};

/// Schemes of the query that are the secret itself, not a signature for one request.
const SECRETS: [&str; 6] = ["api_key", "bearer", "bearer_jwt", "password", "session", "other"];

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let in_query = message.request.credentials.iter().any(|credential| {
        matches!(credential.location, CredentialLocation::Query(_)) && SECRETS.contains(&credential.scheme)
    });
    if in_query && message.is_success() {
        posture.note(Fact::CredentialInUrl, message);
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let seen = subject.seen(Fact::CredentialInUrl)?;
    let text = format!(
        "{} accepted requests carried a credential in their query",
        seen.count
    );
    Some(Evidence::new(Severity::Medium, seen, text).confidence(0.8))
}
