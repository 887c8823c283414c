//! Other sites may read answers with their visitors' credentials (Fetch §3.2).
//!
//! One foreign site may be a partner; several, or the origin `null`, mean that the server repeats whatever it is told.

use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;

use super::{Evidence, Fact, Message, Posture, Rule, Subject};
use crate::verdict::Severity;

pub(super) const RULE: Rule = Rule {
    name: "permissive_cors",
    title: "Other sites may act with their visitors' credentials",
    advice: "Compare Origin with a list of sites; never repeat it, and never admit `null`, together with credentials.",
    owasp: Some("API8:2023"),
    notice: Some(notice),
    check,
};

fn notice(message: &Message<'_>, posture: &mut Posture) {
    let Some(admitted) = message.answer_field("access-control-allow-origin") else {
        return;
    };
    let with_credentials = message
        .answer_field("access-control-allow-credentials")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if !with_credentials {
        return;
    }
    match (admitted.trim(), message.field("origin")) {
        ("*", _) => posture.note(Fact::AnyOrigin, message),
        ("null", Some("null")) => posture.note(Fact::NullOrigin, message),
        (admitted, Some(origin)) if admitted == origin.trim() => {
            let own = message.field("host").or_else(|| message.field(":authority"));
            let (site, own) = (site(origin), own.map(site));
            if own.is_some_and(|own| own != site) {
                posture.note(Fact::ForeignOrigin, message);
                let mut hash = SipHasher13::new();
                hash.write(site.as_bytes());
                posture.note_site(hash.finish());
            }
        }
        _ => {}
    }
}

/// The last two labels of the host of an origin or authority: hosts of one site belong together. An address is its own
/// site.
fn site(text: &str) -> String {
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    let host = host.split('/').next().unwrap_or_default();
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => host,
    };
    if host.bytes().all(|b| b.is_ascii_digit() || b == b'.') || host.starts_with('[') {
        return host.to_owned();
    }
    let labels: Vec<&str> = host.rsplit('.').take(2).collect();
    labels
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join(".")
        .to_ascii_lowercase()
}

fn check(subject: &Subject<'_>) -> Option<Evidence> {
    let sites = subject.posture.sites.len();
    if let Some(seen) = subject.seen(Fact::NullOrigin) {
        let text = "the origin `null`, which any page can have, was admitted with credentials";
        return Some(Evidence::new(Severity::High, seen, text).observed("null", "no such field"));
    }
    if let Some(seen) = subject.seen(Fact::ForeignOrigin) {
        let text = format!("{sites} or more foreign sites were admitted with credentials");
        let (severity, confidence) = match sites {
            0 | 1 => (Severity::Medium, 0.5),
            _ => (Severity::High, 0.9),
        };
        return Some(Evidence::new(severity, seen, text).confidence(confidence));
    }
    let seen = subject.seen(Fact::AnyOrigin)?;
    let text = "`*` was answered together with credentials: browsers refuse it, other sites were meant to have access";
    Some(Evidence::new(Severity::Low, seen, text).observed("*", "a site"))
}

#[cfg(test)]
mod tests {
    use super::site;

    #[test]
    fn hosts_of_one_site() {
        for (text, expected) in [
            ("https://app.Shop.test:8443", "shop.test"),
            ("api.shop.test:80", "shop.test"),
            ("shop.test", "shop.test"),
            ("localhost:3000", "localhost"),
            ("http://203.0.113.9:80", "203.0.113.9"),
            ("[::1]:80", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(site(text), expected, "{text}");
        }
    }
}
