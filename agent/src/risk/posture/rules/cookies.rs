//! Session cookies that scripts can read, or that browsers send over plain HTTP (RFC 6265 §4.1.2).

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "insecure_cookie",
    title: "Session cookies are set without protection",
    advice: "Set session cookies with Secure, HttpOnly and SameSite.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

/// Parts of the names that frameworks give to session cookies.
const SESSION: [&str; 7] = ["sess", "auth", "token", "jwt", "login", "remember", "sid"];

fn notice(message: &Message<'_>, posture: &mut Posture) {
    for cookie in message.response.head.values("set-cookie") {
        let cookie = String::from_utf8_lossy(cookie).to_ascii_lowercase();
        let mut parts = cookie.split(';').map(str::trim);
        let name = parts
            .next()
            .and_then(|pair| pair.split('=').next())
            .unwrap_or_default();
        let is_session = SESSION.iter().any(|part| name.contains(part));
        if !is_session || name.contains("csrf") || name.contains("xsrf") {
            continue;
        }
        let attributes: Vec<&str> = parts.collect();
        // A cookie that is taken back protects nothing.
        if attributes.contains(&"max-age=0") {
            continue;
        }
        if !attributes.contains(&"secure") {
            posture.note(Fact::CookieWithoutSecure, message);
        }
        if !attributes.contains(&"httponly") {
            posture.note(Fact::CookieWithoutHttpOnly, message);
        }
    }
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let (severity, seen, missing) = match (
        subject.seen(Fact::CookieWithoutHttpOnly),
        subject.seen(Fact::CookieWithoutSecure),
    ) {
        (Some(seen), Some(_)) => (Severity::Medium, seen, "Secure and HttpOnly"),
        (Some(seen), None) => (Severity::Medium, seen, "HttpOnly"),
        (None, Some(seen)) => (Severity::Low, seen, "Secure"),
        (None, None) => return None,
    };
    let text = format!("session cookies were set {} times without {missing}", seen.count);
    Some(Evidence::new(severity, seen, text))
}
